import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { TableDef } from "../../_internal/manifest.ts";
import { type TestDatabase, testDatabase } from "../../tests/postgres.ts";
import { until } from "../../tests/until.ts";
import { storageEngine } from "../engine.ts";
import { postgresDatabase } from "../postgres_database.ts";
import { code } from "../testing/expect_code.ts";
import { call, field, index, number, run, string, table } from "../testing/tables.ts";
import type { Migration } from "./migration.ts";
import { type MigrateOptions, migrateUp } from "./mod.ts";
import { rebase } from "./rebase.ts";
import { migrationStatus } from "./status.ts";

const LONG = Deno.env.get("KONTRACT_LONG") === "1";
const ROWS = LONG ? 1_000_000 : 100_000;

const THINGS = table("things", [field("x", string)]);

interface World {
  readonly db: TestDatabase;
  options(tables: readonly TableDef[], extra?: Partial<MigrateOptions>): MigrateOptions;
  readonly ptr: string;
  set(def: TableDef, id: string, row: Record<string, unknown>): Promise<unknown>;
  get(def: TableDef, id: string): Promise<Record<string, unknown> | null>;
  fill(rows: number): Promise<void>;
}

function scenario(name: string, body: (world: World) => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const db = await testDatabase([THINGS]);
      const database = postgresDatabase({ url: db.gatewayUrl });
      try {
        const engine = (def: TableDef) => storageEngine({ database, tables: [def] });
        const session = () =>
          db.token().then((token) => storageEngine({ database, tables: [] }).openSession(token));
        const [row] = await db.admin`select ptr from kontract.storage where id = 'things'`;
        const ptr = `kontract_private.${row!.ptr}`;
        await body({
          db,
          ptr,
          options: (tables, extra = {}) => ({
            adminUrl: db.adminUrl,
            tables,
            secrets: db.secrets,
            gatewayRole: db.gatewayRole,
            ...extra,
          }),
          set: async (def, id, value) =>
            await run(engine(def), call(await session()), (s) => s[def.name]!.set(id, value)),
          get: async (def, id) =>
            (await run(engine(def), call(await session()), (s) => s[def.name]!.get(id))).value,
          fill: async (rows) => {
            await db.admin.unsafe(`
              insert into ${ptr} (id, data, _owner, _order)
              select 'r' || n, jsonb_build_object('id', 'r' || n, 'x', n::text), 'alice', n
                from generate_series(1, ${rows}) n`);
            await db.admin.unsafe(`analyze ${ptr}`);
          },
        });
      } finally {
        await database.close();
        await db.close();
      }
    },
  });
}

