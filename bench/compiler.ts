/**
 * Building a large app: `deno run -A bench/compiler.ts [routes] [files]`.
 *
 * Clean build, a leaf edit and a shared type's edit in one watch process; then the same edits beside what
 * TypeScript's own language service needs for them (answers for the edited file; for a shared type, for all
 * files), round by round. Prints medians and p95 by the clock, processor time of this process (the bundler's is
 * not in it), the ratio to TypeScript's, and the watch process's memory.
 *
 * @module
 */
import { join } from "node:path";
import { createBuilder, formatDiagnostics, stopBundler } from "../compiler/mod.ts";
import { makeApp } from "../compiler/testing/app.ts";
import { largeApp, leafModule, sharedModule } from "../compiler/testing/large_app.ts";
import { goal } from "./goal.ts";
import { processorTime, type Spent, typescriptAlone } from "./typescript_alone.ts";

const routes = Number(Deno.args[0] ?? 1000);
const files = Number(Deno.args[1] ?? 200);
const each = Math.ceil(routes / files);
const LEAF_EDITS = 21, SHARED_EDITS = 5;

await using app = await makeApp(largeApp(routes, files));
const builder = createBuilder({ root: app.root, hosts: ["deno"], layout: "modules" });

interface Built extends Spent {
  readonly timings: Readonly<Record<string, number>>;
}

async function built(): Promise<Built> {
  const start = performance.now(), spent = processorTime();
  const result = await builder.rebuild();
  const wall = performance.now() - start;
  if (!result.ok) throw new Error(formatDiagnostics(result.diagnostics));
  return { wall, cpu: processorTime() - spent, timings: result.timings };
}

let edits = 0;
const leaf = (): string => leafModule(7, each, ` console.log(${edits++});`);
const shared = (): string => sharedModule(`; extra${edits++}: number`);

async function edited(path: string, text: string): Promise<Built> {
  await app.write(path, text);
  return await built();
}

function part(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

function line(title: string, all: readonly Spent[]): string {
  const [wall, cpu] = [all.map((one) => one.wall), all.map((one) => one.cpu)];
  const ms = (value: number): string => `${value.toFixed(0).padStart(6)} ms`;
  return `${title.padEnd(40)} median${ms(part(wall, 0.5))}  p95${ms(part(wall, 0.95))}  processor${
    ms(part(cpu, 0.5))
  }`;
}

async function series(count: number, one: () => Promise<Built>): Promise<readonly Built[]> {
  const all: Built[] = [];
  for (let i = 0; i < count; i++) all.push(await one());
  return all;
}

console.log(`${routes} routes in ${files} files, load ${Deno.loadavg()[0]!.toFixed(1)}`);
const clean = await built();
console.log(line("clean build", [clean]), clean.timings);
console.log(`  ${goal("clean build", clean.wall, 4000, "ms")}`);
await built();
const leaves = await series(LEAF_EDITS, () => edited("src/part7.ts", leaf()));
console.log(line("leaf edit, rebuilt", leaves), leaves.at(-1)!.timings);
const types = await series(SHARED_EDITS, () => edited("src/shared.ts", shared()));
console.log(line("shared type edit, rebuilt", types), types.at(-1)!.timings);
console.log(`  ${goal("memory", Deno.memoryUsage().rss / 1e6, 700, "MB")}`);

const own = typescriptAlone(join(app.root, "src"));
console.log(line("TypeScript alone, first check", [own.first]));
const rounds: { readonly ours: Built; readonly theirs: Spent }[][] = [[], []];
for (let i = 0; i < LEAF_EDITS; i++) {
  const theirs = own.leaf("part7.ts", leaf());
  rounds[0]!.push({ theirs, ours: await edited("src/part7.ts", leaf()) });
}
for (let i = 0; i < SHARED_EDITS; i++) {
  const theirs = own.shared("shared.ts", shared());
  rounds[1]!.push({ theirs, ours: await edited("src/shared.ts", shared()) });
}
for (const [i, title] of ["leaf edit", "shared type edit"].entries()) {
  console.log(line(`TypeScript alone, ${title}`, rounds[i]!.map(({ theirs }) => theirs)));
  console.log(line(`beside it, ${title}, rebuilt`, rounds[i]!.map(({ ours }) => ours)));
  const ratio = (of: "wall" | "cpu"): number =>
    part(rounds[i]!.map(({ ours, theirs }) => ours[of] / theirs[of]), 0.5);
  const processor = title === "shared type edit"
    ? goal("of processor", ratio("cpu"), 1.5, "x")
    : `of processor ${ratio("cpu").toFixed(2)} x`;
  console.log(
    `  ratio, median of rounds: by the clock ${ratio("wall").toFixed(2)} x; ${processor}`,
  );
}
console.log(`load ${Deno.loadavg()[0]!.toFixed(1)}`);
await stopBundler();
