/**
 * `kontract deploy`: where it must not begin, the bundle it makes, and a whole deploy by the real wrangler
 * to a stand-in for Cloudflare's API.
 *
 * @module
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { SessionTokenIssuer } from "../../auth/session_token.ts";
import { build, formatDiagnostics } from "../../compiler/mod.ts";
import { parseJsonc } from "../jsonc.ts";
import { makeApp } from "../../compiler/testing/app.ts";
import { workersHost } from "../dev/workers_host.ts";
import { testDatabase } from "../../tests/postgres.ts";
import { CloudflareApi, type Upload, type UploadedBinding } from "../testing/cloudflare_api.ts";
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

Deno.test("deploy --dry-run tells the Worker and dist/ in a few lines, and all with --verbose", {
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  await using app = await makeApp({ "src/numbers.ts": SOURCE });
  assert.ok((await build({ root: app.root })).ok);
  const run = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await runCommand(
      ["deploy", app.root, "--dry-run", ...args],
      {},
    );
    assert.equal(code, 0, stdout + stderr);
    return stdout;
  };
  const short = await run();
  assert.match(short, /^Worker: \d+ files/m);
  assert.match(short, /env\.SESSION/);
  assert.doesNotMatch(short, /chunks\//);
  assert.match(short, /\nNothing was deployed.* dist\/ is now the build for Workers alone\.\n$/);
  const dist = [...Deno.readDirSync(join(app.root, "dist"))].map(({ name }) => name);
  assert.ok(dist.includes("wrangler.jsonc") && !dist.includes("deno"), dist.join());
  assert.match(await run("--verbose"), /chunks\//);
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
      outputs: null,
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

const NOTES = `import { backend, env, perms, primkey, table } from "@kontract/kontract";
/** Notes. */
@table("notes", { perm: perms.RWX })
export class Note {
  @primkey
  id!: string;
  text!: string;
}
/** Writes a note. */
export const write = backend({ perm: perms.RWX }, async (id: string, text: string): Promise<void> => {
  await env.storage.notes.set(id, { text });
});
/** Reads a note. */
export const read = backend({ perm: perms.R__ }, async (id: string): Promise<string | null> =>
  (await env.storage.notes.get(id))?.text ?? null);
