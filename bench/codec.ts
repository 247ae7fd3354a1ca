/**
 * Generated codecs against JSON and npm flatbuffers, in one run: `deno run -A bench/codec.ts`.
 *
 * Each contender does what its user would do: value → bytes → value, where the bytes are what travels.
 * Prints medians of interleaved rounds and ratios, then the runtime's size in a bundle.
 *
 * @module
 */
import * as esbuild from "esbuild";
import { gzipSync } from "node:zlib";
import type { Shape, ShapeTable } from "../_internal/shape.ts";
import { CODEC_RUNTIME, loadCodecs } from "../compiler/emit/testing/load_codec.ts";
import { decodePage, encodePage, type Page, type User } from "./flatbuffers_page.ts";

const string: Shape = { kind: "string" };
const number: Shape = { kind: "number", width: "float64" };
const required = (name: string, id: number, shape: Shape) => ({ name, id, shape, optional: false });

const TYPES: ShapeTable = {
  Address: {
    kind: "object",
    fields: [
      required("street", 0, string),
      required("city", 1, string),
      required("zip", 2, string),
    ],
  },
  User: {
    kind: "object",
    fields: [
      required("id", 0, string),
      required("name", 1, string),
      required("email", 2, string),
      required("age", 3, { kind: "number", width: "int32" }),
      required("active", 4, { kind: "boolean" }),
      required("score", 5, number),
      required("created_at", 6, number),
      required("tags", 7, { kind: "array", element: string }),
      { name: "address", id: 8, shape: { kind: "ref", name: "Address" }, optional: true },
      required("role", 9, { kind: "enum", values: ["admin", "member", "guest"], ids: [0, 1, 2] }),
    ],
  },
  Page: {
    kind: "object",
    fields: [
      required("users", 0, { kind: "array", element: { kind: "ref", name: "User" } }),
      required("total", 1, { kind: "number", width: "int32" }),
      required("cursor", 2, string),
    ],
  },
};

function makeUser(i: number, ascii: boolean): User {
  const user: User = {
    id: `0190f3c2-7b1a-7c3d-9e4f-${i.toString(16).padStart(12, "0")}`,
    name: ascii || i % 10 !== 0 ? `Alice Example ${i}` : `Zoë Müller ${i}`,
    email: `user${i}@example.com`,
    age: 20 + (i % 50),
    active: i % 3 !== 0,
    score: i * 1.37 + 0.1,
    created_at: 1_760_000_000_000 + i * 1000,
    tags: ["alpha", "beta", `tag${i}`].slice(0, i % 4),
    role: (["admin", "member", "guest"] as const)[i % 3]!,
  };
  if (i % 5 !== 0) {
    user.address = { street: `${i} Main Street`, city: "Springfield", zip: `${10000 + i}` };
  }
  return user;
}

const page = (count: number, ascii = true): Page => ({
  users: Array.from({ length: count }, (_, i) => makeUser(i + 1, ascii)),
  total: count,
  cursor: "next",
});

const codecs = await loadCodecs(TYPES, [
  { name: "page", shape: { kind: "ref", name: "Page" } },
  {
    name: "args",
    shape: {
      kind: "tuple",
      elements: [{ shape: string, optional: false }, { shape: string, optional: false }],
    },
  },
  { name: "any", shape: { kind: "unknown" } },
]);

interface Contender {
  readonly name: string;
  readonly encode: () => Uint8Array;
  readonly decode: (bytes: Uint8Array) => unknown;
}

const text = new TextEncoder();
const back = new TextDecoder();

function json(value: unknown): Contender {
  return {
    name: "JSON",
    encode: () => text.encode(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(back.decode(bytes)),
  };
}

function generated(name: string, value: unknown): Contender {
  const codec = codecs[name]!;
  return { name: "generated", encode: () => codec.encode(value), decode: codec.decode };
}

function npm(value: Page): Contender {
  return { name: "npm flatbuffers", encode: () => encodePage(value), decode: decodePage };
}

const users = page(100);
const mixed = page(100, false);
const one = page(1);
const args = ["Alice", "alice@example.com"];

compare("100 users", [json(users), npm(users), generated("page", users)]);
compare("100 users, one name in ten not ASCII", [
  json(mixed),
  npm(mixed),
  generated("page", mixed),
]);
compare("1 user", [json(one), npm(one), generated("page", one)]);
compare("two short arguments", [json(args), generated("args", args)]);
compare("100 users as `unknown`", [json(users), generated("any", users)]);
await printSizes();

/** Interleaved rounds; the median of each contender's rounds. */
function compare(title: string, contenders: readonly Contender[]): void {
  const encoded = contenders.map((contender) => contender.encode());
  const rounds = contenders.map(() => ({ encode: [] as number[], decode: [] as number[] }));
  for (let round = 0; round < 40; round++) {
    for (const [i, { encode, decode }] of contenders.entries()) {
      rounds[i]!.encode.push(time(encode));
      rounds[i]!.decode.push(time(() => decode(encoded[i]!)));
    }
  }
  console.log(`\n${title}`);
  const results = rounds.map((r) => ({ encode: median(r.encode), decode: median(r.decode) }));
  const base = results[0]!.encode + results[0]!.decode;
  for (const [i, { name }] of contenders.entries()) {
    const { encode, decode } = results[i]!;
    const total = encode + decode;
    console.log(
      `  ${name.padEnd(16)} encode ${micro(encode)}  decode ${micro(decode)}  both ${
        micro(total)
      }  ` +
        `${(base / total).toFixed(2)}x JSON  ${encoded[i]!.length} bytes`,
    );
  }
}

/** Milliseconds per call: enough calls to fill about 4 ms. */
function time(work: () => unknown): number {
  const start = performance.now();
  let calls = 0;
  let elapsed = 0;
  do {
    for (let i = 0; i < 16; i++) work();
    calls += 16;
    elapsed = performance.now() - start;
  } while (elapsed < 4);
  return elapsed / calls;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

function micro(ms: number): string {
  return `${(ms * 1000).toFixed(2).padStart(8)} µs`;
}

/** Minified and gzip size of the whole runtime, and of what a small app's codecs pull in. */
async function printSizes(): Promise<void> {
  const { emitCodecModule } = await import("../compiler/emit/codec.ts");
  const entries = [{ name: "page", shape: { kind: "ref", name: "Page" } as const }];
  const codec = emitCodecModule({ types: TYPES, entries, runtime: CODEC_RUNTIME });
  const runtime = new URL(CODEC_RUNTIME).pathname;
  console.log("\nsize, minified / gzip (the error table included)");
  for (
    const [name, contents] of [
      ["whole runtime", `export * from ${JSON.stringify(runtime)};`],
      ["codec of the page above with what it uses", codec.replace(CODEC_RUNTIME, runtime)],
    ] as const
  ) {
    const { outputFiles } = await esbuild.build({
      stdin: { contents, resolveDir: "/", loader: "ts" },
      bundle: true,
      minify: true,
      write: false,
      format: "esm",
    });
    const bytes = outputFiles[0]!.contents;
    console.log(`  ${name}: ${bytes.length} / ${gzipSync(bytes, { level: 9 }).length} bytes`);
  }
  await esbuild.stop();
}
