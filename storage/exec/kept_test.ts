/**
 * Queries whose plans are kept give what the others give, and are used for just those calls they are right for.
 *
 * @module
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import type { ExecDef } from "../../_internal/manifest.ts";
import { testDatabase } from "../../tests/postgres.ts";
import { until } from "../../tests/until.ts";
import { storageEngine } from "../engine.ts";
import { installKept, KEPT_EXECS } from "../migrate/exec/kept.ts";
import { makeTenant } from "../migrate/tenant_admin.ts";
import { postgresDatabase } from "../postgres_database.ts";
import {
  type AnyRow,
  type AnyStorage,
  call,
  field,
  number,
  run,
  string,
  table,
} from "../testing/tables.ts";
import { exec, query } from "./testing/query.ts";

const ITEMS = table("items", [field("n", number)]);
const SECRETS = table("secrets", [field("word", string, { perm: 2 })]);
const BY_KEY = query({ id: string, n: number })`
  select id, n from items where id = ${string}`;
/** For PL/pgSQL a statement with INTO is another one. */
const INTO = query({ into: number })`select n as into from items where id = ${string}`;
const HIDDEN = query({ word: string })`select word from secrets where id = ${string}`;
const MANY = Array.from(
  { length: KEPT_EXECS },
  (_, i) =>
    query({ n: number })(
      [`select n + ${i} as n from items where id = `, ""] as unknown as TemplateStringsArray,
      string,
    ),
);
const EXECS = [BY_KEY, INTO, HIDDEN, ...MANY];

/** Whether a query waits for a lock on a table. */
async function isHeldUp(sql: postgres.Sql): Promise<boolean> {
  const rows = await sql`
    select 1 from pg_locks l join pg_stat_activity a using (pid)
     where a.datname = current_database() and l.locktype = 'relation' and not l.granted`;
  return rows.length > 0;
}

