/**
 * `kontract deploy` where it must not begin. What wrangler makes of the bundle: `tests/registry`, the long run.
 *
 * @module
 */
import assert from "node:assert/strict";
import { makeApp } from "../../compiler/testing/app.ts";
import { runCommand } from "../testing/run_command.ts";

const SOURCE = `import { backend } from "@kontract/kontract";
/** Doubles. */
export const double = backend({ readOnly: true }, (n: number): Promise<number> => Promise.resolve(2 * n));
`;

Deno.test("a deploy names the settings that are missing, and does nothing", async () => {
  await using app = await makeApp({ "src/numbers.ts": SOURCE });
  const { code, stderr } = await runCommand(["deploy", app.root], { DATABASE_URL: "postgres://x" });
  assert.equal(code, 1);
  assert.match(stderr, /^CONFIG: .*KONTRACT_SECRET, DATABASE_ADMIN_URL in the environment/);
  await assert.rejects(Deno.stat(`${app.root}/dist`), Deno.errors.NotFound);
});
