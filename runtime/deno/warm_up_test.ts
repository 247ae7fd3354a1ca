/** What a process has done before it gets the app, and what becomes of it. */
import assert from "node:assert/strict";
import { AUTH_TABLES } from "../../auth/tables.ts";
import { testDatabase } from "../../tests/postgres.ts";
import { NOTES, NOTES_APP } from "../testing/notes_app.ts";
import { createServer, warmUp } from "./mod.ts";

Deno.test("the server that is made after a warm-up with its environment is connected, the next is not", async () => {
  const database = await testDatabase([...AUTH_TABLES, NOTES]);
  const settings: Readonly<Record<string, string>> = {
    DATABASE_URL: database.gatewayUrl,
    KONTRACT_SECRET: database.secrets.map((one) => one.toBase64({ alphabet: "base64url" })).join(),
  };
  const env = (name: string): string | undefined => settings[name];
  const connections = async (): Promise<readonly string[]> => {
    const rows = await database
      .admin`select pid from pg_stat_activity where usename = ${database.gatewayRole}`;
    return rows.map(({ pid }) => String(pid)).sort();
  };
  const server = (url = database.gatewayUrl): ReturnType<typeof createServer> =>
    createServer(NOTES_APP, {
      env: (name) => name === "DATABASE_URL" ? url : env(name),
      public: null,
      logSink: () => {},
    });
  const visit = async (one: ReturnType<typeof createServer>): Promise<number> => {
    const response = await one.fetch(
      new Request("http://app.test/auth/anonymous", { method: "POST" }),
    );
    await response.body?.cancel();
    return response.status;
  };
  await warmUp();
  assert.deepEqual(await connections(), [], "without the environment it asks nobody");
  await warmUp(env);
  await warmUp(env);
  const ahead = await connections();
  assert.equal(ahead.length, 1);
  const other = server(`${database.gatewayUrl}?prepare=false`);
  const first = server();
  const second = server();
  try {
    assert.equal(await visit(first), 200);
    assert.deepEqual(await connections(), ahead, "it has the connection that was there");
    for (const one of [second, other]) assert.equal(await visit(one), 200);
    assert.equal((await connections()).length, 3, "one of other settings, and a later one, do not");
  } finally {
    for (const one of [first, second, other]) await one.close();
  }
  assert.deepEqual(await connections(), []);
  await database.close();
});

Deno.test("a warm-up without a database, or with settings that are wrong, rejects nothing", async () => {
  await warmUp((name) => name === "DATABASE_URL" ? "postgres://a:b@127.0.0.1:1/none" : undefined);
  await warmUp(() => undefined);
});
