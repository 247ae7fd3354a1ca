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
import { CODEC_RUNTIME, loadCodecs } from "../compiler/emit/testing/load_codec.ts";
import { ENTRIES, page, TYPES } from "./codec_page.ts";
import { decodePage, encodePage, type Page } from "./flatbuffers_page.ts";

const codecs = await loadCodecs(TYPES, ENTRIES);

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