`;

Deno.test({
  name: "a deploy migrates the database and hands wrangler a Worker that runs, with its secrets",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    await using app = await makeApp({
      "src/notes.ts": NOTES,
      "web/index.html": "<!doctype html><h1>notes</h1>",
    });
    await using cloudflare = new CloudflareApi();
    const temporary = await Deno.makeTempDir({ prefix: "kontract_deploy_" });
    const db = await testDatabase([]);
    const secret = db.secrets[0]!.toBase64({ alphabet: "base64url", omitPadding: true });
    const deploy = () =>
      runCommand(["deploy", app.root], {
        ...cloudflare.env,
        KONTRACT_SECRET: secret,
        DATABASE_URL: db.gatewayUrl,
        DATABASE_ADMIN_URL: db.adminUrl,
        TMPDIR: temporary,
        XDG_CONFIG_HOME: temporary,
      });
    try {
      await t.step(
        "the upload is the build; the secrets are bindings and nothing else",
        async () => {
          const { code, stdout, stderr } = await deploy();
          assert.equal(code, 0, stdout + stderr);
          assert.match(stdout, /migrated: create table 'notes'/);
          assert.match(stdout, /Deployed \S+ triggers/);
          const [{ metadata, files }, ...more] = cloudflare.uploads as [Upload, ...Upload[]];
          assert.equal(more.length, 0);
          for (const [path, text] of files) {
            if (path.endsWith(".js")) {
              assert.ok(text === await app.read(`dist/worker/${path}`), path);
            } else assert.ok(files.has(path.slice(0, -".map".length)), path);
          }
          assert.ok(files.has(metadata.main_module));
          const bound = metadata.bindings.map(({ name, type }) => `${name} ${type}`).sort();
          assert.deepEqual(bound, [
            "ASSETS assets",
            "CHANGE_HUB durable_object_namespace",
            "DATABASE_URL secret_text",
            "DB_POOL durable_object_namespace",
            "KONTRACT_SECRET secret_text",
            "KVC durable_object_namespace",
            "SESSION durable_object_namespace",
          ]);
          assert.equal(textOf(metadata.bindings, "KONTRACT_SECRET"), secret);
          assert.deepEqual(metadata.migrations?.steps[0]?.new_sqlite_classes.toSorted(), [
            "ChangeHubDO",
            "DbPoolDO",
            "KvcDO",
            "SessionDO",
          ]);
          assert.deepEqual(cloudflare.assets.filter((path) => path === "/index.html"), [
            "/index.html",
          ]);
          assert.deepEqual(cloudflare.crons, ["* * * * *"]);
          const password = decodeURIComponent(new URL(db.gatewayUrl).password);
          const seen = [stdout, stderr, ...files.values(), await app.read("dist/wrangler.jsonc")];
          for (const text of seen) {
            assert.ok(!text.includes(secret) && !text.includes(password));
          }
        },
      );

      await t.step(
        "what was uploaded runs in workerd, on the database that was migrated",
        async () => {
          const [{ metadata, files }] = cloudflare.uploads as [Upload];
          const dist = join(temporary, "uploaded");
          for (const [path, text] of files) {
            const file = join(dist, "worker", path);
            await Deno.mkdir(dirname(file), { recursive: true });
            await Deno.writeTextFile(file, text);
          }
          const host = workersHost({
            dist,
            state: join(temporary, "state"),
            outputs: null,
            env: Object.fromEntries(
              ["KONTRACT_SECRET", "DATABASE_URL"].map((
                name,
              ) => [name, textOf(metadata.bindings, name)!]),
            ),
            output: (stream) => void stream.pipeTo(new WritableStream()),
          });
          const origin = await host.load();
          try {
            const issuer = new SessionTokenIssuer({ secrets: db.secrets, clock: () => Date.now() });
            const { token } = await issuer.issue({
              owner: crypto.randomUUID(),
              tenant: "main",
              family: randomBytes(16).toString("base64url"),
              anonymous: true,
            });
            const call = async (name: string, args: unknown[]): Promise<unknown> => {
              const response = await fetch(`${origin}/rpc/${name}`, {
                method: "POST",
                headers: { authorization: `Bearer ${token}` },
                body: JSON.stringify(args),
              });
              assert.equal(response.status, 200);
              return (await response.json()).result;
            };
            await call("write", ["a", "deployed"]);
            assert.equal(await call("read", ["a"]), "deployed");
          } finally {
            await host.stop();
          }
        },
      );

      await t.step(
        "a second deploy makes no Durable Object again, and takes the page that another bundler made",
        async () => {
          await app.write("kontract.json", `{ "name": "app", "site": "site" }`);
          await app.write(
            "site/index.html",
            "<!doctype html><script src=/assets/page.js></script>",
          );
          await app.write("site/assets/page.js", "document.title = 'made by Vite';");
          const { code, stdout, stderr } = await deploy();
          assert.equal(code, 0, stdout + stderr);
          assert.equal(cloudflare.uploads.length, 2);
          assert.equal(cloudflare.uploads[1]!.metadata.migrations, undefined);
          assert.deepEqual([...cloudflare.assets].sort(), ["/assets/page.js", "/index.html"]);
        },
      );

      await t.step(
        "what Cloudflare refuses fails the deploy, and leaves no secret behind",
        async () => {
          cloudflare.refuses = true;
          const { code, stderr } = await deploy();
          assert.equal(code, 1);
          assert.match(
            stderr,
            /wrangler ended with code 1; dist\/wrangler\.jsonc is what it was given/,
          );
          const left = [...Deno.readDirSync(temporary)].filter(({ name }) =>
            /^kontract_/.test(name)
          );
          assert.deepEqual(left, []);
        },
      );
    } finally {
      await db.close();
      await Deno.remove(temporary, { recursive: true });
    }
  },
});

function textOf(bindings: readonly UploadedBinding[], name: string): string | undefined {
  return bindings.find((binding) => binding.name === name)?.text;
}
