/**
 * What a database's owner has set for it, for reasons of others' programs, changes nothing here.
 *
 * @module
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { testDatabase } from "../../tests/postgres.ts";
import { storageEngine } from "../engine.ts";
import { exec, query } from "../exec/testing/query.ts";
import { postgresDatabase } from "../postgres_database.ts";
import { call, field, index, number, run, string, table } from "../testing/tables.ts";
import { withAdmin } from "./admin.ts";
import { gatewayUrl, migrateUp } from "./mod.ts";
import { examine } from "../maintenance/doctor/mod.ts";

const ITEMS = table("items", [field("name", string), field("n", number)], {
  indexes: [index(["n"])],
});
const LATER = { ...ITEMS, fields: [...ITEMS.fields, field("more", string, { default: "a\\b" })] };
const LARGE = query({
  id: string,
  n: number,
})`select id, n from items where n > ${number} order by id`;
const NAME = "o'r\\ 100% ü";

const SETTINGS = [
  "standard_conforming_strings = off",
  "array_nulls = off",
  "default_transaction_isolation = 'serializable'",
  "transform_null_equals = on",
  "quote_all_identifiers = on",
  "bytea_output = 'escape'",
  "datestyle = 'SQL, DMY'",
  "timezone = 'Asia/Kolkata'",
  "extra_float_digits = -15",
  "search_path = 'nowhere'",
  "statement_timeout = '1h'",
];

Deno.test({
  name: "a database with settings of its own is migrated, read and written as any other",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([ITEMS], {}, "shared", [LARGE]);
    try {
      const name = new URL(db.adminUrl).pathname.slice(1);
      const [server] = await db.admin`select current_setting('server_version_num')::int as version`;
      const timed = server!.version >= 170000;
      for (const setting of timed ? [...SETTINGS, "transaction_timeout = '1h'"] : SETTINGS) {
        await db.admin.unsafe(`alter database ${name} set ${setting}`);
      }
      // An index build may take longer than that; the end of a connection says nothing of a commit.
      const timeouts = async (sql: postgres.Sql): Promise<unknown> =>
        (await sql`select current_setting('statement_timeout') as statement,
                          coalesce(current_setting('transaction_timeout', true), '0') as transaction`)[
          0
        ];
      assert.deepEqual(
        await withAdmin({ adminUrl: db.adminUrl, name: "test" }, timeouts),
        { statement: "0", transaction: "0" },
      );
      const gateway = postgres(db.gatewayUrl, { max: 1, fetch_types: false });
      assert.deepEqual(
        await timeouts(gateway).finally(() => gateway.end()),
        { statement: "1min", transaction: "0" },
      );
      await db.migrate([LATER], {}, [LARGE]);
      const database = postgresDatabase({ url: db.gatewayUrl, max: 2 });
      try {
        const engine = storageEngine({ database, tables: [LATER], execs: [LARGE] });
        const session = await engine.openSession(await db.token());
        const { value } = await run(engine, call(session), async (s) => {
          await s.items!.set("a", { name: NAME, n: 0.1234567890123 });
          return await s.items!.get("a");
        });
        assert.deepEqual(value, { id: "a", name: NAME, n: 0.1234567890123, more: "a\\b" });
        await run(engine, call(session), async (s) => {
          await s.items!.getMany(["a", "b"]);
          await s.items!.update("a", { n: 2 });
          await s.items!.set("c", { name: NAME, n: 3 });
        });
        const found = await run(engine, call(session), async (s) => [
          await s.items!.query({ name: { prefix: "o'r\\" }, n: { gt: 2 } }).count(),
          await exec(s, LARGE, 1),
        ]);
        assert.deepEqual(found.value, [1, [{ id: "a", n: 2 }, { id: "c", n: 3 }]]);
      } finally {
        await database.close();
      }
      const findings = await examine({
        adminUrl: db.adminUrl,
        gatewayUrl: null,
        gatewayRole: db.gatewayRole,
        prepares: true,
        tables: [LATER],
        migrations: [],
      });
      assert.deepEqual(
        findings.filter(({ check, message }) =>
          check === "server" && message.includes("begin with")
        ),
        [],
      );
    } finally {
      await db.close();
    }
  },
});

Deno.test({
  name: "a role with settings under which nothing works is told so, and by doctor which",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase([ITEMS]);
    const name = new URL(db.adminUrl).pathname.slice(1);
    const role = db.gatewayRole;
    const refused = { code: "DATABASE_UNAVAILABLE" };
    try {
      for (
        const [setting, value] of [
          ["array_nulls", "off"],
          ["standard_conforming_strings", "OFF"],
          ["default_transaction_isolation", "'repeatable read'"],
          ["synchronous_commit", "false"],
        ]
      ) {
        await t.step(`${setting} = ${value}`, async () => {
          await db.admin.unsafe(`alter role ${role} in database ${name} set ${setting} = ${value}`);
          const database = postgresDatabase({ url: db.gatewayUrl, max: 1 });
          try {
            const engine = storageEngine({ database, tables: [ITEMS] });
            if (setting !== "synchronous_commit") {
              await assert.rejects(engine.openSession(await db.token()), refused);
            } else {
              const session = await engine.openSession(await db.token());
              const set = run(engine, call(session), (s) => s.items!.set("a", { name: "", n: 1 }));
              await assert.rejects(set, refused);
            }
          } finally {
            await database.close();
          }
          const look = async () =>
            (await examine({
              adminUrl: db.adminUrl,
              gatewayUrl: null,
              gatewayRole: role,
              prepares: true,
              tables: [ITEMS],
              migrations: [],
            })).filter(({ check, level }) => check === "server" && level === "problem");
          const [found, ...more] = await look();
          assert.deepEqual(more, []);
          assert.ok(found?.message.includes(`begin with ${setting}=`), found?.message);
          await db.admin.unsafe(found!.fix!);
          assert.deepEqual(await look(), []);
        });
      }
    } finally {
      await db.close();
    }
  },
});

Deno.test({
  name: "a database may have any name that a URL can hold",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([]);
    const name = `Ärger "mit" %41 / ? # ${db.gatewayRole}`;
    const quoted = `"${name.replaceAll('"', '""')}"`;
    const at = (url: string): string =>
      Object.assign(new URL(url), { pathname: `/${encodeURIComponent(name)}` }).href;
    const { secrets, gatewayRole } = db;
    const adminUrl = at(db.adminUrl);
    await db.admin.unsafe(`create database ${quoted}`);
    try {
      await migrateUp({ adminUrl, secrets, tables: [ITEMS], gatewayRole });
      const database = postgresDatabase({ url: at(db.gatewayUrl), max: 1 });
      try {
        const engine = storageEngine({ database, tables: [ITEMS] });
        const session = await engine.openSession(await db.token());
        await run(engine, call(session), (s) => s.items!.set("a", { name: NAME, n: 1 }));
      } finally {
        await database.close();
      }
      const findings = await examine({
        adminUrl,
        gatewayUrl: at(db.gatewayUrl),
        gatewayRole,
        prepares: true,
        tables: [ITEMS],
        migrations: [],
      });
      assert.deepEqual(findings.filter(({ level }) => level === "problem"), []);
    } finally {
      await db.admin.unsafe(`drop database ${quoted} with (force)`);
      await db.close();
    }
  },
});

Deno.test({
  name: "a gateway's role may have any name",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([ITEMS]);
    const role = `Odd "role"'s $1 %s ${db.gatewayRole}`;
    try {
      const { adminUrl, secrets } = db;
      await migrateUp({
        adminUrl,
        secrets,
        tables: [ITEMS],
        gatewayRole: role,
        gatewayPassword: "p @:/",
      });
      const database = postgresDatabase({ url: gatewayUrl(adminUrl, role, "p @:/"), max: 1 });
      try {
        const engine = storageEngine({ database, tables: [ITEMS] });
        const session = await engine.openSession(await db.token());
        await run(engine, call(session), (s) => s.items!.set("a", { name: NAME, n: 1 }));
      } finally {
        await database.close();
      }
    } finally {
      const quoted = `"${role.replaceAll('"', '""')}"`;
      await db.admin.unsafe(`drop owned by ${quoted}`).catch(() => {});
      await db.admin.unsafe(`drop role if exists ${quoted}`);
      await db.close();
    }
  },
});
