/** Codecs over several modules say what one module with all types would say, and a kept text is never stale. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import type { Manifest, RouteDef } from "../../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { Random } from "../../_internal/testing/random.ts";
import { RANDOM_TYPES, randomShape, randomValue } from "../../_internal/testing/random_shape.ts";
import { packageFile } from "../bundle.ts";
import { codecEntries } from "./client.ts";
import { reachableTypes } from "./reachable.ts";
import { RouteModules, routeModules, type RouteModulesInput } from "./route_modules.ts";
import { sharedTypes } from "./shared_types.ts";
import { CODEC_RUNTIME, loadCodecs, type LoadedCodec } from "./testing/load_codec.ts";

const NAMES = ["A", "B", "C", "D", "E", "Größe"];
const MODULES = ["src/a.ts", "src/b.ts", "src/c.ts"];

/** A named type that refers to others; in circles only through arrays, so that values have an end. */
function namedShape(random: Random): Shape {
  const ref = (): Shape => ({
    kind: "array",
    element: { kind: "ref", name: random.pick([...NAMES, "Tree", "Nested"]) },
  });
  const part = (): Shape => random.oneIn(2) ? ref() : randomShape(random, 1);
  switch (random.below(6)) {
    case 0:
      return { kind: "enum", values: random.pick([["x", "y"], ["x"]]), ids: [0, 1] };
    case 1:
      return { kind: "record", value: part() };
    case 2:
      return union(random, part());
    default:
      return {
        kind: "object",
        fields: random.list(4, (id) => ({
          name: `f${id}`,
          id,
          shape: part(),
          optional: random.oneIn(3),
        })),
      };
  }
}

function named(random: Random): Shape {
  return { kind: "ref", name: random.pick(NAMES) };
}

/** Its variants are told apart by what is in them. */
function union(random: Random, ...more: readonly Shape[]): Shape {
  const variants = [{ kind: "string" } as const, named(random), named(random), ...more];
  return { kind: "union", variants: variants.map((shape, i) => ({ id: i + 1, shape })) };
}

function route(random: Random, op: number): RouteDef {
  const shape = (): Shape =>
    random.oneIn(3) ? randomShape(random, 2) : random.oneIn(2) ? named(random) : union(random);
  return {
    name: `route${op}`,
    op,
    module: random.pick(MODULES),
    export: { className: null, name: `route${op}` },
    meta: { egroup: null } as RouteDef["meta"],
    parameters: random.list(2, (i) => ({
      name: `p${i}`,
      shape: shape(),
      optional: false,
      rest: false,
    })),
    result: shape(),
    throws: [],
    middleware: [],
    schemaHash: "",
    doc: "",
    source: { file: "", line: 1, column: 1 },
  };
}

interface Declared {
  readonly types: ShapeTable;
  readonly routes: readonly RouteDef[];
}

function declared(random: Random): Declared {
  return {
    types: {
      ...RANDOM_TYPES,
      ...Object.fromEntries(NAMES.map((name) => [name, namedShape(random)])),
    },
    routes: Array.from({ length: 5 }, (_, i) => route(random, 1000 + i)),
  };
}

/** One thing is another now. */
function edited(random: Random, { types, routes }: Declared): Declared {
  const name = random.pick(NAMES), at = random.below(routes.length);
  return random.oneIn(3)
    ? { types: { ...types }, routes: routes.with(at, route(random, 1000 + at)) }
    : { types: { ...types, [name]: namedShape(random) }, routes };
}

function inputOf({ types, routes }: Declared): RouteModulesInput {
  return { manifest: { types, routes } as Manifest, middleware: [], root: "/", rootFromChunk: "" };
}

type Codec = Record<string, (input: never) => never>;

/** The codecs of all modules, loaded from files of their own. */
async function loaded(texts: ReadonlyMap<string, string>, folder: string): Promise<Codec> {
  const own = [...texts].filter(([id]) => !id.startsWith("kontract:module/"));
  for (const [id, text] of own) {
    const code = text
      .replaceAll(JSON.stringify(packageFile("protocol/codec/mod.ts")), `"${CODEC_RUNTIME}"`)
      .replaceAll(/"kontract:types\/(\d+)"/g, '"./types-$1.mjs"');
    await Deno.writeTextFile(join(folder, fileOf(id)), code);
  }
  const modules = own.filter(([id]) => id.startsWith("kontract:codec/"))
    .map(([id]) => import(`file://${join(folder, fileOf(id))}`));
  return Object.assign({}, ...await Promise.all(modules)) as Codec;
}

/** Null for a value whose unions cannot be told apart within the limit. */
function encoded(codec: LoadedCodec, value: unknown): Uint8Array | null {
  try {
    return codec.encode(value);
  } catch (error) {
    if (error instanceof KontractError && /attempts/.test(error.message)) return null;
    throw error;
  }
}

function fileOf(id: string): string {
  return `${id.slice("kontract:".length).replace("/", "-")}.mjs`;
}

Deno.test("types that several modules use encode and decode as they would in a module with all of them", async () => {
  const random = new Random(5);
  let groups = 0, compared = 0;
  for (let round = 0; round < 40; round++) {
    const app = declared(random);
    const entries = codecEntries(app.routes, "server");
    const whole = await loadCodecs(
      app.types,
      entries.map(({ name, shape }) => ({ name, shape })),
    );
    const folder = await Deno.makeTempDir();
    try {
      const texts = new RouteModules().make(inputOf(app));
      groups += [...texts.keys()].filter((id) => id.startsWith("kontract:types/")).length;
      const codec = await loaded(texts, folder);
      for (const { name, shape, only } of entries) {
        for (let i = 0; i < 10; i++) {
          const bytes = encoded(whole[name]!, randomValue(random, shape, app.types));
          if (bytes === null) continue;
          compared++;
          const value = whole[name]!.decode(bytes);
          const own = codec[`${only}_${name}`]!;
          // Equal layouts of two modules are written twice: other bytes, the same value.
          const read = only === "encode"
            ? whole[name]!.decode(own(value as never))
            : own(bytes as never);
          assert.deepStrictEqual(read, value, JSON.stringify([shape, app.types]));
        }
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  assert.ok(groups > 25 && compared > 3000, `${groups} ${compared}`);
});

Deno.test("modules made again after edits are those that are made from nothing", () => {
  const random = new Random(11);
  const kept = new RouteModules();
  let app = declared(random), same = 0;
  let before: ReadonlyMap<string, string> = new Map();
  for (let round = 0; round < 400; round++) {
    const made = kept.make(inputOf(app));
    assert.deepStrictEqual(made, new RouteModules().make(inputOf(app)));
    for (const [id, text] of made) if (before.get(id) === text) same++;
    before = made;
    app = edited(random, app);
  }
  assert.ok(same > 1000, `${same}`);
});

Deno.test("each module has every type that it uses, and loads none that it does not", () => {
  const random = new Random(3);
  for (let round = 0; round < 100; round++) {
    const { types, routes } = declared(random);
    const shapes = routeModules(routes).map((module) =>
      routes.filter((one) => one.module === module)
        .flatMap(({ parameters, result }) => [...parameters.map(({ shape }) => shape), result])
    );
    const shared = sharedTypes(shapes, types);
    for (const [i, own] of shapes.entries()) {
      const has = [
        ...shared.ownOf[i]!,
        ...shared.groupsOf[i]!.flatMap((group) => shared.groups[group]!.names),
      ];
      assert.deepEqual(has.sort(), Object.keys(reachableTypes(own, types)).sort());
    }
  }
});
