import assert from "node:assert/strict";
import postgres from "postgres";
import { findPgBouncer, startPgBouncer } from "../../../tests/poolers/pgbouncer.ts";
import { testDatabase } from "../../../tests/postgres.ts";
import { query } from "../../exec/testing/query.ts";
import { ACCOUNTS, field, NOTES, string } from "../../testing/tables.ts";
import { judgePooler, poolerMode } from "./pooler_check.ts";
import { checkTransactions } from "./server_checks.ts";
import { type DoctorOptions, examine, type Finding } from "./mod.ts";

const pgbouncer = await findPgBouncer();

Deno.test({
  name: "doctor",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    // Prepared transactions and broken roles are the whole cluster's: this test has one of its own.
    const db = await testDatabase([ACCOUNTS, NOTES], {}, "alone");
    const role = db.gatewayRole;
    const look = (extra: Partial<DoctorOptions> = {}): Promise<readonly Finding[]> =>
      examine({
        adminUrl: db.adminUrl,
        gatewayUrl: db.gatewayUrl,
        gatewayRole: role,
        prepares: true,
        tables: [ACCOUNTS, NOTES],
        migrations: [],
        ...extra,
      });
    const problems = async (extra: Partial<DoctorOptions> = {}): Promise<readonly Finding[]> =>
      (await look(extra)).filter(({ level }) => level === "problem");
    /** Breaks something, expects one problem, applies its fix as it is written, expects health. */
    const broken = async (sql: string, expected: RegExp, fix?: string): Promise<void> => {
      await db.admin.unsafe(sql);
      const found = await problems();
      assert.equal(found.length, 1, JSON.stringify(found));
      assert.match(found[0]!.message, expected);
      await db.admin.unsafe(fix ?? found[0]!.fix!);
      assert.deepEqual(await problems(), [], "after the fix");
    };
    const [row] = await db.admin`select ptr, indexes from kontract.storage where id = 'accounts'`;
    const ptr = `kontract_private.${row!.ptr}`;
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    try {
      await test("a healthy database has no problem, and each check speaks", async () => {
        const found = await look();
        assert.deepEqual(found.filter(({ level }) => level === "problem"), []);
        assert.deepEqual([...new Set(found.map(({ check }) => check))].sort(), [
          "clock",
          "functions",
          "garbage",
          "pooler",
          "privileges",
          "queries",
          "restore",
          "schema",
          "server",
          "tenants",
          "transactions",
        ]);
        for (const { level, fix } of found) assert.equal(level === "ok", fix === null);
        assert.ok(
          found.some(({ message }) => message.startsWith("Nothing is to be collected yet:")),
        );
        await db.admin`update kontract_private.migrations set at = at - interval '1 hour'`;
        const later = (await look()).find(({ check }) => check === "garbage");
        assert.deepEqual([later?.level, later?.message], [
          "warning",
          "Garbage collection has never run.",
        ]);
        await db.admin`update kontract_private.migrations set at = at + interval '1 hour'`;
      });

      await test("rights beyond what a migration gave, and rights that lack", async () => {
        await broken(`alter role ${role} createdb`, /is createdb/);
        await broken(
          `grant select on kontract_private.keys to ${role}`,
          /rights on whole tables: kontract_private\.keys/,
          `revoke all on kontract_private.keys from ${role}`,
        );
        await broken(
          `grant usage on schema kontract_private to ${role}`,
          /use schema 'kontract_private'/,
        );
        await broken(
          `grant execute on function kontract.cur() to public`,
          /Everyone may execute: kontract\.cur\(\)/,
          `revoke all on function kontract.cur() from public`,
        );
        await broken(
          `revoke execute on function kontract.cur() from ${role}`,
          /may not execute: kontract\.cur/,
          `grant execute on function kontract.cur() to ${role}`,
        );
        await broken(
          "alter table kontract.trxs disable row level security",
          /Row policies are off: kontract\.trxs/,
          "alter table kontract.trxs enable row level security",
        );
        await broken("alter role kontract_owner login", /may log in or is a superuser/);
        await broken("alter role kontract_exec login", /'kontract_exec' may log in/);
        await broken(
          "grant select on kontract_private.effects to kontract_exec",
          /'kontract_exec', which runs the queries of 'exec', has rights on kontract_private\.effects/,
        );
      });

      await test("a gateway's role that is not there, may not come in or may too much", async () => {
        const [none] = await problems({ gatewayRole: "nobody_here" });
        assert.equal(none!.message, "There is no role 'nobody_here'.");
        const cases = [
          [`alter role ${role} nologin`, /may not log in/, `alter role ${role} login`],
          [
            `revoke usage on schema kontract from ${role}`,
            /may not use schema 'kontract'/,
            `grant usage on schema kontract to ${role}`,
          ],
          [
            "create role doctor_helper login in role kontract_owner",
            /doctor_helper may act as 'kontract_owner'/,
            "drop role doctor_helper",
          ],
        ] as const;
        for (const [sql, expected, fix] of cases) {
          await db.admin.unsafe(sql);
          const found = (await look()).filter(({ message }) => expected.test(message));
          assert.deepEqual(found.map(({ check }) => check), ["privileges"], sql);
          await db.admin.unsafe(fix);
        }
        assert.deepEqual(await problems(), []);
      });

      await test("data that are gone, and a check that is", async () => {
        const [name] = ptr.split(".").slice(1);
        await broken(
          `alter table ${ptr} rename to elsewhere`,
          /The data of table 'accounts' are gone/,
          `alter table kontract_private.elsewhere rename to ${name}`,
        );
        const [check] = await db.admin`
          select tgname as name from pg_trigger
           where tgrelid = ${ptr}::regclass and tgname like 'shape%'`;
        const lacking = async (): Promise<boolean> =>
          (await look()).some(({ level, message }) =>
            level === "warning" && message === "Table 'accounts' lacks its check."
          );
        for (
          const sql of [
            `drop trigger ${check!.name} on ${ptr}`,
            `alter table ${ptr} disable trigger ${check!.name}`,
          ]
        ) {
          await db.admin.unsafe(sql);
          assert.ok(await lacking(), sql);
          await db.admin.unsafe("update kontract_private.meta set value = '' where name = 'state'");
          await db.migrate([ACCOUNTS, NOTES]);
          assert.equal(await lacking(), false, sql);
        }
        assert.deepEqual(await problems(), []);
      });

      await test("what keeps promises in Kontract's own tables", async () => {
        await broken("alter table kontract_private.incarnation set logged", /is not UNLOGGED/);
        const [salt] = await db
          .admin`select value from kontract_private.meta where name = 'lock salt'`;
        await broken(
          "delete from kontract_private.meta where name = 'lock salt'",
          /The secret of the tenants' locks is gone/,
          `insert into kontract_private.meta (name, value) values ('lock salt', '${salt!.value}')`,
        );
        await db.admin`create table kept as select * from kontract_private.keys`;
        await broken(
          "delete from kontract_private.keys",
          /No key is installed/,
          "insert into kontract_private.keys select * from kept",
        );
        await db.admin`insert into kontract_private.rebuilds (ptr) values ('tbl_left')`;
        const left = (await look()).find(({ message }) => message.includes("being rebuilt"));
        assert.equal(left?.level, "warning");
        await db.admin.unsafe("update kontract_private.meta set value = '' where name = 'state'");
        await db.migrate([ACCOUNTS, NOTES]);
        assert.ok(!(await look()).some(({ message }) => message.includes("being rebuilt")));
        await db.admin`drop table kept`;
      });

      await test("functions of another version, and functions somebody changed", async () => {
        await db.admin.unsafe(
          `create or replace function kontract_private.insist() returns void language sql as 'select'`,
        );
        const [found] = await problems();
        assert.match(found!.message, /not as the last migration wrote them/);
        await db.admin.unsafe(/update .*\)/.exec(found!.fix!)![0]);
        assert.match((await problems())[0]!.message, /another version's/);
        await db.migrate([ACCOUNTS, NOTES]);
        assert.deepEqual(await problems(), []);
      });

      await test("queries that are not stored, and queries somebody changed", async () => {
        const notes = query({ id: string })`select id from notes`;
        const [missing] = (await look({ execs: [notes] })).filter(({ check }) =>
          check === "queries"
        );
        assert.equal(missing!.message, "The query at src/queries.ts:10 is not stored.");
        await db.migrate([ACCOUNTS, NOTES], {}, [notes]);
        const [stored] = (await look({ execs: [notes] })).filter(({ check }) =>
          check === "queries"
        );
        assert.equal(stored!.level, "ok");
        await db.admin`update kontract_private.execs set body = 'select ''[]''::json'`;
        const [changed] = await problems();
        assert.match(changed!.message, /Queries in the database are not as/);
        await db.admin.unsafe(/update .*'state'/.exec(changed!.fix!)![0]);
        await db.migrate([ACCOUNTS, NOTES], {}, [notes]);
        assert.deepEqual(await problems(), []);
      });

      await test("a schema that drifted, in the source or in the database", async () => {
        const [index] = Object.keys(row!.indexes as Record<string, unknown>);
        await db.admin.unsafe(`drop index kontract_private.${index}`);
        const found = await problems();
        assert.match(found[0]!.message, /Table 'accounts' lacks 1 of its indexes/);
        await db.admin.unsafe("update kontract_private.meta set value = '' where name = 'state'");
        await db.migrate([ACCOUNTS, NOTES]);
        assert.deepEqual(await problems(), []);
        await broken(
          `alter table ${ptr} add constraint frozen check (false) not valid`,
          /is frozen/,
        );
        const wider = { ...NOTES, fields: [...NOTES.fields, field("more", string)] };
        const pending = await look({ tables: [ACCOUNTS, wider] });
        assert.ok(
          pending.some(({ message, level }) =>
            level === "warning" && message.includes("add field 'notes.more'")
          ),
        );
        assert.ok(
          (await look({ tables: [ACCOUNTS] })).some(({ message }) =>
            /Table 'notes' is not declared any more/.test(message)
          ),
        );
        const file = {
          name: "0001",
          hash: "1",
          load: () => Promise.reject(new Error("not loaded")),
        };
        assert.ok(
          (await look({ migrations: [file] })).some(({ message }) =>
            message === "Migration '0001' is not applied."
          ),
        );
      });

      await test("restored data, and a clock that is off", async () => {
        await db
          .admin`update kontract_private.meta set value = 'elsewhere.' || value where name = 'system'`;
        const [found] = await problems();
        assert.deepEqual([found!.check, found!.fix], ["restore", "Run 'kontract migrate rebase'."]);
        await db.admin`update kontract_private.meta set value = replace(value, 'elsewhere.', '')
          where name = 'system'`;
        const slow = await look({ now: () => Date.now() - 60_000 });
        const clock = slow.find(({ check }) => check === "clock")!;
        assert.equal(clock.level, "problem");
        assert.match(clock.message, /(59\.9|60\.\d) s ahead of/);
        const near = await look({ now: () => Date.now() + 10_000 });
        assert.equal(near.find(({ check }) => check === "clock")!.level, "warning");
      });

      await test("settings that make every commit fail", async () => {
        await broken(
          `alter role ${role} set synchronous_commit = off`,
          /begin with synchronous_commit=off/,
        );
      });

      await test("a collector that stopped, and one that has much to do", async () => {
        const garbage = async (): Promise<Finding> =>
          (await look()).find(({ check }) => check === "garbage")!;
        await db.admin`insert into kontract_private.markers (at, incarnation, horizon)
          select now() - interval '15 minutes', epoch, pg_snapshot_xmin(pg_current_snapshot())
            from kontract.storage limit 1`;
        assert.match((await garbage()).message, /last ran 15 minutes ago/);
        await db.admin`insert into kontract_private.markers (at, incarnation, horizon)
          select now(), epoch, pg_snapshot_xmin(pg_current_snapshot()) from kontract.storage limit 1`;
        assert.equal((await garbage()).level, "ok");
      });

      await test("a transaction left open anywhere in the cluster", async () => {
        const other = postgres(new URL("/postgres", db.adminUrl).href, {
          max: 1,
          onnotice: () => {},
        });
        const seen = async (): Promise<readonly Finding[]> => {
          const own = postgres(db.adminUrl, { max: 1 });
          try {
            return await checkTransactions(own, 0);
          } finally {
            await own.end();
          }
        };
        await other.begin(async (tx) => {
          await tx`select pg_current_xact_id()`;
          const found = (await seen()).filter(({ message }) =>
            message.includes("database 'postgres'")
          );
          assert.equal(found.length, 1);
          assert.match(
            found[0]!.fix!,
            /^End it where it belongs, or: select pg_terminate_backend\(\d+\)$/,
          );
        });
        await other.end();
      });

      await test("a string that leads nowhere is a finding, not a failure", async () => {
        const url = new URL(db.adminUrl);
        url.port = "1";
        const found = await problems({ adminUrl: url.href, gatewayUrl: url.href });
        assert.deepEqual(found.map(({ check }) => check), ["server", "server"]);
        assert.ok(found.every(({ message }) => !message.includes(url.password)));
        const empty = new URL(db.adminUrl);
        empty.pathname = "/postgres";
        const [none] = await problems({ adminUrl: empty.href });
        assert.equal(none!.message, "Kontract is not installed in this database.");
      });

      await t.step({
        name: "a pooler is seen, its mode told, and prepared statements refused",
        ignore: pgbouncer === null,
        fn: async () => {
          assert.equal(await poolerMode(db.gatewayUrl), "none");
          for (const mode of ["transaction", "session"] as const) {
            await using bouncer = await startPgBouncer(pgbouncer!, db.adminUrl, mode);
            const url = new URL(db.gatewayUrl);
            url.host = bouncer.address;
            assert.equal(await poolerMode(url.href), mode);
          }
          assert.equal(judgePooler("transaction", true).level, "problem");
          assert.equal(judgePooler("transaction", false).level, "ok");
          assert.equal(judgePooler("session", true).level, "warning");
        },
      });

      await test("looking changes nothing", async () => {
        const sql = postgres(db.adminUrl, { max: 1, onnotice: () => {} });
        const digest = async (): Promise<unknown> =>
          (await sql`select count(*) as n, max(at) as at from kontract_private.migrations`)[0];
        const before = await digest();
        await look();
        assert.deepEqual(await digest(), before);
        await sql.end();
      });
    } finally {
      await db.close();
    }
  },
});
