/**
 * `kontract deploy` where it must not begin, and the bundle it makes. What wrangler makes of that:
 * `tests/registry`, the long run.
 *
 * @module
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { SessionTokenIssuer } from "../../auth/session_token.ts";
import { build, formatDiagnostics } from "../../compiler/mod.ts";
import { parseJsonc } from "../jsonc.ts";
import { makeApp } from "../../compiler/testing/app.ts";
import { workersHost } from "../dev/workers_host.ts";
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

const BROKEN = `import { backend } from "@kontract/kontract";
class StockError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}
function checkStock(): void {
  throw new StockError("no stock");
}
checkStock();
/** Never gets that far. */
export const buy = backend({ readOnly: true }, (): Promise<number> => Promise.resolve(1));
`;

Deno.test(
  "a minified Worker runs in workerd, and keeps names and the author's lines in its stacks",
  { sanitizeOps: false, sanitizeResources: false },
  async () => {
    await using app = await makeApp({ "src/numbers.ts": SOURCE, "src/buy.ts": BROKEN });
    const sizes: number[] = [];
    for (const minify of [false, true]) {
      const outDir = minify ? "dist" : "plain";
      const result = await build({ root: app.root, hosts: ["workers"], outDir, minify });
      assert.equal(formatDiagnostics(result.diagnostics), "");
      sizes.push(result.report.outputs.find(({ file }) => file === "worker/worker.js")!.bytes);
    }
    assert.ok(sizes[1]! < 0.8 * sizes[0]!, `${sizes}`);
    const secret = randomBytes(32);
    const issuer = new SessionTokenIssuer({ secrets: [secret], clock: () => Date.now() });
    const { token } = await issuer.issue({
      owner: crypto.randomUUID(),
      tenant: "main",
      family: randomBytes(16).toString("base64url"),
      anonymous: true,
    });
    let log = "";
    const seen = Promise.withResolvers<void>();
    const host = workersHost({
      dist: join(app.root, "dist"),
      state: join(app.root, "state"),
      again: false,
      env: {
        KONTRACT_SECRET: secret.toString("base64url"),
        DATABASE_URL: "postgres://a:b@127.0.0.1:9/x",
      },
      output: (stream) =>
        void stream.pipeTo(
          new WritableStream({
            write(bytes): void {
              log += new TextDecoder().decode(bytes);
              if (log.includes("buy.ts")) seen.resolve();
            },
          }),
        ),
    });
    const origin = await host.load();
    const call = async (name: string, body: string): Promise<unknown> => {
      const response = await fetch(`${origin}/rpc/${name}`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}` },
        body,
      });
      return (await response.json()).error.code;
    };
    try {
      assert.equal(await call("double", '["two"]'), "VALIDATION");
      assert.equal(await call("buy", "[]"), "INTERNAL");
      assert.equal(await call("sell", "[]"), "ROUTE_NOT_FOUND");
      await seen.promise;
    } finally {
      await host.stop();
    }
    assert.match(log, /"name":"StockError"/);
    assert.match(log, /at checkStock \(file:[^)]*\/src\/buy\.ts:8:9\)/);
  },
);