/** Holds a row that the migration writes last; resolves what it holds itself at that moment. */
async function atItsEnd(
  db: TestDatabase,
  migration: () => Promise<unknown>,
  look: (pid: number) => Promise<void>,
): Promise<void> {
  const held = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const holder = db.admin.begin(async (tx) => {
    await tx`select 1 from kontract_private.meta where name = 'generic' for update`;
    held.resolve();
    await release.promise;
  });
  await held.promise;
  const running = migration();
  try {
    for (;;) {
      // Not any lock: PostgreSQL's own vacuum may hold one of the table for a moment.
      const [row] = await db.admin`
        select a.pid from pg_stat_activity a join pg_locks l on l.pid = a.pid
         where a.application_name like 'kontract migrate%' and a.datname = current_database()
           and not l.granted and l.locktype = 'transactionid'`;
      if (row !== undefined) {
        await look(Number(row.pid));
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  } finally {
    release.resolve();
    await Promise.allSettled([holder, running]);
  }
  await running;
}

scenario(
  `a defaulted field on ${ROWS} rows: no row is touched, no lock hinders anyone`,
  async ({ db, ptr, options, set, get, fill }) => {
    await fill(ROWS);
    const next = table("things", [field("x", string), field("tier", string, { default: "free" })]);
    const [before] = await db.admin.unsafe(
      `select relfilenode, (select max(xmin::text::bigint) from ${ptr}) as touched
         from pg_class where oid = '${ptr}'::regclass`,
    );
    await atItsEnd(db, () => migrateUp(options([next])), async (pid) => {
      const locks = await db.admin.unsafe(
        `select mode from pg_locks where pid = ${pid} and relation = '${ptr}'::regclass`,
      );
      for (const { mode } of locks) assert.equal(mode, "AccessShareLock");
      await set(THINGS, "r1", { x: "written meanwhile" });
    });
    const [after] = await db.admin.unsafe(
      `select relfilenode, (select max(xmin::text::bigint) from ${ptr} where id <> 'r1') as touched
         from pg_class where oid = '${ptr}'::regclass`,
    );
    assert.deepEqual({ ...after }, { ...before });
    assert.deepEqual(await get(next, "r2"), { id: "r2", x: "2", tier: "free" });
    // A gateway of the build before goes on: it does not know the field.
    await set(THINGS, "r3", { x: "old build" });
    assert.deepEqual(await get(next, "r3"), { id: "r3", x: "old build", tier: "free" });
    // An old row can be changed and deleted under the new check.
    await set(next, "r4", { x: "4", tier: "gold" });
  },
);

scenario(
  "an index is built while writers write; what a killed build left is built again",
  async ({ db, ptr, options, set, fill }) => {
    await fill(2_000);
    const next = table("things", [field("x", string)], { indexes: [index(["x"], true)] });
    // A writer's open transaction: a build that is not concurrent would make others wait for it.
    const release = Promise.withResolvers<void>();
    const open = Promise.withResolvers<void>();
    const writer = db.admin.begin(async (tx) => {
      await tx.unsafe(`insert into ${ptr} (id, data, _owner, _order)
        values ('open', '{"id":"open","x":"open"}', 'alice', 0)`);
      open.resolve();
      await release.promise;
    });
    await open.promise;
    const running = migrateUp(options([next]));
    await until(async () =>
      (await db.admin`select from pg_stat_activity
        where query ilike 'create%index concurrently%' and wait_event_type = 'Lock'
          and datname = current_database()`).length > 0
    );
    await set(THINGS, "r1", { x: "written meanwhile" });
    // Killed here, the build leaves an INVALID index.
    await db.admin`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name like 'kontract migrate%' and datname = current_database()`;
    await assert.rejects(running, { code: "DATABASE_UNAVAILABLE" });
    release.resolve();
    await writer;
    const invalid = (): Promise<number> =>
      db.admin`select 1 from pg_index where not indisvalid`.then(({ length }) => length);
    assert.equal(await invalid(), 1);
    const report = await migrateUp(options([next]));
    assert.deepEqual(report.steps, [
      "create index on 'things' (x)",
      "create unique index on 'things' (x)",
    ]);
    assert.equal(await invalid(), 0);
    await assert.rejects(set(next, "other", { x: "2" }), { code: "UNIQUE_VIOLATION" });
    await migrateUp(options([THINGS]));
    const [left] = await db.admin.unsafe(
      `select count(*)::int as n from pg_index where indrelid = '${ptr}'::regclass`,
    );
    assert.equal(left!.n, 4);
    // Equal values: refused, and nothing is left of the attempt.
    await set(THINGS, "other", { x: "2" });
    await assert.rejects(migrateUp(options([next])), { code: "MIGRATION_REFUSED" });
    const [still] = await db.admin.unsafe(
      `select count(*)::int as n from pg_index where indrelid = '${ptr}'::regclass and indisunique`,
    );
    assert.equal(still!.n, 1);
  },
);

scenario(
  "PostgreSQL refuses a value of the wrong type from any writer, and lets old rows go",
  async ({ db, ptr, options, set }) => {
    const write = (json: string) =>
      db.admin.unsafe(
        `insert into ${ptr} (id, data, _owner, _order) values ('w', $1::text::jsonb, 'alice', 1)`,
        [json],
      );
    await write('{"id":"w","x":"fine"}');
    await db.admin.unsafe(`delete from ${ptr}`);
    for (
      const wrong of [
        '{"id":"w","x":1}',
        '{"id":"w"}',
        '{"id":"v","x":"1"}',
        '{"id":"w","x":"1","y":1}',
      ]
    ) {
      await assert.rejects(write(wrong), { code: "23514" }, wrong);
    }
    await set(THINGS, "a", { x: "1" });
    const next = table("things", [field("x", string), field("y", number, { default: 1 })]);
    await migrateUp(options([next]));
    const checks = await db.admin.unsafe(
      `select tgname from pg_trigger where tgrelid = '${ptr}'::regclass`,
    );
    assert.equal(checks.length, 1);
    await write('{"id":"w","x":"1","y":2}');
    await assert.rejects(write('{"id":"w","x":"1","y":"2"}'), { code: "23514" });
    await set(next, "a", { x: "2", y: 2 });
  },
);

scenario(
  "kill -9 in the middle of a migration leaves the old schema; the next run completes it",
  async ({ db, options, set, get, fill }) => {
    await fill(500);
    const next = table("things", [field("x", number)]);
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        fileURLToPath(new URL("../testing/slow_migration.ts", import.meta.url)),
        JSON.stringify({
          adminUrl: db.adminUrl,
          gatewayRole: db.gatewayRole,
          secret: db.secrets[0]!.toHex(),
          tables: [next],
          stopAt: "r450",
        }),
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = child.stdout.getReader();
    const first = await reader.read();
    assert.equal(new TextDecoder().decode(first.value).trim(), "there");
    await set(THINGS, "r1", { x: "written meanwhile" });
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    assert.deepEqual(await get(THINGS, "r1"), { id: "r1", x: "written meanwhile" });
    await set(THINGS, "r1", { x: "11" });
    const physical = (): Promise<number> =>
      db.admin`select 1 from pg_class where relnamespace = 'kontract_private'::regnamespace
        and relname ~ '^tbl_[0-9a-f]+$'`.then(({ length }) => length);
    assert.equal(await physical(), 2);
    await migrateUp(options([next], {
      migrations: [{
        name: "0001_slow",
        hash: "1",
        load: () =>
          Promise.resolve({
            up: (m) => m.transform("things", (row) => ({ ...row, x: Number(row.x) })),
          }),
      }],
    }));
    assert.deepEqual(await get(next, "r1"), { id: "r1", x: 11 });
    assert.equal(await physical(), 2); // the one in use and the one swapped away
  },
);

scenario(
  "rows of megabytes are rebuilt one by one, and one that changed meanwhile again",
  async ({ db, ptr, options, set, get }) => {
    await db.admin.unsafe(`insert into ${ptr} (id, data, _owner, _order)
      select 'r' || n, jsonb_build_object('id', 'r' || n, 'x', long), 'alice', n from generate_series(1, 3) n,
             (select string_agg(md5(i::text), '') as long from generate_series(1, 50000) i) l`);
    const next = table("things", [field("x", string), field("length", number)]);
    const copied: number[] = [];
    const migration: Migration = {
      up: (m) =>
        m.transform("things", async (row) => {
          const [made] = await db.admin`select ptr from kontract_private.rebuilds`;
          const [count] = await db.admin.unsafe(
            `select count(*)::int as n from kontract_private.${made!.ptr}`,
          );
          if (copied.push(count!.n) === 1) await set(THINGS, "r2", { x: "changed" });
          return { ...row, length: String(row.x).length };
        }),
    };
    await migrateUp(options([next], {
      migrations: [{ name: "0001_length", hash: "1", load: () => Promise.resolve(migration) }],
    }));
    assert.deepEqual(copied, [0, 1, 2, 3]);
    assert.equal((await get(next, "r1"))!.length, 50_000 * 32);
    assert.deepEqual(await get(next, "r2"), { id: "r2", x: "changed", length: 7 });
    assert.equal((await get(next, "r3"))!.length, 50_000 * 32);
  },
);

scenario(
  "rows that change hands or exchange values while they are rebuilt, more than are held at a time, stand in nobody's way",
  async ({ db, ptr, options, get, fill }) => {
    await fill(240);
    const rewrite = (owner: string, value: string): Promise<unknown> =>
      db.admin.begin(async (tx) => {
        await tx.unsafe(`create temporary table before on commit drop as
          select * from ${ptr} where _deleted_txid is null`);
        await tx.unsafe(`update ${ptr} u set _deleted_txid = pg_current_xact_id() from before b
          where u.id = b.id and u._deleted_txid is null`);
        await tx.unsafe(`insert into ${ptr} (id, data, _owner, _order)
          select id, jsonb_build_object('id', id, 'x', ${value}), '${owner}', _order from before`);
      });
    const next = table("things", [field("x", string), field("y", string)], {
      indexes: [index(["x"], true)],
    });
    let seen = 0;
    const rebuild = async (last: string): Promise<void> => {
      seen = 0;
      const migration: Migration = {
        up: (m) =>
          m.transform("things", async (row) => {
            seen++;
            // When all were copied once, and when all are copied again: what comes then meets the unique index.
            if (seen === 240) {
              const [made] = await db.admin`select ptr from kontract_private.rebuilds`;
              const [copied] = await db.admin.unsafe(
                `select count(*)::int as n from kontract_private.${made!.ptr}`,
              );
              assert.equal(copied!.n, 200);
              await rewrite("aaron", "data->>'x'");
            }
            if (seen === 480) await rewrite("aaron", last);
            return { ...row, y: "new" };
          }),
      };
      await migrateUp(options([next], {
        migrations: [{ name: "0001_y", hash: "1", load: () => Promise.resolve(migration) }],
      }));
    };
    await assert.rejects(rebuild("'same'"), /field 'x' .*rows share the same value of 'x'/);
    await rewrite("alice", "substr(id, 2)");
    await rebuild("((data->>'x')::int % 240 + 1)::text");
    assert.equal(seen, 720);
    assert.deepEqual(await get(next, "r7"), { id: "r7", x: "8", y: "new" });
    assert.deepEqual(await get(next, "r240"), { id: "r240", x: "1", y: "new" });
  },
);

scenario(
  "a rebuild that took longer than old versions are kept is refused, and nothing is left of it",
  async ({ db, options, set, get }) => {
    await set(THINGS, "a", { x: "1" });
    const collect = (horizon: string): Promise<unknown> =>
      db.admin`update kontract.storage set horizon = ${horizon} where id = 'things'`;
    let late = true;
    const migration: Migration = {
      up: (m) =>
        m.transform("things", async (row) => {
          if (late) await collect("99999999999");
          return { ...row, x: Number(row.x) };
        }),
    };
    const next = table("things", [field("x", number)]);
    const change = options([next], {
      migrations: [{ name: "0001_x", hash: "1", load: () => Promise.resolve(migration) }],
    });
    await assert.rejects(migrateUp(change), { code: "MIGRATION_REFUSED", message: /retention/ });
    assert.equal((await db.admin`select ptr from kontract_private.rebuilds`).length, 0);
    await collect("0");
    assert.deepEqual(await get(THINGS, "a"), { id: "a", x: "1" });
    late = false;
    await migrateUp(change);
    assert.deepEqual(await get(next, "a"), { id: "a", x: 1 });
  },
);

for (const when of ["between two transactions", "within one"] as const) {
  scenario(
    `a migration whose connection is lost ${when} fails, and goes on by no other`,
    async ({ db, options, set, get }) => {
      await set(THINGS, "a", { x: "1" });
      const next = table("things", [field("x", number)]);
      const lose = async (): Promise<void> => {
        await db.admin`select pg_terminate_backend(pid, 5000) from pg_stat_activity
          where application_name like 'kontract migrate%' and datname = current_database()`;
        await new Promise((resolve) => setTimeout(resolve, 50));
      };
      let lost = false;
      const file = {
        name: "0001_lost",
        hash: "1",
        load: async () => {
          if (!lost && when === "between two transactions") await lose();
          return {
            up: (m) =>
              m.transform("things", async (row) => {
                if (!lost && when === "within one") await lose();
                return { ...row, x: Number(row.x) };
              }),
          } satisfies Migration;
        },
      };
      const up = () => migrateUp(options([next], { migrations: [file] }));
      await assert.rejects(up(), code("DATABASE_UNAVAILABLE"));
      lost = true;
      assert.deepEqual(await get(THINGS, "a"), { id: "a", x: "1" });
      await up();
      assert.deepEqual(await get(next, "a"), { id: "a", x: 1 });
    },
  );
}

scenario(
  "restored data are refused until they are rebased, then served as if written here",
  async ({ db, ptr, options, set, get }) => {
    await set(THINGS, "a", { x: "1" });
    await set(THINGS, "a", { x: "2" });
    await set(THINGS, "b", { x: "1" });
    // As a restore leaves it: rows from the future of this cluster, another identity noted.
    await db.admin.unsafe(
      `update ${ptr} set _txid = (_txid::text::bigint + 1000000000)::text::xid8,
         _born = (_born::text::bigint + 1000000000)::text::xid8`,
    );
    const status = () => migrationStatus({ ...options([THINGS]), migrations: [] });
    assert.match((await status()).rebase ?? "", /table 'things' has rows from the future/);
    await db.admin`update kontract_private.meta set value = 'elsewhere.1' where name = 'system'`;
    await assert.rejects(migrateUp(options([THINGS])), {
      code: "MIGRATION_REFUSED",
      message: /kontract migrate rebase/,
    });
    await db.admin`truncate kontract_private.incarnation`; // unlogged: a restore does not keep it
    await assert.rejects(get(THINGS, "a"), { code: "SCHEMA_MISMATCH" });
    const report = await rebase({ adminUrl: db.adminUrl, gatewayRole: db.gatewayRole });
    assert.equal(report.steps[0], "table 'things': 2 rows rebased, 1 old versions removed");
    // As a rebase that was killed leaves it: nobody is served and nothing migrates until one has ended.
    await db.admin`update kontract_private.meta set value = 'rebasing' where name = 'system'`;
    await assert.rejects(migrateUp(options([THINGS])), {
      code: "MIGRATION_REFUSED",
      message: /a rebase was begun and has not ended/,
    });
    await assert.rejects(get(THINGS, "a"), { code: "SCHEMA_MISMATCH" });
    await rebase({ adminUrl: db.adminUrl, gatewayRole: db.gatewayRole });
    await migrateUp(options([THINGS]));
    assert.equal((await status()).rebase, null);
    assert.deepEqual(await get(THINGS, "a"), { id: "a", x: "2" });
    await set(THINGS, "a", { x: "3" });
    assert.deepEqual(await get(THINGS, "a"), { id: "a", x: "3" });
    const home = { adminUrl: db.adminUrl, gatewayRole: db.gatewayRole };
    assert.deepEqual(await rebase(home), { unneeded: true, steps: [] });
    const again = await rebase({ ...home, force: true });
    assert.ok(again.steps.length >= 1);
    assert.deepEqual(await get(THINGS, "b"), { id: "b", x: "1" });
    // The number that made a row may be that of a transaction which is under way here.
    const busy = await db.admin.reserve();
    await busy`begin`;
    const [now] = await busy`select pg_current_xact_id()::text as xid`;
    await db.admin.unsafe(`update ${ptr} set _txid = '${now!.xid}' where id = 'b'`);
    await db.admin`select pg_current_xact_id()`; // one that ends later, so that it is no future one
    await rebase({ ...home, force: true });
    const [b] = await db.admin.unsafe(
      `select pg_visible_in_snapshot(_txid, pg_current_snapshot()) as yes from ${ptr} where id = 'b'`,
    );
    assert.equal(b!.yes, true);
    await busy`rollback`;
    busy.release();
    // A table whose rows are all gone still has the horizon of those that were removed.
    await db.admin.unsafe(`truncate ${ptr}`);
    const horizon = (at: string): Promise<unknown> =>
      db.admin`update kontract.storage set horizon = ${at}::xid8 where id = 'things'`;
    await horizon("1000000000");
    assert.match((await status()).rebase ?? "", /table 'things' has rows from the future/);
    await horizon("3");
    assert.equal((await status()).rebase, null);
  },
);
