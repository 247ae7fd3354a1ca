import assert from "node:assert/strict";
import postgres from "postgres";
import { testDatabase } from "../../tests/postgres.ts";
import type { StorageSession } from "../contract.ts";
import { storageEngine } from "../engine.ts";
import { postgresDatabase } from "../postgres_database.ts";
import { createTenant, dropTenant } from "../tenants.ts";
import { code } from "../testing/expect_code.ts";
import {
  ACCOUNTS,
  type AnyStorage,
  call,
  CountingDatabase,
  NOTES,
  number,
  PEOPLE,
  run,
  string,
  THINGS,
} from "../testing/tables.ts";
import { exec, query } from "./testing/query.ts";

const BY_CITY = query({ city: string, total: number })`
  select city, sum(balance) as total from accounts where balance >= ${number}
   group by city order by total desc, city`;
const MY_NOTES = query({ id: string, text: string })`select id, text from notes order by id`;
const PAIRS = query({ a: string, b: string })`
  with rich as (select id, city from accounts where balance > 100)
  select a.id as a, b.id as b from rich a join rich b on a.city = b.city and a.id < b.id order by 1, 2`;
const AMONG = query({ id: string })`
  select id from accounts where id = any (${{ kind: "array", element: string }}) order by id`;
const THE_NAMES = query({ name: string })`select name from people order by name`;
const BY_PIN = query({ name: string })`select name from people where pin = ${string}`;
const VALUES = query({
  at: { kind: "date" },
  big: { kind: "bigint", width: "big" },
  flag: { kind: "boolean" },
  city: string,
  tags: { kind: "array", element: string },
  count: number,
})`
  select at + interval '1 day' as at, big + 1 as big, not flag as flag, home->>'city' as city, tags,
         jsonb_array_length(tags) as count
    from things where at > ${{ kind: "date" }} and flag = ${{ kind: "boolean" }} and big < ${{
  kind: "bigint",
  width: "big",
}}`;
const LONG_AGO = query({ at: { kind: "date" } })`
  select at - interval '3000 years' as at from things where id = ${string}`;
const ONE_OF = query({ city: string })`
  select (select city from accounts) as city from people where name <> ${string}`;
const SHARE = query({
  n: number,
})`select 1 / (balance - balance) as n from accounts where id = ${string}`;
const TOP = query({ top: number })`select max(balance) as top from accounts where city = ${string}`;
const ENDLESS = query({ n: number })`
  select count(*) as n from accounts a, generate_series(1, 1000000000000) g where g > length(a.id)`;
const SORTED = query({ n: number })`
  select count(*) as n from (select g::text from generate_series(1, ${number}::int) g order by 1) s, accounts
   where id = 'a'`;
const LONG = query({ n: number })`
  select length(string_agg(repeat(a.id, 10000), '')) as n from accounts a, generate_series(1, ${number}::int)
   where a.id = 'a'`;
const WITHIN = query({ id: string })`
  select id from accounts where city in (select city from accounts where balance > ${number})
     and (id, city) not in (select name, name from people) order by id`;
const MANY = query({ n: number })`
  select g as n from generate_series(1, ${number}::int) g, accounts where id = 'many'`;
const ODD = query({ n: number, text: string })`
  select 7 % 4 as n, '%I %s $1 ''' || "id" as text -- a comment ends here
    from accounts where id = 'odd'`;
const RENAMED = query({ town: string })`
  select e.c as town from accounts e(a, b, c) where e.c = 'Ulm' order by e.a`;
const PINS = query({ n: number })`
  select count(j) as n from (people a cross join accounts b) j`;
const LISTED = query({ one: string, tags: number })`
  select coalesce(${string}, 'none') as one,
         coalesce(array_length(${{
  kind: "array",
  element: number,
}}, 1), -1) as tags from accounts where id = 'a'`;
const JSON_VALUE = query({ kind: string })`
  select coalesce(jsonb_typeof(${{
  kind: "unknown",
}}), 'none') as kind from accounts where id = 'a'`;

const NULLS = query({ id: string })`
  select id from things where "any" is null and note is null order by id`;

