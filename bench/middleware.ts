/**
 * Middleware, spliced at build time, against Hono's composed at run time, in one run:
 * `deno run -A bench/middleware.ts`.
 *
 * Five middlewares, each with work before and after `next` and a `try`/`finally`, around a function that
 * does nothing. Hono's own `compose` is called directly: no request, no router, no response on either
 * side. Ours is the `invoke` of a built chunk. The plain nested calls that ours stands for run too.
 *
 * @module
 */
import type { Next } from "hono";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, formatDiagnostics } from "../compiler/mod.ts";
import { readGraph } from "../compiler/resolve.ts";
import { makeApp } from "../compiler/testing/app.ts";

const DEPTH = 5;
const CALLS = 20_000;
const ROUNDS = 15;

const state = { before: 0, after: 0 };
(globalThis as { benchState?: typeof state }).benchState = state;

type Call = () => Promise<unknown>;

await using app = await makeApp({
  "src/around.ts": `import { defineMiddleware } from "@kontract/kontract";
const state = (globalThis as unknown as { benchState: { before: number; after: number } }).benchState;
${
    Array.from({ length: DEPTH }, (_, i) =>
      `export const around${i} = defineMiddleware({}, async (next) => {
  state.before++;
  try {
    return await next();
  } finally {
    state.after++;
  }
});`).join("\n")
  }`,
  "src/nothing.ts": `import { backend } from "@kontract/kontract";
export const nothing = backend({}, async (): Promise<void> => {});
`,
});
const result = await build({ root: app.root, hosts: ["deno"] });
if (!result.ok) throw new Error(formatDiagnostics(result.diagnostics));
const chunk = await import(
  pathToFileURL(join(app.root, "dist", result.report.routes[0]!.file)).href
) as { readonly routes: { readonly nothing: { invoke(args: unknown[]): Promise<unknown> } } };
const { nothing } = chunk.routes;

async function around(next: Call): Promise<unknown> {
  state.before++;
  try {
    return await next();
  } finally {
    state.after++;
  }
}
const target = async (): Promise<void> => {};
const nested = Array.from({ length: DEPTH }).reduce<Call>(
  (rest) => () => around(async () => await rest()),
  target,
);

const composed = await honoChain();

const contenders: readonly (readonly [string, () => Promise<unknown>])[] = [
  ["Hono, composed", composed],
  ["plain nested calls", nested],
  ["spliced", () => nothing.invoke([])],
];

const times = new Map<string, number[]>(contenders.map(([name]) => [name, []]));
for (let round = 0; round < ROUNDS + 3; round++) {
  for (const [name, call] of contenders) {
    const start = performance.now();
    for (let i = 0; i < CALLS; i++) await call();
    if (round >= 3) times.get(name)!.push((performance.now() - start) / CALLS * 1000);
  }
}
if (state.before !== state.after) throw new Error("A middleware did not run to its end.");

const median = (list: readonly number[]): number =>
  list.toSorted((a, b) => a - b)[list.length >> 1]!;
const base = median(times.get("Hono, composed")!);
console.log(`${DEPTH} middlewares around a function, µs a call (median of ${ROUNDS} rounds)`);
for (const [name, list] of times) {
  const mine = median(list);
  console.log(`${name.padEnd(20)} ${mine.toFixed(2).padStart(7)}   ${(base / mine).toFixed(1)}×`);
}

/** The chain as Hono runs it, without anything of Hono around it. */
async function honoChain(): Promise<Call> {
  const self = fileURLToPath(import.meta.url);
  const entry = (await readGraph(self, dirname(self))).resolve("hono", self, "deno");
  if (entry.kind !== "file") throw new Error("Hono cannot be found.");
  // Not among the package's exports: only its own application object calls it.
  const file = join(dirname(entry.file), "compose.js");
  const { compose } = await import(pathToFileURL(file).href) as {
    compose(chain: unknown[]): (context: unknown) => Promise<unknown>;
  };
  const handlers = [
    ...Array.from({ length: DEPTH }, () => (_: unknown, next: Next) => around(next)),
    target,
  ];
  const chain = compose(handlers.map((handler) => [[handler, {}], {}]));
  return () => chain({ req: {}, finalized: false });
}
