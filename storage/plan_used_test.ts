import assert from "node:assert/strict";
import { testDatabase } from "../tests/postgres.ts";
import { until } from "../tests/until.ts";
import type { StorageEngine } from "./contract.ts";
import { storageEngine } from "./engine.ts";
import type { MigrationRow } from "./migrate/migration.ts";
import { keyLock } from "./migrate/lock_keys.ts";
import { migrateUp } from "./migrate/mod.ts";
import { makeTenant } from "./migrate/tenant_admin.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { DEFAULT_TENANT } from "./tenant_name.ts";
import { inCompany } from "./testing/company.ts";
import { untilLockAwaited } from "./testing/lock_awaited.ts";
import {
  ACCOUNTS,
  call,
  field,
  index,
  number,
  run,
  string,
  table,
  THINGS,
} from "./testing/tables.ts";

/** An index over two fields, one of them nested, of a table whose rows have owners. */
const PLACES = table("places", [
  field("city", string),
  field("balance", number),
  field("home", {
    kind: "object",
    fields: [{ name: "city", id: 0, shape: string, optional: false }],
  }),
], { indexes: [index(["city", "balance"]), index(["home.city", "balance"])], rows: "owner" });

Deno.test({
  name: "declared indexes serve filters and the feed's indexes serve validation",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([ACCOUNTS, THINGS, PLACES]);
    try {
      const plan = async (table: string, where: unknown): Promise<string> => {
        const [st] = await db
          .admin`select ptr, fields, bits, lazy from kontract.storage where id = ${table}`;
        await db.admin.unsafe(`insert into kontract_private.${st!.ptr} (id, data, _owner, _order)
          select 'r' || i, (select jsonb_object_agg(f.key, f.value) from jsonb_each(jsonb_build_object(
                   'id', 'r' || i, 'balance', i, 'city', 'c' || i % 500, 'email', 'e' || i, 'big', i::text,
                   'at', 'x' || i, 'home', jsonb_build_object('city', 'h' || i))) f
                   join kontract.storage st on st.id = '${table}' and st.fields ? f.key),
                 'o', i from generate_series(1, 2000) i`);
        await db.admin.unsafe(`analyze kontract_private.${st!.ptr}`);
        const text = JSON.stringify(where);
        const [sql] = await db.admin`select kontract_private.where_sql(${
          JSON.stringify(st!.fields)
        }::text::jsonb,
          ${JSON.stringify(st!.bits)}::text::jsonb, ${
          JSON.stringify(st!.lazy)
        }::text::jsonb, null, ${text}::text::jsonb) as w`;
        const literal = `'${text.replaceAll("'", "''")}'::jsonb`;
        const [old] = await db.admin`select pg_current_snapshot()::text as snap`;
        const own = table === "places" ? "u._owner = 'o' and" : "";
        // As `query` asks it.
        const search = (snapshot: string, columns: string): string =>
          `select ${columns} from kontract_private.${st!.ptr} u
          where ${own} pg_visible_in_snapshot(u._txid, ${snapshot})
            and (u._deleted_txid is null or u._deleted_txid is not null
              and not pg_visible_in_snapshot(u._deleted_txid, ${snapshot}))
            ${String(sql!.w).replaceAll("$1", literal)}`;
        const count = async (snapshot: string): Promise<number> =>
          Number((await db.admin.unsafe(search(snapshot, "count(*)::int as n")))[0]!.n);
        const before = await count("pg_current_snapshot()");
        // Every row is another now, and none matches: only the old snapshot finds what it found.
        await db.admin.unsafe(`with c as (update kontract_private.${st!.ptr} u
              set _deleted_txid = pg_current_xact_id() returning u.*)
            insert into kontract_private.${st!.ptr} (id, data, _owner, _order)
              select 'z' || c.id, c.data || (select jsonb_object_agg(n.key, n.value)
                  from jsonb_each(jsonb_build_object('id', 'z' || c.id, 'balance', -1, 'city', 'now',
                    'email', 'now' || c.id, 'big', '999999', 'at', 'now', 'home', '{"city":"now"}'::jsonb)) n
                 where c.data ? n.key), c._owner, c._order from c`);
        await db.admin.unsafe(`analyze kontract_private.${st!.ptr}`);
        const then = `'${old!.snap}'::pg_snapshot`;
        assert.ok(before > 0);
        assert.equal(await count(then), before);
        assert.equal(await count("pg_current_snapshot()"), 0);
        const rows = await db.admin.unsafe(`explain ${search(then, "*")}`);
        await db.admin.unsafe(`truncate kontract_private.${st!.ptr}`);
        return rows.map((row) => row["QUERY PLAN"]).join("\n");
      };
      for (
        const [table, where] of [
          ["accounts", [[["city"], "eq", "text", "c7"]]],
          ["accounts", [[["email"], "in", "text", ["e1", "e2"]]]],
          ["accounts", [[["email"], "prefix", "text", "e12"]]],
          ["things", [[["home", "city"], "eq", "text", "h7"]]],
          ["things", [[["big"], "lt", "number", "20"]]],
          ["things", [[["at"], "gte", "text", "x99"]]],
        ] as const
      ) {
        const text = await plan(table, where);
        assert.match(text, /Index Scan|Bitmap Index Scan/, `${JSON.stringify(where)}\n${text}`);
        assert.match(text, /_[iu][0-9a-f]{12}/, text);
      }
      // The key has two indexes, of live and of closed versions: a search by key takes both.
      for (
        const [table, where] of [
          ["things", [[["id"], "eq", "text", "r7"]]],
          ["things", [[["id"], "prefix", "text", "r12"]]],
          ["things", [[["id"], "in", "text", ["r1", "r2"]]]],
          ["places", [[["id"], "gte", "text", "r499"], [["id"], "lt", "text", "r5"]]],
        ] as const
      ) {
        const text = await plan(table, where);
        assert.match(text, /_live(.|\n)*_old|_old(.|\n)*_live/, text);
        assert.doesNotMatch(text, /Seq Scan/, text);
      }
      // Of an index over several fields all that the filter names are looked up, not the first alone.
      for (
        const [where, condition] of [
          [
            [[["city"], "eq", "text", "c7"], [["balance"], "lte", "number", "1007"]],
            /Index Cond: .*_owner.*city.*balance/,
          ],
          [
            [[["home", "city"], "in", "text", ["h7", "h9"]], [["balance"], "gt", "number", "8"]],
            /Index Cond: .*_owner.*home,city.*balance/,
          ],
        ] as const
      ) {
        const text = await plan("places", where);
        assert.match(text, condition, text);
      }
    } finally {
      await db.close();
    }
  },
});