Deno.test({
  name: "plans that connections keep",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const tables = [ITEMS, SECRETS];
    const db = await testDatabase(tables, {}, "shared", EXECS);
    const database = postgresDatabase({ url: db.gatewayUrl, max: 1 });
    const engine = storageEngine({ database, tables, execs: EXECS });
    const login = async (tenant: string) =>
      await engine.openSession(await db.token({ owner: "ann", tenant }));
    const ann = await login("main");
    const ask = async (
      def: ExecDef,
      before: (s: AnyStorage) => Promise<unknown> = () => Promise.resolve(),
      session = ann,
      grants = {},
    ): Promise<AnyRow[]> => {
      const body = async (s: AnyStorage) => {
        await before(s);
        return await exec(s, def, "a");
      };
      return (await run(engine, call(session, { grants }), body)).value;
    };
    /** Lets the kept functions of a query answer something that shows which it was. */
    const mark = async (def: ExecDef): Promise<void> => {
      const [row] = await db
        .admin`select kept_as as name from kontract_private.execs where id = ${def.id}`;
      for (const [kind, n] of [["small", -1], ["large", -2]]) {
        await db.admin.unsafe(`
          create or replace function kontract_exec.${kind}_${
          row!.name
        }(p_snap pg_snapshot, p_params jsonb)
          returns json language plpgsql stable security definer as 'begin return ''[["a", ${n}]]''; end'`);
      }
    };
    const answers: Promise<AnyRow[]>[] = [];
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    try {
      await run(engine, call(ann), async (s) => {
        await s.items!.set("a", { n: 1 });
        await s.secrets!.set("a", { word: "x" });
      });

      await test("as many queries as may have one, in the order of the build", async () => {
        const kept = await db.admin`select id from kontract_private.execs where kept is not null`;
        assert.deepEqual(
          new Set(kept.map(({ id }) => id)),
          // One reads what needs a grant.
          new Set([BY_KEY, INTO, ...MANY.slice(0, KEPT_EXECS - 3)].map(({ id }) => id)),
        );
        for (const [i, def] of MANY.entries()) assert.deepEqual(await ask(def), [{ n: 1 + i }]);
        assert.deepEqual(await ask(INTO), [{ into: 1 }]);
      });

      await test("what needs a grant is judged per call", async () => {
        await assert.rejects(ask(HIDDEN), { code: "PERMISSION_DENIED" });
        const granted = await ask(HIDDEN, undefined, ann, { "secrets.word": 4 });
        assert.deepEqual(granted, [{ word: "x" }]);
      });

      await test("an old snapshot sees what it saw, a new one what is new", async () => {
        const seen = await ask(BY_KEY, async (s) => {
          await exec(s, BY_KEY, "a");
          await run(engine, call(ann), (other) => other.items!.set("a", { n: 2 }));
        });
        assert.deepEqual(seen, [{ id: "a", n: 1 }]);
        assert.deepEqual(await ask(BY_KEY), [{ id: "a", n: 2 }]);
      });

      await test("they serve main, and calls that have not written to the table", async () => {
        await makeTenant(db.adminUrl, "acme");
        const there = await login("acme");
        await run(engine, call(there), (s) => s.items!.set("a", { n: 7 }));
        await mark(BY_KEY);
        assert.deepEqual(await ask(BY_KEY), [{ id: "a", n: -1 }]);
        assert.deepEqual(await ask(BY_KEY, (s) => s.secrets!.set("b", { word: "y" })), [
          { id: "a", n: -1 },
        ]);
        assert.deepEqual(await ask(BY_KEY, (s) => s.items!.set("a", { n: 3 })), [
          { id: "a", n: 3 },
        ]);
        assert.deepEqual(await ask(BY_KEY, undefined, there), [{ id: "a", n: 7 }]);
      });

      await test("a table that has grown has another plan", async () => {
        const [row] = await db.admin`select ptr from kontract.storage
          where id = 'items' and owner = 'main'`;
        await db.admin.unsafe(`insert into kontract_private.${row!.ptr} (id, data, _owner, _order)
          select 'r' || i, jsonb_build_object('id', 'r' || i, 'n', i), 'ann', i
            from generate_series(1, 10000) i`);
        assert.deepEqual(await ask(BY_KEY), [{ id: "a", n: -2 }]);
      });

      await test("a call that has begun beside a migration's end gives what it began with", async () => {
        const admin = postgres(db.adminUrl, { max: 1, onnotice: () => {} });
        try {
          await admin.begin(async (tx) => {
            // The call has then looked its query up, and waits before its tables.
            await tx`lock table kontract.trxs in access exclusive mode`;
            const asked = ask(BY_KEY);
            await until(() => isHeldUp(db.admin));
            await tx.unsafe("set local role kontract_owner");
            await tx.unsafe(
              "set local search_path = pg_catalog, kontract, kontract_private, pg_temp",
            );
            await installKept(tx, []);
            answers.push(asked);
          });
          assert.deepEqual(await answers[0], [{ id: "a", n: 3 }]);
        } finally {
          await admin.end();
        }
      });

      await test("a migration makes them anew, and those of a build before go", async () => {
        const later = [
          table("items", [...ITEMS.fields.slice(1), field("b", number, { default: 5 })]),
        ];
        const next = query({ b: number })`select b from items where id = ${string}`;
        await db.migrate(later, {}, [next]);
        const other = storageEngine({ database, tables: later, execs: [next] });
        const { value } = await run(other, call(ann), (s) => exec(s, next, "a"));
        assert.deepEqual(value, [{ b: 5 }]);
        assert.deepEqual(await ask(BY_KEY), [{ id: "a", n: 3 }]);
        const left = await db.admin`select proname as name from pg_proc
          where pronamespace = 'kontract_exec'::regnamespace and proname <> 'run' order by 1`;
        assert.deepEqual(
          left.map(({ name }) => String(name).replace(/_[^_]*$/, "")),
          [`large_${next.id}`, `small_${next.id}`],
        );
      });
    } finally {
      await database.close();
      await db.close();
    }
  },
});
