/**
 * `deno task coverage`: all tests, then how many lines of what is published they ran.
 *
 * Every Deno process that the tests start counts as well (commands, servers). What ran from a built bundle,
 * in workerd or in a browser does not, though the same sources ran there, and neither does a process that a
 * test kills: the figure is a lower bound.
 * Arguments go to `deno test`. The exit code is 1 where a test failed or the lines are fewer than the goal.
 *
 * @module
 */
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** Lines of the package that tests must run, in percent. */
const GOAL = 97;

const root = fileURLToPath(new URL("..", import.meta.url));
const PUBLISHED =
  /^(?:mod|cli)\.ts$|^(?:_internal|auth|cli|compiler|events|protocol|runtime|storage)\//;
const NOT_PUBLISHED = /_test\.ts$|_suite\.ts$|\/testing\/|\/testdata\/|\/template\//;

/** Lines of one file: those with code, and those of them that no test ran. */
export interface FileLines {
  readonly file: string;
  readonly lines: number;
  readonly missed: readonly number[];
}

/** Reads a report in lcov's format; a line that any process ran counts as run. */
export function readLcov(text: string, folder: string): readonly FileLines[] {
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
  return [...files].map(([file, counts]) => ({
    file,
    lines: counts.size,
    missed: [...counts].filter(([, count]) => count === 0).map(([at]) => at).sort((a, b) => a - b),
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

/** Removes what processes were writing when a test killed them: one such file fails the whole report. */
export async function dropUnfinished(folder: string): Promise<void> {
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile) continue;
    const path = join(folder, name);
    const file = await Deno.open(path);
    const { size } = await file.stat();
    const last = new Uint8Array(1);
    if (size > 0) await file.seek(-1, Deno.SeekMode.End);
    const read = await file.read(last);
    file.close();
    if (read !== 1 || last[0] !== "}".charCodeAt(0)) await Deno.remove(path);
  }
}

function report(files: readonly FileLines[]): number {
  const ours = files.filter(({ file }) => PUBLISHED.test(file) && !NOT_PUBLISHED.test(file));
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
    const tests = await deno(["run", "-A", "tests/run.ts", ...Deno.args], env);
    await dropUnfinished(folder);
    const out = join(folder, "lines.lcov");
    const made = await deno(["coverage", "--lcov", `--output=${out}`, folder], { NO_COLOR: "1" });
    if (made !== 0) return made;
    return report(readLcov(await Deno.readTextFile(out), root)) || tests;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main());
