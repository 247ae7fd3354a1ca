/**
 * `kontract deploy` where it must not begin. What wrangler makes of the bundle: `tests/registry`, the long run.
 *
 * @module
 */
import assert from "node:assert/strict";
import { parseJsonc } from "../jsonc.ts";
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

Deno.test("a deploy with a database that is out of reach, or a broken wrangler.jsonc, reaches no wrangler", async () => {
  await using app = await makeApp({
    "src/numbers.ts": SOURCE,
    "wrangler.jsonc": `{ "vars": { "GREETING": "hi" }, /* ours */ }`,
  });
  const url = "postgres://nobody:hunter2@127.0.0.1:1/none";
  const settings = {
    KONTRACT_SECRET: new Uint8Array(32).fill(7).toBase64({ alphabet: "base64url" }),
    DATABASE_URL: url,
    DATABASE_ADMIN_URL: url,
  };
  const unreachable = await runCommand(["deploy", app.root], settings);
  assert.equal(unreachable.code, 1);
  assert.match(unreachable.stderr, /^DATABASE_UNAVAILABLE: /m);
  assert.doesNotMatch(unreachable.stderr + unreachable.stdout, /hunter2|wrangler ended/);
  const config = parseJsonc(await app.read("dist/wrangler.jsonc"), "wrangler.jsonc");
  assert.deepEqual([config.main, config.vars], ["./worker/worker.js", { GREETING: "hi" }]);

  await app.write("wrangler.jsonc", "{ ");
  const broken = await runCommand(["deploy", app.root, "--dry-run"], {});
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /^CONFIG: .*wrangler\.jsonc/m);
});