const EXECS = [
  BY_CITY,
  MY_NOTES,
  PAIRS,
  AMONG,
  THE_NAMES,
  BY_PIN,
  VALUES,
  TOP,
  LONG_AGO,
  ONE_OF,
  SHARE,
  ENDLESS,
  SORTED,
  LONG,
  WITHIN,
  MANY,
  ODD,
  RENAMED,
  LISTED,
  JSON_VALUE,
  NULLS,
];
const tables = [ACCOUNTS, NOTES, PEOPLE, THINGS];

Deno.test({
  name: "queries fixed at build time",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(tables, {}, "shared", EXECS);
    const database = new CountingDatabase(postgresDatabase({ url: db.gatewayUrl, max: 4 }));
    const engine = storageEngine({ database, tables, execs: EXECS });
    const login = async (owner: string): Promise<StorageSession> =>
      await engine.openSession(await db.token({ owner }));
    const alice = await login("alice");
    const bob = await login("bob");
    const system = async (): Promise<StorageSession> =>
      await engine.openSession(await db.token({ owner: "system", system: true }));
    /** With the runtime's connection string. */
    const thief = postgres(db.gatewayUrl, { max: 1, onnotice: () => {}, fetch_types: false });
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    try {
      await run(engine, call(alice), async (s) => {
        await s.accounts!.set("a", { balance: 120, city: "Ulm" });
        await s.accounts!.set("b", { balance: 150.5, city: "Ulm" });
        await s.accounts!.set("c", { balance: 30, city: "Bonn" });
        await s.people!.set("p", { name: "Ann", pin: "1234" });
        await s.notes!.set("1", { text: "hers" });
        await s.things!.set("t", {
          at: new Date("2026-01-31T10:20:30.456Z"),
          big: 90071992547409930n,
          flag: true,
          tags: ["x", "y"],
          home: { city: "Köln" },
        });
      });
      await run(engine, call(bob), (s) => s.notes!.set("1", { text: "his" }));

      await test("a query is one round trip, its rows typed by the declared columns", async () => {
        database.sent.length = 0;
        const { value } = await run(
          engine,
          call(alice, { readOnly: true }),
          (s) => exec(s, BY_CITY, 10),
        );
        assert.deepEqual(value, [{ city: "Ulm", total: 270.5 }, { city: "Bonn", total: 30 }]);
        assert.deepEqual(database.sent, ["exec"]);
      });

      await test("joins, WITH, lists, dates, big numbers and nested fields work", async () => {
        await run(engine, call(alice), async (s) => {
          assert.deepEqual(await exec(s, PAIRS), [{ a: "a", b: "b" }]);
          assert.deepEqual(await exec(s, AMONG, ["c", "a", "'; drop"]), [{ id: "a" }, { id: "c" }]);
          assert.deepEqual(await exec(s, AMONG, []), []);
          const [row] = await exec(s, VALUES, new Date(0), true, 2n ** 80n);
          assert.deepEqual(row, {
            at: new Date("2026-02-01T10:20:30.456Z"),
            big: 90071992547409931n,
            flag: false,
            city: "Köln",
            tags: ["x", "y"],
            count: 2,
          });
        });
      });

      await test("a date that SQL writes otherwise is null, and ends no query", async () => {
        const far = [8.64e15, -8.64e15, -62_167_219_200_000].map((at) => new Date(at));
        const count = async (s: AnyStorage): Promise<number> =>
          (await exec(s, VALUES, new Date(-62_135_596_800_000), true, 2n ** 80n)).length;
        await run(engine, call(alice), async (s) => {
          for (const at of far) await s.things!.set(at.toISOString(), { at, flag: true, big: 1n });
          assert.equal(await count(s), 1, "buffered");
        });
        assert.equal((await run(engine, call(alice), count)).value, 1, "stored");
        await run(engine, call(alice), async (s) => {
          for (const at of far) await s.things!.delete(at.toISOString());
        });
      });

      await test("a null of a row is NULL in a query, whatever its field may hold", async () => {
        const ids = async (s: AnyStorage): Promise<unknown> =>
          (await exec(s, NULLS)).map(({ id }) => id).filter((id) => String(id).startsWith("nul"));
        await run(engine, call(alice), async (s) => {
          await s.things!.set("null", { any: null, note: null });
          await s.things!.set("nullity", { any: "null", note: null });
          await s.things!.set("nulls", {});
          assert.deepEqual(await ids(s), ["null", "nulls"], "buffered");
        });
        assert.deepEqual((await run(engine, call(alice), ids)).value, ["null", "nulls"], "stored");
        await run(engine, call(alice), async (s) => {
          for (const id of ["null", "nullity", "nulls"]) await s.things!.delete(id);
        });
      });

      await test("what a call has written is more bytes than a query can see", async () => {
        const wide = "名".repeat(2 ** 20);
        await run(engine, call(alice, { retry: 0 }), async (s) => {
          for (let n = 0; n < 11; n++) await s.things!.set(`w${n}`, { note: wide });
          database.sent.length = 0;
          await assert.rejects(exec(s, TOP, "Ulm"), code("TOO_LARGE"));
          throw new Error("enough");
        }).catch(({ message }) => assert.equal(message, "enough"));
        assert.deepEqual(database.sent, []);
      });

      await test("a query within a query is compared with", async () => {
        const { value } = await run(engine, call(alice), (s) => exec(s, WITHIN, 140));
        assert.deepEqual(value, [{ id: "a" }, { id: "b" }]);
      });

      await test("text that looks like a format, a parameter or a comment is only text", async () => {
        await run(
          engine,
          call(alice),
          (s) => s.accounts!.set("odd", { balance: 0, city: "Xanten" }),
        );
        const { value } = await run(engine, call(alice), (s) => exec(s, ODD));
        assert.deepEqual(value, [{ n: 3, text: "%I %s $1 'odd" }]);
        await run(engine, call(alice), (s) => s.accounts!.delete("odd"));
      });

      await test("names given to a table's columns in order are of the columns as they are declared", async () => {
        const { value } = await run(engine, call(alice), (s) => exec(s, RENAMED));
        assert.deepEqual(value, [{ town: "Ulm" }, { town: "Ulm" }]);
      });

      await test("a parameter that is null is NULL, of whichever type", async () => {
        await run(engine, call(alice), async (s) => {
          assert.deepEqual(await exec(s, LISTED, null, null), [{ one: "none", tags: -1 }]);
          assert.deepEqual(await exec(s, LISTED, "a", [1, 2]), [{ one: "a", tags: 2 }]);
          for (
            const [json, kind] of [
              [null, "none"],
              ["null", "string"],
              [1, "number"],
              [{ a: null }, "object"],
              [[], "array"],
            ]
          ) assert.deepEqual(await exec(s, JSON_VALUE, json), [{ kind }]);
        });
      });

      await test("it sees the snapshot of the call's first read, and the call's own writes", async () => {
        await run(engine, call(alice, { retry: 0, readOnly: true }), async (s) => {
          await s.accounts!.get("a");
          await run(engine, call(bob), (other) => other.accounts!.update("a", { balance: 9_000 }));
          assert.equal((await exec(s, BY_CITY, 10))[0]!.total, 270.5);
        });
        await run(engine, call(alice), async (s) => {
          await s.accounts!.update("a", { balance: 1 });
          await s.accounts!.delete("c");
          await s.accounts!.set("d", { balance: 4, city: "Rom" });
          assert.deepEqual(await exec(s, BY_CITY, 1), [
            { city: "Ulm", total: 151.5 },
            { city: "Rom", total: 4 },
          ]);
        });
        const { value } = await run(engine, call(alice), (s) => exec(s, BY_CITY, 1));
        assert.equal(value.length, 2);
      });

      await test("a call that writes on the strength of a query is serializable", async () => {
        const claim = (s: Parameters<Parameters<typeof run>[2]>[0], id: string) =>
          s.accounts!.set(id, { balance: 5, city: "Graz" });
        let runs = 0;
        const { value } = await run(engine, call(alice), async (s) => {
          const rows = await exec(s, TOP, "Graz").catch(() => []);
          if (runs++ === 0) await run(engine, call(bob), (other) => claim(other, "g1"));
          if (rows.length === 0) await claim(s, "g2");
          return rows;
        });
        // The first run saw no row (a null is refused); it lost, and the second saw bob's.
        assert.equal(runs, 2);
        assert.deepEqual(value, [{ top: 5 }]);
        await assert.rejects(
          run(engine, call(alice, { retry: 0 }), async (s) => {
            await exec(s, TOP, "Graz");
            await run(engine, call(bob), (other) => claim(other, "g3"));
            await s.people!.set("q", { name: "Bo" });
          }),
          code("CONFLICT"),
        );
      });

      await test("of a table with rows of owners only the caller's own are there", async () => {
        const mine = await run(engine, call(alice), (s) => exec(s, MY_NOTES));
        const his = await run(engine, call(bob), (s) => exec(s, MY_NOTES));
        assert.deepEqual(mine.value, [{ id: "1", text: "hers" }]);
        assert.deepEqual(his.value, [{ id: "1", text: "his" }]);
      });

      await test("a field without R is refused, unless the route grants it", async () => {
        await run(engine, call(alice), (s) => exec(s, THE_NAMES));
        await assert.rejects(
          run(engine, call(alice), (s) => exec(s, BY_PIN, "1234")),
          code("PERMISSION_DENIED"),
        );
        const granted = call(alice, { grants: { "people.pin": 4 } });
        const { value } = await run(engine, granted, (s) => exec(s, BY_PIN, "1234"));
        assert.deepEqual(value, [{ name: "Ann" }]);
      });

      await test("a whole row of a join holds it too, or is none, as the server's version has it", async () => {
        const version = Number((await db.admin`show server_version_num`)[0]!.server_version_num);
        const migrated = db.migrate(tables, {}, [...EXECS, PINS]);
        if (version < 180_000) return await assert.rejects(migrated, code("MIGRATION_REFUSED"));
        await migrated;
        const pins = storageEngine({ database, tables, execs: [PINS] });
        await assert.rejects(
          run(pins, call(alice), (s) => exec(s, PINS)),
          code("PERMISSION_DENIED"),
        );
      });

      await test("a route without R on one of the tables is refused", async () => {
        for (const perm of [0, 1, 2, 3] as const) {
          await assert.rejects(
            run(engine, call(alice, { perm }), (s) => exec(s, BY_CITY, 0)),
            code("PERMISSION_DENIED"),
          );
        }
      });

      await test("a null that the type does not have is told, not passed on", async () => {
        await assert.rejects(
          run(engine, call(alice), (s) => exec(s, TOP, "Nowhere")),
          (error: unknown) => {
            assert.ok(code("SCHEMA_MISMATCH")(error));
            assert.match(String(error), /Column 'top' of the query at src\/queries.ts:10 is null/);
            return true;
          },
        );
      });

      await test("what a query cannot do with the rows there are is told as its own fault", async () => {
        await run(engine, call(alice), (s) => s.things!.set("ago", { at: new Date(0) }));
        const told = async (
          what: Parameters<typeof exec>[1],
          at: string,
          ...as: [string, RegExp]
        ) => {
          await assert.rejects(
            run(engine, call(alice), (s) => exec(s, what, at)),
            (error: unknown) => {
              assert.ok(code(as[0])(error));
              assert.match((error as Error).message, as[1]);
              return true;
            },
          );
        };
        await told(
          LONG_AGO,
          "ago",
          "SCHEMA_MISMATCH",
          /Column 'at' .* does not have the declared type/,
        );
        await told(ONE_OF, "", "VALIDATION", /several rows/);
        await told(SHARE, "a", "VALIDATION", /divides by zero/);
        await run(engine, call(alice), (s) => s.things!.delete("ago"));
      });

      await test("a parameter of another type never reaches the database", async () => {
        database.sent.length = 0;
        for (const bad of ["10", Number.NaN, Infinity, {}, [1]]) {
          await assert.rejects(
            run(engine, call(alice), (s) => exec(s, BY_CITY, bad)),
            code("VALIDATION"),
          );
        }
        for (const bad of ["nul\0", "half \ud800", 7]) {
          await assert.rejects(
            run(engine, call(alice), (s) => exec(s, TOP, bad)),
            code("VALIDATION"),
          );
        }
        assert.deepEqual(database.sent, []);
      });

      await test("a text that the build has not seen never reaches the database", async () => {
        database.sent.length = 0;
        const made = query({ sid: string })`select sid from trxs`;
        await assert.rejects(run(engine, call(alice), (s) => exec(s, made)), code("VALIDATION"));
        const tag = (s: unknown): (...args: unknown[]) => Promise<unknown> =>
          (s as { exec: (...args: unknown[]) => Promise<unknown> }).exec;
        for (const bad of ["select 1", undefined, [1], [["a"]]]) {
          await assert.rejects(run(engine, call(alice), (s) => tag(s)(bad)), code("VALIDATION"));
        }
        assert.deepEqual(database.sent, []);
      });

      await test("a build that the database does not know is told so", async () => {
        const other = query({ id: string })`select id from accounts`;
        const old = storageEngine({ database, tables, execs: [other] });
        await assert.rejects(
          run(old, call(alice), (s) => exec(s, other)),
          code("SCHEMA_MISMATCH"),
        );
      });

      await test("a stolen connection string alone runs no query, known or unknown", async () => {
        for (const id of [MY_NOTES.id, "unknown"]) {
          for (const writes of [null, '{"notes":[["1",{"text":"mine"}]]}']) {
            await assert.rejects(
              thief`select rows from kontract.exec('guess', 7, null, null, null, null, null, null,
                ${id}, '[]', ${writes}::text::jsonb)`,
              { code: "28000" },
            );
          }
        }
      });

      await test("a stored text that was altered reaches nothing but the caller's own tables", async () => {
        await createTenant(database, { session: await system(), actor: null }, "globex");
        const hers = await engine.openSession(await db.token({ owner: "alice", tenant: "globex" }));
        await run(engine, call(hers), (s) => s.notes!.set("1", { text: "of globex" }));
        const [own, other] = await db.admin`
          select ptr from kontract.storage where id = 'notes' and owner in ('main', 'globex')
           order by owner <> 'main'`;
        const altered = async (session: StorageSession, text: string): Promise<unknown> => {
          await db
            .admin`update kontract_private.execs
              set kept = null, body = ${`select to_json(array(${text}))`}
            where id = ${MY_NOTES.id}`;
          const rows =
            await thief`select rows from kontract.exec(${session.sid}, 7, null, null, null, null,
            null, null, ${MY_NOTES.id}, '[]', null)`;
          return rows[0]!.rows;
        };
        const kept = await db
          .admin`select body from kontract_private.execs where id = ${MY_NOTES.id}`;
        const refused: readonly (readonly [StorageSession, string])[] = [
          ...[
            "select sid::text from kontract.trxs",
            "select ptr from kontract.storage",
            "select kid from kontract_private.keys",
            "select answer::text from kontract_private.effects",
            "select jti from kontract_private.token_ids",
            "select body from kontract_private.execs",
            `select data::text from kontract_private.${own!.ptr}`,
            `select query_to_xml('select * from kontract_private.${
              own!.ptr
            }', true, true, '')::text`,
            "select cursor_to_xml('x', 1, true, true, '')::text from kontract.trxs",
            "select kontract.open_session('x')::text",
            `select kontract.cur()::text`,
            "select kontract_private.make_tenant('x')::text",
            "select set_config('role', 'kontract_owner', false)",
            "select pg_read_file('/etc/passwd')",
            `select data::text from kontract_exec.${other!.ptr}`,
            `select count(*)::text from kontract_exec.${other!.ptr}`,
            `select b.data::text from kontract_exec.${own!.ptr} a, kontract_exec.${other!.ptr} b`,
          ].map((text) => [alice, text] as const),
          [hers, `select data::text from kontract_exec.${own!.ptr}`],
        ];
        try {
          for (const [session, text] of refused) {
            await assert.rejects(altered(session, text), { code: "42501" }, text);
          }
          await assert.rejects(altered(alice, "select 'x' from kontract_exec._users"), {
            code: "42P01",
          });
          // Of a table with rows of owners a view has the caller's; as another session only who knows its hash.
          const whole = `select data->>'text' from kontract_exec.${
            own!.ptr
          } where _deleted_txid is null`;
          assert.deepEqual(await altered(alice, whole), ["hers"]);
          assert.deepEqual(await altered(bob, whole), ["his"]);
          await assert.rejects(
            altered(
              alice,
              `select data::text from (select set_config('kontract.exec', '${
                "0".repeat(64)
              }', true)) s(x),
                kontract_exec.${own!.ptr} where x <> ''`,
            ),
            { code: "42501" },
          );
          const after = await thief`select current_setting('kontract.exec', true) as session`;
          assert.ok(!after[0]!.session);
        } finally {
          await db.admin`update kontract_private.execs set kept = null, body = ${
            kept[0]!.body
          } where id = ${MY_NOTES.id}`;
        }
        await dropTenant(database, { session: await system(), actor: null }, "globex");
      });

      await test("in each tenant a query reads the tenant's own tables", async () => {
        await createTenant(database, { session: await system(), actor: null }, "acme");
        const hers = await engine.openSession(await db.token({ owner: "alice", tenant: "acme" }));
        assert.deepEqual((await run(engine, call(hers), (s) => exec(s, BY_CITY, 0))).value, []);
        await run(engine, call(hers), (s) => s.accounts!.set("x", { balance: 8, city: "Linz" }));
        const { value } = await run(engine, call(hers), (s) => exec(s, BY_CITY, 0));
        assert.deepEqual(value, [{ city: "Linz", total: 8 }]);
        await run(engine, call(hers), (s) => s.notes!.set("1", { text: "in acme" }));
        assert.deepEqual((await run(engine, call(hers), (s) => exec(s, MY_NOTES))).value, [
          { id: "1", text: "in acme" },
        ]);
        await assert.rejects(
          run(engine, call(hers), (s) => exec(s, BY_PIN, "1")),
          code("PERMISSION_DENIED"),
        );
        let runs = 0;
        await run(engine, call(hers), async (s) => {
          await exec(s, BY_CITY, 0);
          if (runs++ === 0) {
            await run(engine, call(hers), (other) => other.accounts!.update("x", { balance: 9 }));
          }
          await s.notes!.set("n", { text: "after" });
        });
        assert.equal(runs, 2, "what the query read is validated in a tenant as well");
      });

      await test("rows are bounded", async () => {
        await run(engine, call(alice), (s) => s.accounts!.set("many", { balance: 0 }));
        const { value } = await run(engine, call(alice), (s) => exec(s, MANY, 10_000));
        assert.equal(value.length, 10_000);
        await assert.rejects(
          run(engine, call(alice), (s) => exec(s, MANY, 10_001)),
          code("TOO_LARGE"),
        );
      });

      await test("a query without end is ended by the server's own clock", async () => {
        const [setting] = await db
          .admin`select rolconfig::text as config from pg_roles where rolname = ${db.gatewayRole}`;
        assert.match(String(setting!.config), /statement_timeout=/);
        await db.admin.unsafe(`alter role ${db.gatewayRole} set statement_timeout = '300ms'`);
        const hasty = postgresDatabase({ url: db.gatewayUrl, max: 1 });
        try {
          const other = storageEngine({ database: hasty, tables, execs: EXECS });
          await assert.rejects(
            run(other, call(alice), (s) => exec(s, ENDLESS)),
            code("DEADLINE_EXCEEDED"),
          );
          assert.equal((await run(other, call(alice), (s) => exec(s, MY_NOTES))).value.length, 1);
        } finally {
          await hasty.close();
        }
      });

      await test("a query that fills the disk is ended, and the connection goes on", async () => {
        const [setting] = await db
          .admin`select rolconfig::text as config from pg_roles where rolname = ${db.gatewayRole}`;
        assert.match(String(setting!.config), /temp_file_limit=1GB/);
        await db.admin.unsafe(`alter role ${db.gatewayRole} set temp_file_limit = '1MB'`);
        const small = postgresDatabase({ url: db.gatewayUrl, max: 1 });
        try {
          const other = storageEngine({ database: small, tables, execs: EXECS });
          await assert.rejects(
            run(other, call(alice), (s) => exec(s, SORTED, 1_000_000)),
            code("TOO_LARGE"),
          );
          assert.equal((await run(other, call(alice), (s) => exec(s, SORTED, 10))).value[0]!.n, 10);
        } finally {
          await small.close();
        }
      });

      await t.step({
        name: "a value of gigabytes is refused, and the server goes on",
        ignore: Deno.env.get("KONTRACT_LONG") !== "1",
        async fn() {
          const [before] = await db.admin`select pg_postmaster_start_time()::text as at`;
          await assert.rejects(
            run(engine, call(alice), (s) => exec(s, LONG, 1_000_000)),
            code("TOO_LARGE"),
          );
          assert.equal(
            (await run(engine, call(alice), (s) => exec(s, LONG, 2))).value[0]!.n,
            20_000,
          );
          const [after] = await db.admin`select pg_postmaster_start_time()::text as at`;
          assert.equal(after!.at, before!.at);
        },
      });

      await test("it uses the declared index of the field it filters by, and that of the key", async () => {
        const [row] = await db.admin`
          select kontract_private.exec_view('accounts', '[["id","key",""],["city","text",""]]', st.ptr, st.fields, st.bits,
                   st.lazy, null, false) as view, st.ptr from kontract.storage st where st.id = 'accounts'`;
        await db.admin.begin(async (tx) => {
          await tx.unsafe("set local enable_seqscan = off");
          const text = String(row!.view).replaceAll("$1", "pg_current_snapshot()");
          for (
            const [query, column] of [
              ["select city from accounts where city = 'Ulm'", "city"],
              ["select city from accounts where id = 'a'", "id"],
              [
                "select b.city from accounts a join accounts b on b.id = a.city where a.id = 'a'",
                "id",
              ],
            ]
          ) {
            const plan = await tx.unsafe(`explain with ${text} ${query}`);
            const lines = plan.map((line) => String(line["QUERY PLAN"])).join("\n");
            assert.match(lines, new RegExp(`Index Cond: .*${column}`), lines);
            assert.doesNotMatch(lines, /Seq Scan/, lines);
          }
        });
      });

      await test("a table added to, renamed or rebuilt is read as it is now", async () => {
        const wider = {
          ...ACCOUNTS,
          fields: [...ACCOUNTS.fields, {
            name: "vip",
            shape: { kind: "boolean" } as const,
            optional: false,
            default: true,
            perm: 7 as const,
            doc: "",
          }],
        };
        const vips = query({ n: number })`select count(*) as n from accounts where vip`;
        await db.migrate([wider, NOTES, PEOPLE, THINGS], {}, [vips, BY_CITY]);
        const next = storageEngine({
          database,
          tables: [wider, NOTES, PEOPLE, THINGS],
          execs: [vips, BY_CITY],
        });
        const { value } = await run(next, call(alice), (s) => exec(s, vips));
        assert.ok(Number(value[0]!.n) > 3, "rows from before have the default");
        // A table may have any name, that of a type or of what a check makes too.
        const named = ["query", "text", "jsonb", "kontract_exec"].map((name) => ({
          ...ACCOUNTS,
          name,
        }));
        const all = [wider, NOTES, PEOPLE, THINGS, ...named];
        const odd = query({ city: string })`
          select text.city::text as city from text
            join jsonb on jsonb.id = text.id join query on query.id = text.id
            join kontract_exec k on k.id = text.id where text.city = ${string}::text`;
        await db.migrate(all, {}, [vips, BY_CITY]);
        await db.migrate(all, {}, [vips, BY_CITY, odd]); // names tables that no query has named
        const last = storageEngine({ database, tables: all, execs: [odd] });
        await run(last, call(alice), async (s) => {
          for (const { name } of named) await s[name]!.set("1", { balance: 1, city: "Ulm" });
        });
        const { value: found } = await run(last, call(alice), (s) => exec(s, odd, "Ulm"));
        assert.deepEqual(found, [{ city: "Ulm" }]);
        const hers = await last.openSession(await db.token({ owner: "alice", tenant: "acme" }));
        assert.deepEqual((await run(last, call(hers), (s) => exec(s, odd, "Ulm"))).value, []);
        // The last build's queries still run while its servers are being replaced.
        await run(engine, call(alice), (s) => exec(s, PAIRS));
      });
    } finally {
      await thief.end({ timeout: 2 });
      await database.close();
      await db.close();
    }
  },
});
