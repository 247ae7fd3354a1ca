/**
 * `deno task test`: every test of the repository, by one command, on a clean machine.
 *
 * One embedded PostgreSQL serves the run and is handed to the tests as `DATABASE_ADMIN_URL`, unless
 * that is set already. The examples are built first (`examples.ts`), since their tests import the
 * generated client; `KONTRACT_EXAMPLES=built` says that they are. Files that take longest start first,
 * so that no core waits for one of them at the end.
 * `deno test` runs in a session of its own, so that whatever a test left behind ends with the run. What it
 * writes to disk, above all databases, is in memory where that has room (`run_folder.ts`), and goes with
 * the run: a new database is 300 files, and making them on a disk costs more CPU time than all that is
 * asked of it then.
 *
 * The last line is `N passed, N failed` (and `, N skipped`); the exit code says the same. With
 * `KONTRACT_LONG=1` the long tests run too. Arguments go to `deno test`; `--no-check` is for those who
 * have checked the types.
 *
 * @module
 */
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../cli/embedded_postgres.ts";
import { type KeptProcess, spawnKept } from "../cli/process/keeper.ts";
import { makeRunFolder, removeLeftFolders, type RunFolder } from "./run_folder.ts";

/** What a run came to. */
interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A run that takes longer hangs: it is ended and has failed. The longest tests have no limit. */
const LIMIT_MINUTES = 40;

/** Bytes that must be free in memory for the run's files to be there. */
const ROOM_IN_MEMORY = 6 * 1024 ** 3;

const root = new URL("..", import.meta.url).pathname;
let running: KeptProcess | null = null;
let interrupted = false;

/** Runs `deno` with these arguments, shows what it says, and returns its exit code. */
async function deno(args: string[], env: Record<string, string>): Promise<number> {
  if (interrupted) return 130;
  const color: Record<string, string> = Deno.stdout.isTerminal() && !Deno.noColor
    ? { FORCE_COLOR: "1" }
    : {};
  running = spawnKept({
    command: Deno.execPath(),
    args,
    cwd: root,
    env: { ...env, ...color },
    signal: "TERM",
  });
  const show = { preventClose: true };
  await Promise.all([
    running.stdout.pipeTo(Deno.stdout.writable, show),
    running.stderr.pipeTo(Deno.stderr.writable, show),
  ]);
  return await running.status;
}

/** Reads the totals out of a JUnit report; null where none was written. */
export function totalsOf(junit: string): Totals | null {
  const suites = /<testsuites\b([^>]*)>/.exec(junit)?.[1];
  if (suites === undefined) return null;
  const attribute = (name: string): number =>
    Number(new RegExp(`\\b${name}="(\\d+)"`).exec(suites)?.[1] ?? 0);
  const failed = attribute("failures") + attribute("errors");
  const skipped = junit.match(/<skipped\b/g)?.length ?? 0;
  return { passed: attribute("tests") - failed - skipped, failed, skipped };
}

/** Files that run longest, for the real processes they start; the first is the longest. */
const LONGEST: readonly string[] = [
  "cli/lifecycle_test.ts",
  "tests/browser/rooms_test.ts",
  "compiler/incremental_test.ts",
  "tests/e2e/both_hosts_test.ts",
  "tests/registry/created_app_test.ts",
  "tests/browser/guestbook_test.ts",
  "cli/commands/deploy_test.ts",
  "compiler/golden_test.ts",
  "compiler/build_test.ts",
  "tests/poolers/installed_server_test.ts",
  "tests/e2e/key_rotation_test.ts",
  "tests/poolers/pgbouncer_test.ts",
  "cli/dev/dev_test.ts",
  "tests/rights/matrix_test.ts",
  "examples/rooms/tests/rooms_test.ts",
];

