/**
 * Building a large app: `deno run -A bench/compiler.ts [routes] [files]`.
 *
 * Clean build, a leaf edit and a shared type's edit in one watch process, beside what TypeScript's own
 * language service needs for the same edits (answers for the edited file; for a shared type, for all
 * files). Prints medians, p95 and the process's memory.
 *
 * @module
 */
import { join } from "node:path";
import { createBuilder, formatDiagnostics, stopBundler } from "../compiler/mod.ts";
import { makeApp } from "../compiler/testing/app.ts";
import { largeApp, leafModule, sharedModule } from "../compiler/testing/large_app.ts";
import { typescriptAlone } from "./typescript_alone.ts";

const routes = Number(Deno.args[0] ?? 1000);
const files = Number(Deno.args[1] ?? 200);
const each = Math.ceil(routes / files);
const LEAF_EDITS = 21, SHARED_EDITS = 5;

await using app = await makeApp(largeApp(routes, files));
const builder = createBuilder({ root: app.root, hosts: ["deno"], layout: "modules" });

async function timed(): Promise<
  { readonly ms: number; readonly timings: Readonly<Record<string, number>> }
> {
  const start = performance.now();
  const result = await builder.rebuild();
  const ms = performance.now() - start;
  if (!result.ok) throw new Error(formatDiagnostics(result.diagnostics));
  return { ms, timings: result.timings };
}

function line(title: string, times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): string =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!.toFixed(0).padStart(6);
  return `${title.padEnd(40)} median ${at(0.5)} ms   p95 ${at(0.95)} ms`;
}

console.log(`${routes} routes in ${files} files`);
const clean = await timed();
console.log(`clean build ${clean.ms.toFixed(0)} ms`, clean.timings);
await timed();
const leaf: number[] = [];
let stages: Readonly<Record<string, number>> = {};
for (let i = 0; i < LEAF_EDITS; i++) {
  await app.write("src/part7.ts", leafModule(7, each, ` console.log(${i});`));
  const { ms, timings } = await timed();
  leaf.push(ms);
  stages = timings;
}
console.log(line("leaf edit, rebuilt", leaf), stages);
const shared: number[] = [];
for (let i = 0; i < SHARED_EDITS; i++) {
  await app.write("src/shared.ts", sharedModule(`; extra${i}: number`));
  const { ms, timings } = await timed();
  shared.push(ms);
  stages = timings;
}
console.log(line("shared type edit, rebuilt", shared), stages);
console.log(`memory ${(Deno.memoryUsage().rss / 1e6).toFixed(0)} MB`);
await stopBundler();

const own = typescriptAlone(join(app.root, "src"), {
  leaf: (i) => ["part7.ts", leafModule(7, each, ` console.log(-${i});`)],
  shared: (i) => ["shared.ts", sharedModule(`; other${i}: number`)],
  leafEdits: LEAF_EDITS,
  sharedEdits: SHARED_EDITS,
});
console.log(`TypeScript alone: first check ${own.first.toFixed(0)} ms`);
console.log(line("TypeScript alone, leaf edit", own.leaf));
console.log(line("TypeScript alone, shared type edit", own.shared));
