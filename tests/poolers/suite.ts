/**
 * The storage suites in a process of their own, against whatever the environment names.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The suites that say what storage promises; they know nothing of the server behind it. */
export const STORAGE_SUITES: readonly string[] = [
  "storage/engine_test.ts",
  "storage/changes_test.ts",
  "storage/groups_test.ts",
  "storage/maintenance/garbage_test.ts",
];

/** Runs suites, one after the other, on a server that nobody else uses; fails with their output where one fails. */
export async function runSuites(
  files: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", ...files],
    cwd: root,
    env: { ...env, KONTRACT_TEST_ALONE: "1", NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(output.stdout) + new TextDecoder().decode(output.stderr);
  assert.equal(output.code, 0, text);
  assert.match(text, /\| \d+ passed/);
}