Deno.test({
  name: "a read from before a swap finds its key by the index of the table before",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const tables = [
      table("things", [field("x", number)]),
      table("own", [field("x", number)], {
        rows: "owner",
      }),
    ];
    const db = await testDatabase(tables);
    const rows = 4_000;
    try {
      for (const { name } of tables) {
        const [st] = await db.admin`select ptr from kontract.storage where id = ${name}`;
        await db.admin.unsafe(`insert into kontract_private.${st!.ptr} (id, data, _owner, _order)
          select 'r' || i, jsonb_build_object('id', 'r' || i, 'x', i), 'alice', i
            from generate_series(1, ${rows}) i`);
        await db.admin.unsafe(`analyze kontract_private.${st!.ptr}`);
      }
      const [old] = await db.admin`select pg_current_snapshot()::text as snap`;
      const more = (row: MigrationRow): MigrationRow => ({ ...row, x: Number(row.x) + 1 });
      await migrateUp({
        adminUrl: db.adminUrl,
        tables,
        secrets: db.secrets,
        gatewayRole: db.gatewayRole,
        migrations: [{
          name: "0001_more",
          hash: "1",
          load: () =>
            Promise.resolve({ up: (m) => tables.forEach((t) => m.transform(t.name, more)) }),
        }],
      });
      for (const { name } of tables) {
        const text = `from kontract_private.before_swap('main', 'alice', '${name}', '{}',
          '${old!.snap}', array['r7', 'r3999', 'none', 'r7'])`;
        const found = await db.admin.unsafe(`select id, data->'x' as x ${text} order by id`);
        assert.deepEqual([...found], [{ id: "r3999", x: 3999 }, { id: "r7", x: 7 }]);
        let touched = 0;
        for (let i = 0; i < 2; i++) {
          const [row] = await db.admin.unsafe(
            `explain (analyze, buffers, format json) select * ${text}`,
          );
          const { Plan } = row!["QUERY PLAN"][0];
          touched = Plan["Shared Hit Blocks"] + Plan["Shared Read Blocks"];
        }
        assert.ok(touched < 40, `${name}: ${touched} blocks`);
      }
    } finally {
      await db.close();
    }
  },
});

