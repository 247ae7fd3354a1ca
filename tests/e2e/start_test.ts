/**
 * `kontract start` as its user and a stranger meet it: what the started app refuses, what its database
 * gives away, and what a start says that cannot be.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import postgres from "postgres";
import { HOST_NAMES, type HostName } from "../../cli/dev/host.ts";
import { TemporaryApp } from "../../cli/testing/temporary_app.ts";

const options = {
  sanitizeOps: false,
  sanitizeResources: false,
  ignore: Deno.build.os === "windows",
};

function start(
  app: TemporaryApp,
  host: HostName,
  env: Readonly<Record<string, string>> = {},
): Deno.ChildProcess {
  return app.spawn("start", { host, env, stdout: "piped", stderr: "piped" });
}

/** Who sends too much, or what nobody may send, gets the refusal and not a broken connection. */
async function sendTooMuch(url: string): Promise<void> {
  const session = await (await fetch(`${url}/auth/anonymous`, { method: "POST" })).json();
  const send = async (path: string, size: number, headers: HeadersInit): Promise<string> => {
    const body = new Uint8Array(size);
    const response = await fetch(url + path, { method: "POST", headers, body });
    await response.body?.cancel();
    return `${path} ${response.status}`;
  };
  const json = { "content-type": "application/json" };
  const signed = { ...json, authorization: `Bearer ${session.access}` };
  const sealed = { "content-type": "application/raystream" };
  for (let n = 0; n < 3; n++) {
    const answers = await Promise.all([
      send("/rpc/writeNote", 3 << 20, signed),
      send("/rpc/writeNote", 3 << 20, json),
      send("/rpc/nothing", 3 << 20, signed),
      send("/raystream", 9 << 20, sealed),
    ]);
    assert.deepEqual(answers, [
      "/rpc/writeNote 413",
      "/rpc/writeNote 401",
      "/rpc/nothing 404",
      "/raystream 413",
    ]);
  }
}

/** The database of `start` is Kontract's alone: not even what everyone may do is left to the gateway. */
async function tryWhatEveryoneMay(app: TemporaryApp): Promise<void> {
  const text = await Deno.readTextFile(join(app.folder, ".kontract", "dev.json"));
  const { databaseUrl } = JSON.parse(text) as { databaseUrl: string };
  const gateway = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  try {
    for (
      const statement of [
        "create temp table t (a int)",
        "create table public.t (a int)",
        "create function pg_temp.f() returns int language sql as 'select 1'",
        "select lo_create(0)",
        "select lo_from_bytea(0, 'abc')",
      ]
    ) await assert.rejects(gateway.unsafe(statement), { code: "42501" }, statement);
  } finally {
    await gateway.end();
  }
}

for (const host of HOST_NAMES) {
  Deno.test(
    `what a started app on ${host} refuses is told, and its database gives nothing away`,
    options,
    async () => {
      await using app = await TemporaryApp.create([]);
      const child = start(app, host);
      const { url } = await app.info(child);
      await sendTooMuch(url);
      await tryWhatEveryoneMay(app);
      child.kill("SIGTERM");
      await child.output();
      await app.quiet();
    },
  );
}

Deno.test(
  "a start that cannot be names the variable or the file, and what to do",
  options,
  async (t) => {
    const nobody = "postgres://nobody:secret@127.0.0.1:1/none";
    const cases: readonly (readonly [string, Record<string, string>, string | null, RegExp])[] = [
      [
        "a gateway's database that does not answer",
        { DATABASE_URL: nobody },
        null,
        /^DATABASE_UNAVAILABLE: The PostgreSQL of DATABASE_URL, at 127\.0\.0\.1:1, cannot be used: .*ECONNREFUSED/m,
      ],
      [
        "an admin's database that does not answer",
        { DATABASE_ADMIN_URL: nobody },
        null,
        /^DATABASE_UNAVAILABLE: The PostgreSQL of DATABASE_ADMIN_URL, at 127\.0\.0\.1:1, cannot be used/m,
      ],
      [
        "an emptied secret",
        {},
        "secret",
        /^CONFIG: '.*\.kontract\/secret' is empty\. Put the secret back, or delete the file/m,
      ],
    ];
    await using app = await TemporaryApp.create([]);
    for (const [name, env, emptied, expected] of cases) {
      await t.step(name, async () => {
        if (emptied !== null) {
          await Deno.mkdir(join(app.folder, ".kontract"), { recursive: true });
          await Deno.writeTextFile(join(app.folder, ".kontract", emptied), "");
        }
        const { code, stdout, stderr } = await start(app, "deno", env).output();
        const told = new TextDecoder().decode(stderr);
        assert.match(told, expected);
        assert.doesNotMatch(told, /secret@|^ +at /m, "no password, no stack");
        assert.doesNotMatch(new TextDecoder().decode(stdout), /is at http/);
        assert.equal(code, 1);
        await app.quiet();
      });
    }
  },
);
