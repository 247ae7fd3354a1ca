/**
 * `deno task coverage`: all tests, then how many lines of what is published they ran.
 *
 * Every Deno process that the tests start counts as well (commands, servers), and so does the package's code in
 * workerd and in the pages of `tests/browser` (see `line_counters.ts`). Files that no test loads count with all
 * their lines. What ran from an app's built bundle does not count, though the same sources ran there, and neither
 * does a process that a test kills: the figure is a lower bound.
 * Arguments go to `deno test`. The exit code is 1 where a test failed or the lines are fewer than the goal.
 *
 * @module
 */
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { COUNTED } from "./line_counters.ts";
import { isPublished, root } from "./published.ts";

/** Lines of the package that tests must run, in percent. */
const GOAL = 97;

/** Lines of one file: those with code, and those of them that no test ran. */
export interface FileLines {
  readonly file: string;
  readonly lines: number;
  readonly missed: readonly number[];
}

/** How often each line of each file ran, by a report in lcov's format; files are named from `folder`. */
export function readLcov(text: string, folder: string): Map<string, Map<number, number>> {
  const files = new Map<string, Map<number, number>>();
  let current = new Map<number, number>();
  for (const line of text.split("\n")) {
    if (line.startsWith("SF:")) {
      const file = relative(folder, line.slice(3)).replaceAll("\\", "/");
      current = files.get(file) ?? new Map();
      files.set(file, current);
    } else if (line.startsWith("DA:")) {
      const [at = 0, count = 0] = line.slice(3).split(",").map(Number);
      current.set(at, Math.max(current.get(at) ?? 0, count));
    }
  }
  return files;
}

/**
 * What no process ran. Deno's report says which lines hold code; `counters` are reports of lines that ran
 * elsewhere.
 */
export function missedLines(deno: string, counters: string, folder: string): readonly FileLines[] {
  const elsewhere = readLcov(counters, folder);
  return [...readLcov(deno, folder)].map(([file, counts]) => ({
    file,
    lines: counts.size,
    missed: [...counts]
      .filter(([at, count]) => count === 0 && !elsewhere.get(file)?.has(at))
      .map(([at]) => at).sort((a, b) => a - b),
  }));
}

/** `3-5, 9` for 3, 4, 5, 9. */
export function ranges(lines: readonly number[]): string {
  const found: [number, number][] = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (last !== undefined && line <= last[1] + 1) last[1] = line;
    else found.push([line, line]);
  }
  return found.map(([from, to]) => from === to ? `${from}` : `${from}-${to}`).join(", ");
}

async function deno(args: readonly string[], env: Record<string, string>): Promise<number> {
  const command = new Deno.Command(Deno.execPath(), { args: [...args], cwd: root, env });
  return (await command.spawn().status).code;
}

/**
 * Keeps the coverage of the package's own modules, whole: one file that a killed process had begun to write, or one
 * of a source that is gone or has changed since, as tests make them, fails the whole report.
 */
export async function keepPublished(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".json")) continue;
    const path = join(folder, name);
    if (!isWhole(await Deno.readTextFile(path))) await Deno.remove(path);
  }
}

/** True for a complete file of a published module. */
function isWhole(text: string): boolean {
  const url = /^\s*\{[^[]*"url": *"([^"]*)"/.exec(text)?.[1] ?? "";
  const source = pathToFileURL(root).href;
  return text.endsWith("}") && url.startsWith(source) && isPublished(url.slice(source.length));
}

/** All reports of line counters. */
async function counted(folder: string): Promise<string> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const names = entries.map(({ name }) => name).filter((name) => name.endsWith(COUNTED));
  return (await Promise.all(names.map((name) => Deno.readTextFile(join(folder, name))))).join("");
}

function report(files: readonly FileLines[]): number {
  const ours = files.filter(({ file }) => isPublished(file));
  const lines = ours.reduce((sum, { lines }) => sum + lines, 0);
  const missed = ours.reduce((sum, { missed }) => sum + missed.length, 0);
  const worst = ours.filter(({ missed }) => missed.length > 0)
    .toSorted((a, b) => b.missed.length - a.missed.length);
  for (const { file, missed } of worst) {
    console.log(`${String(missed.length).padStart(4)}  ${file}: ${ranges(missed)}`);
  }
  const percent = 100 * (lines - missed) / lines;
  console.log(
    `\nline coverage: ${
      percent.toFixed(2)
    } % of ${lines} lines in ${ours.length} files (goal: ${GOAL} %)`,
  );
  return percent >= GOAL ? 0 : 1;
}

async function main(): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "kontract_coverage_" });
  try {
    const env = { DENO_COVERAGE_DIR: folder };
    const loaded = await deno(["run", "-A", "--no-check", "tests/line_coverage/published.ts"], env);
    if (loaded !== 0) return loaded;
    const tests = await deno(["run", "-A", "tests/run.ts", ...Deno.args], env);
    await keepPublished(folder);
    const out = join(folder, "deno.info");
    const made = await deno(["coverage", "--lcov", `--output=${out}`, folder], { NO_COLOR: "1" });
    if (made !== 0) return made;
    return report(missedLines(await Deno.readTextFile(out), await counted(folder), root)) || tests;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main());