for (const tenant of [DEFAULT_TENANT, "acme"]) {
  Deno.test({
    name:
      `plans made over empty tables find rows by index when the tables have grown, tenant ${tenant}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const plain = table("plain", [field("n", number)]);
      const owned = table("owned", [field("n", number)], { rows: "owner" });
      const db = await testDatabase([plain, owned]);
      if (tenant !== DEFAULT_TENANT) await makeTenant(db.adminUrl, tenant);
      const places = await Promise.all(["plain", "owned"].map((name) => db.place(name, tenant)));
      // One connection: its plans are those of the first calls.
      const database = postgresDatabase({ url: db.gatewayUrl, max: 1 });
      const alone = storageEngine({ database, tables: [plain, owned] });
      const together = storageEngine({ database: inCompany(database), tables: [plain, owned] });
      const session = await alone.openSession(await db.token({ tenant }));
      // While a commit waits for the key, a transaction ends that is newer than its own.
      const overtake = async (commit: () => Promise<unknown>): Promise<void> => {
        let committed: Promise<unknown> | undefined;
        await db.admin.begin(async (tx) => {
          await tx.unsafe(
            `select pg_advisory_xact_lock(${keyLock(`'${tenant}'`, "'plain'", "'r8'")})`,
          );
          committed = commit();
          await untilLockAwaited(db.admin);
          await db.admin`select pg_current_xact_id()`;
        });
        await committed;
      };
      const touch = async (engine: StorageEngine, overtaken = false): Promise<void> => {
        for (const name of ["plain", "owned"]) {
          await run(engine, call(session), (s) => s[name]!.set("r1", { n: 1 }));
          await run(engine, call(session), async (s) => {
            await s[name]!.get("r1");
            await s[name]!.getMany(["r2", "r3", "none"]);
            await s[name]!.set("r1", { n: 2 });
          });
          await run(engine, call(session), async (s) => {
            await s[name]!.getMany(["r1", "r2", "none"]);
            await s[name]!.set("r1", { n: 3 });
            await s[name]!.set("r4", { n: 3 });
            await s[name]!.set("new", { n: 3 });
            await s[name]!.delete("r5");
          });
          await run(engine, call(session), async (s) => {
            await s[name]!.delete("new");
            await s[name]!.delete("r6");
          });
          await run(engine, call(session), (s) => s[name]!.delete("r7"));
          await run(engine, call(session), (s) => s[name]!.set("r7", { n: 6 }));
          await run(engine, call(session), async (s) => {
            await s[name]!.getMany(["r1", "r4"]);
            for (const id of ["r1", "r4"]) await s[name]!.update(id, { n: 5 });
          });
        }
        const both = (): Promise<unknown> =>
          run(engine, call(session), async (s) => {
            await s.plain!.set("r8", { n: 4 });
            await s.owned!.set("r8", { n: 4 });
          });
        await (overtaken ? overtake(both) : both());
      };
      try {
        for (const place of places) {
          await db.admin.unsafe(
            `alter table ${place} set (autovacuum_enabled = false)`,
          );
        }
        for (const engine of [alone, together, alone]) await touch(engine);
        const MANY = 20_000;
        for (const place of places) {
          for (const closed of ["null", "pg_current_xact_id()"]) {
            await db.admin.unsafe(
              `insert into ${place} (id, data, _owner, _order, _deleted_txid)
              select 'r' || i, jsonb_build_object('id', 'r' || i, 'n', i), 'alice', i, ${closed}
                from generate_series(9, ${MANY}) i`,
            );
          }
        }
        // What is only asked of a commit that was overtaken has its plan now; all else had it before.
        for (const engine of [alone, together]) await touch(engine, true);
        // New statistics of what they join make all plans anew; of these tables there are none yet.
        await db.admin.unsafe("analyze kontract.trxs; analyze kontract.storage");
        for (const engine of [alone, together]) await touch(engine, true);
        await database.close();
        // The server counts what a connection read when it has ended.
        await until(async () =>
          (await db.admin`
          select from pg_stat_activity where usename = ${db.gatewayRole}`).length === 0
        );
        for (const place of places) {
          const [read] = await db.admin`
          select t.seq_tup_read::int as walked,
                 (select sum(i.idx_tup_read)::int from pg_stat_all_indexes i where i.relid = t.relid) as found
            from pg_stat_all_tables t where t.relid = ${place}::regclass`;
          assert.ok(
            read!.found > 0 && read!.found + read!.walked < MANY / 20,
            JSON.stringify(read),
          );
        }
      } finally {
        await database.close();
        await db.close();
      }
    },
  });
}