/** What `deno test` is told: `args`, and where they name no file or folder, everything in its order. */
export async function testArguments(args: readonly string[]): Promise<readonly string[]> {
  const named = args.filter((arg) => !arg.startsWith("-"));
  for (const path of named) {
    if (await Deno.stat(join(root, path)).then(() => true, () => false)) return args;
  }
  return [...args, ...LONGEST, "."];
}

/**
 * A folder for the run's temporary files in memory, where programs may be run from there and it has room; else,
 * and where the caller has chosen one, null.
 */
async function folderInMemory(): Promise<RunFolder | null> {
  if (Deno.env.has("TMPDIR")) return null;
  try {
    const mounts = await Deno.readTextFile("/proc/mounts");
    const options = /^\S+ \/dev\/shm tmpfs (\S+)/m.exec(mounts)?.[1];
    if (options === undefined || /\b(?:noexec|ro)\b/.test(options)) return null;
    await removeLeftFolders("/dev/shm");
    const { bavail, bsize } = await statfs("/dev/shm");
    const available = /^MemAvailable: +(\d+) kB/m.exec(await Deno.readTextFile("/proc/meminfo"))
      ?.[1];
    const room = Math.min(bavail * bsize, Number(available ?? 0) * 1024, await groupLimit());
    if (room < ROOM_IN_MEMORY) return null;
    return await makeRunFolder("/dev/shm");
  } catch {
    return null; // another system, or a folder that is not ours to use: the disk does
  }
}

/** Bytes that a container may have of the machine's memory. */
async function groupLimit(): Promise<number> {
  const text = await Deno.readTextFile("/sys/fs/cgroup/memory.max").catch(() => "max");
  return text.trim() === "max" ? Infinity : Number(text);
}

async function test(adminUrl: string, args: string[]): Promise<Totals> {
  const reports = await Deno.makeTempDir({ prefix: "kontract_tests_" });
  try {
    const report = join(reports, "junit.xml");
    const limit = Deno.env.has("KONTRACT_LONG") ? undefined : setTimeout(() => {
      console.error(`The tests have not ended after ${LIMIT_MINUTES} minutes and are stopped.`);
      void running?.stop();
    }, LIMIT_MINUTES * 60_000);
    const code = await deno(
      ["test", "-A", "--parallel", `--junit-path=${report}`, ...await testArguments(args)],
      { DATABASE_ADMIN_URL: adminUrl },
    );
    clearTimeout(limit);
    const totals = totalsOf(await Deno.readTextFile(report).catch(() => ""));
    if (totals === null) return { passed: 0, failed: 1, skipped: 0 };
    // A module that does not load or type-check fails the run without being a test.
    return code !== 0 && totals.failed === 0 ? { ...totals, failed: 1 } : totals;
  } finally {
    await Deno.remove(reports, { recursive: true });
  }
}

function stopOnSignals(): void {
  const stop = (): void => {
    interrupted = true;
    void running?.stop();
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) Deno.addSignalListener(signal, stop);
}

async function main(): Promise<number> {
  stopOnSignals();
  let server: EmbeddedPostgres | null = null;
  let totals: Totals = { passed: 0, failed: 1, skipped: 0 };
  const memory = await folderInMemory();
  if (memory !== null) Deno.env.set("TMPDIR", memory.path);
  try {
    const built = Deno.env.get("KONTRACT_EXAMPLES") === "built" ||
      await deno(["run", "-A", "--no-check", "tests/examples.ts"], {}) === 0;
    if (built) {
      const given = Deno.env.get("DATABASE_ADMIN_URL") ?? "";
      if (given === "") server = await startEmbeddedPostgres();
      totals = await test(server?.url ?? given, Deno.args);
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  } finally {
    try {
      await server?.stop();
    } finally {
      await memory?.remove();
    }
  }
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
  const failed = interrupted ? Math.max(1, totals.failed) : totals.failed;
  await Deno.stdout.write(
    new TextEncoder().encode(`\n${totals.passed} passed, ${failed} failed${skipped}\n`),
  );
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
