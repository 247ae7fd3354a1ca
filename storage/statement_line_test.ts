/**
 * A connection's second statement and those after it, against PostgreSQL itself and against what a driver makes of
 * the same statements.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import postgres from "postgres";
import { testDatabase } from "../tests/postgres.ts";
import { direct } from "./direct.ts";
import { type OpenClient, PostgresConnection } from "./postgres_connection.ts";

interface Case {
  /** What the connection has opened, in order. */
  readonly sockets: readonly Socket[];
  readonly admin: postgres.Sql;
  /** Runs on the one connection, whose first statement has been run. */
  run(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  pid(): Promise<number>;
}

async function withConnection(body: (c: Case) => Promise<void>): Promise<void> {
  const db = await testDatabase([]);
  const sockets: Socket[] = [];
  const open: OpenClient = (socket) =>
    postgres(db.adminUrl, {
      max: 1,
      fetch_types: false,
      backoff: false,
      idle_timeout: 0,
      onnotice: () => {},
      ...(socket === undefined ? {} : { socket }),
    });
  const connection = new PostgresConnection(open, {
    ...direct,
    openSocket(address, attempt) {
      const socket = direct.openSocket(address, attempt);
      sockets.push(socket);
      return socket;
    },
  });
  const run: Case["run"] = async (text, values = []) => [
    ...await connection.execute(text, values, true),
  ];
  try {
    await run("select 1");
    await body({
      sockets,
      admin: db.admin,
      run,
      pid: async () => Number((await run("select pg_backend_pid() as pid"))[0]!.pid),
    });
  } finally {
    await connection.end({ timeout: 5 });
    await db.close();
  }
}

function test(name: string, body: (c: Case) => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => withConnection(body),
  });
}

test("rows and values are what the driver makes of them", async ({ run, admin }) => {
  const rows: readonly (readonly [string, readonly (string | number | boolean | null)[]])[] = [
    ["select $1::text as t, $2::int as i, $3::boolean as b, $4::text as n", ["ä€𝄞", 7, true, null]],
    [`select '{"a":[1,null,"x"]}'::json as j, '{"b":2}'::jsonb as k`, []],
    ["select 1.5::float8 as f, 2::smallint as s, 3::bigint as l, 4.50::numeric as m", []],
    ["select n, repeat('x', 200000) as long from generate_series(1, 20) n", []],
    ["select n from generate_series(1, 0) n", []],
    ["select '' as empty, null::json as none, pg_current_snapshot() is null as snap", []],
    ["select $1::text as long", ["y".repeat(300_000)]],
  ];
  for (const [text, values] of rows) {
    const expected = [...await admin.unsafe(text, [...values], { prepare: true })];
    for (const _ of ["prepared", "again"]) assert.deepEqual(await run(text, values), expected);
  }
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7);
  const [row] = await run("select $1::bytea as b, $2::numeric as n", [bytes, 2n ** 64n - 1n]);
  assert.deepEqual(row!.b, bytes);
  assert.equal(row!.n, String(2n ** 64n - 1n));
});

test("an error of the server has its code and detail, and the connection goes on", async (c) => {
  const before = await c.pid();
  const raise =
    `do $$ begin raise exception 'told' using errcode = '40001', detail = '{"key":"a"}'; end $$`;
  await assert.rejects(c.run(raise), {
    severity: "ERROR",
    code: "40001",
    message: "told",
    detail: '{"key":"a"}',
  });
  await assert.rejects(c.run("select nothing from nowhere"), { code: "42P01" });
  // A row has been sent already.
  await assert.rejects(c.run("select 1 / (2 - n) from generate_series(1, 2) n"), { code: "22012" });
  await assert.rejects(c.run("select $1::int as n", ["no number"]), { code: "22P02" });
  await assert.rejects(c.run("select $1::text as t", [undefined]), { code: "UNDEFINED_VALUE" });
  assert.deepEqual(await c.run("select $1::int as n", [8]), [{ n: 8 }]);
  assert.equal(await c.pid(), before);
  assert.equal(c.sockets.length, 1);
});

test("a statement that the server forgot, or whose answer has another type, is prepared again", async (c) => {
  await c.run("create temporary table t as select 1 as a");
  const text = "select * from t where a = $1";
  assert.deepEqual(await c.run(text, [1]), [{ a: 1 }]);
  await c.run("deallocate all");
  assert.deepEqual(await c.run(text, [1]), [{ a: 1 }]);
  await c.run("alter table t add column b text default 'new'");
  assert.deepEqual(await c.run(text, [1]), [{ a: 1, b: "new" }]);
  // One that fails each time fails once, and not for ever.
  await c.run("drop table t");
  await assert.rejects(c.run(text, [1]), { code: "42P01" });
});

test("a connection that ends while it idles is replaced, and nobody notices", async (c) => {
  for (const _ of ["once", "and again"]) {
    const before = await c.pid();
    const ended = new Promise((resolve) => c.sockets.at(-1)!.once("close", resolve));
    await c.admin`select pg_terminate_backend(${before})`;
    await ended;
    assert.notEqual(await c.pid(), before);
    assert.notEqual(await c.pid(), before); // over the new one's own line
  }
  assert.equal(c.sockets.length, 3);
});

test("a connection that ends under a statement says so, and the next one has another", async (c) => {
  const before = await c.pid();
  const sleeping = c.run("select pg_sleep(60)");
  const failed = assert.rejects(sleeping, { severity: "FATAL", code: "57P01" });
  const [asleep] = [
    `select count(*)::int as n from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'`,
  ];
  while ((await c.admin.unsafe(asleep!, [before]))[0]!.n === 0) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await c.admin`select pg_terminate_backend(${before})`;
  await failed;
  assert.notEqual(await c.pid(), before);

  const broken = assert.rejects(c.run("select pg_sleep(60)"), { code: "CONNECTION_CLOSED" });
  c.sockets.at(-1)!.destroy();
  await broken;
  assert.equal((await c.run("select 1 as one"))[0]!.one, 1);
});

test("whoever is ended while a statement is under way still gets its answer", async (c) => {
  // As the driver ends a connection whose time is up.
  const answer = c.run("select pg_sleep(0.2), 5 as five");
  c.sockets.at(-1)!.end(new Uint8Array([0x58, 0, 0, 0, 4]));
  assert.equal((await answer)[0]!.five, 5);
  assert.equal((await c.run("select 6 as six"))[0]!.six, 6);
  assert.equal(c.sockets.length, 2);
});

Deno.test({
  name: "where the connection is encrypted the driver runs every statement",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([]);
    const given: boolean[] = [];
    const connection = new PostgresConnection((socket) => {
      given.push(socket !== undefined);
      return postgres(db.adminUrl, {
        max: 1,
        fetch_types: false,
        ssl: "prefer",
        onnotice: () => {},
      });
    }, direct);
    try {
      for (let i = 0; i < 3; i++) {
        assert.equal((await connection.execute("select 1 as one", [], true))[0]!.one, 1);
      }
      assert.deepEqual(given, [true, false]);
    } finally {
      await connection.end({ timeout: 5 });
      await db.close();
    }
  },
});
