/**
 * Generated codecs against JSON and npm flatbuffers in workerd: `deno run -A bench/codec_workerd.ts`.
 *
 * A Worker's clock stands still while it computes, so it repeats a case `n` times per request and the
 * time is taken outside; an empty case is subtracted. Rounds are interleaved, medians printed.
 *
 * @module
 */
import * as esbuild from "esbuild";
import { Miniflare } from "miniflare";
import { emitCodecModule } from "../compiler/emit/codec.ts";
import { CODEC_RUNTIME } from "../compiler/emit/testing/load_codec.ts";
import { ENTRIES, TYPES } from "./codec_page.ts";

const TITLES = ["100 users", "1 user", "two short arguments"] as const;
const CASES = [
  [["JSON", 0], ["npm flatbuffers", 1], ["generated", 2]],
  [["JSON", 3], ["npm flatbuffers", 4], ["generated", 5]],
  [["JSON", 6], ["generated", 7]],
] as const;
const REPEATS = [400, 10_000, 20_000] as const;
const EMPTY = 8;

const WORKER = `
import { decode_args, decode_page, encode_args, encode_page } from "codec";
import { page } from "page";
import { decodePage, encodePage } from "peer";
const text = new TextEncoder(), back = new TextDecoder();
const json = (value) => () => JSON.parse(back.decode(text.encode(JSON.stringify(value))));
const many = page(100), one = page(1), args = ["Alice", "alice@example.com"];
const cases = [
  json(many), () => decodePage(encodePage(many)), () => decode_page(encode_page(many)),
  json(one), () => decodePage(encodePage(one)), () => decode_page(encode_page(one)),
  json(args), () => decode_args(encode_args(args)), () => null,
];
export default { fetch(request) {
  const [, which, n] = new URL(request.url).pathname.split("/").map(Number);
  let last = null;
  for (let i = 0; i < n; i++) last = cases[which]();
  return new Response(JSON.stringify(last ?? "").length + "");
} };`;

const script = await bundle();
const miniflare = new Miniflare({ modules: true, script, compatibilityDate: "2026-01-01" });
try {
  await miniflare.ready;
  for (const [group, contenders] of CASES.entries()) await compare(group, contenders);
} finally {
  await miniflare.dispose();
}

async function compare(
  group: number,
  contenders: readonly (readonly [string, number])[],
): Promise<void> {
  const repeats = REPEATS[group]!;
  const times = contenders.map((): number[] => []);
  const empty: number[] = [];
  for (let round = 0; round < 15; round++) {
    empty.push(await time(EMPTY, 1));
    for (const [i, [, which]] of contenders.entries()) times[i]!.push(await time(which, repeats));
  }
  const results = times.map((list) => (median(list) - median(empty)) / repeats);
  console.log(`\n${TITLES[group]}, encode and decode, workerd`);
  for (const [i, [name]] of contenders.entries()) {
    const micro = (results[i]! * 1000).toFixed(2).padStart(8);
    console.log(
      `  ${name.padEnd(16)} ${micro} µs  ${(results[0]! / results[i]!).toFixed(2)}x JSON`,
    );
  }
}

async function time(which: number, repeats: number): Promise<number> {
  const start = performance.now();
  const response = await miniflare.dispatchFetch(`http://bench/${which}/${repeats}`);
  await response.text();
  return performance.now() - start;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

async function bundle(): Promise<string> {
  const runtime = new URL(CODEC_RUNTIME).pathname;
  const here = (name: string): string => new URL(name, import.meta.url).pathname;
  const codec = emitCodecModule({ types: TYPES, entries: ENTRIES, runtime });
  const flatbuffers = new URL(import.meta.resolve("flatbuffers")).pathname;
  const result = await esbuild.build({
    stdin: { contents: WORKER, resolveDir: "/" },
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    plugins: [{
      name: "bench",
      setup(build) {
        build.onResolve({ filter: /^codec$/ }, () => ({ path: "codec", namespace: "emitted" }));
        build.onResolve({ filter: /^page$/ }, () => ({ path: here("codec_page.ts") }));
        build.onResolve({ filter: /^peer$/ }, () => ({ path: here("flatbuffers_page.ts") }));
        build.onResolve({ filter: /^flatbuffers$/ }, () => ({ path: flatbuffers }));
        build.onLoad({ filter: /.*/, namespace: "emitted" }, () => ({
          contents: codec,
          resolveDir: "/",
        }));
      },
    }],
  });
  await esbuild.stop();
  return result.outputFiles[0]!.text;
}
