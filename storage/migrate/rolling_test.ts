/**
 * A deploy in which gateways of two builds serve one database: what a migration calls safe, the build before
 * survives, whatever the new one writes.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ExecDef, TableDef } from "../../_internal/manifest.ts";
import type { Shape } from "../../_internal/shape.ts";
import { testDatabase } from "../../tests/postgres.ts";
import type { ChangesOptions, StorageEngine } from "../contract.ts";
import { storageEngine } from "../engine.ts";
import { exec, query } from "../exec/testing/query.ts";
import { postgresDatabase } from "../postgres_database.ts";
import { DEFAULT_TENANT } from "../tenant_name.ts";
import {
  type AnyRow,
  type AnyStorage,
  call,
  field,
  index,
  number,
  run,
  string,
  table,
} from "../testing/tables.ts";
import { migrateUp } from "./mod.ts";
import { makeTenant } from "./tenant_admin.ts";

const boolean: Shape = { kind: "boolean" };
const orText = (shape: Shape): Shape => ({
  kind: "union",
  variants: [{ id: 1, shape }, { id: 2, shape: string }],
});
const inside = (shape: Shape): Shape => ({
  kind: "object",
  fields: [{ name: "size", id: 0, shape, optional: false }],
});
const items = (size: Shape, flag: Shape) =>
  table("items", [
    field("size", size),
    field("flag", flag),
    field("box", inside(size)),
    field("name", string),
  ], { indexes: [index(["size"]), index(["box.size"]), index(["flag"])] });

const OLD = [items(number, boolean), table("empty", [field("name", string)])];
const WIDER = items(orText(number), orText(boolean));
const NEW = [
  {
    ...WIDER,
    fields: [
      ...WIDER.fields,
      field("tier", string, { default: "free" }),
      field("note", string, { optional: true }),
    ],
    indexes: [...WIDER.indexes, index(["name"], true)],
  },
  table("empty", [field("name", string), field("tier", string, { default: "free" })]),
];
const LARGE = query({ id: string, size: number })`
  select id, size from items where size > ${number} and (flag or not flag) order by size`;

const item = (n: number): AnyRow => ({
  size: n,
  flag: n % 2 === 0,
  box: { size: n },
  name: `item ${n}`,
});
const ids = (rows: unknown): string[] => (rows as AnyRow[]).map(({ id }) => String(id));

for (const tenant of [DEFAULT_TENANT, "acme"]) {
  Deno.test({
    name: `two builds in '${tenant}': the one before goes on while the new one writes`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(t) {
      const db = await testDatabase(OLD, {}, "shared", [LARGE]);
      const database = postgresDatabase({ url: db.gatewayUrl, max: 4 });
      const before = storageEngine({ database, tables: OLD, execs: [LARGE] });
      const after = storageEngine({ database, tables: NEW });
      if (tenant !== DEFAULT_TENANT) await makeTenant(db.adminUrl, tenant);
      const session = await before.openSession(await db.token({ owner: "ann", tenant }));
      const as = async <T>(
        engine: StorageEngine,
        body: (storage: AnyStorage) => Promise<T>,
      ): Promise<T> => (await run(engine, call(session), body)).value;
      const rows = (body: (storage: AnyStorage) => PromiseLike<unknown>): Promise<string[]> =>
        as(before, async (s) => ids(await body(s)));
      const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
      try {
        await as(before, async (s) => {
          for (const n of [1, 2, 3]) await s.items!.set(`r${n}`, item(n));
        });
        await db.migrate(NEW);
        await as(after, (s) =>
          s.items!.set("new", {
            size: "large",
            flag: "maybe",
            box: { size: "deep" },
            name: "new",
            tier: "gold",
            note: "kept",
          }));

        await test("what it changes keeps the fields that only the new one knows", async () => {
          await as(before, (s) => s.items!.update("new", { name: "changed" }));
          assert.deepEqual(await as(after, (s) => s.items!.get("new")), {
            id: "new",
            size: "large",
            flag: "maybe",
            box: { size: "deep" },
            name: "changed",
            tier: "gold",
            note: "kept",
          });
        });

        await test("a value of another kind is like none where it compares", async () => {
          const where = (filter: object) => rows((s) => s.items!.query(filter));
          assert.deepEqual(await where({ size: { gt: 1 } }), ["r2", "r3"]);
          assert.deepEqual(await where({ size: { ne: 2 } }), ["r1", "r3", "new"]);
          assert.deepEqual(await where({ size: { in: [1, 2] } }), ["r1", "r2"]);
          assert.deepEqual(await where({ size: null }), []);
          assert.deepEqual(await where({ flag: true }), ["r2"]);
          assert.deepEqual(await where({ flag: { ne: null } }), ["r1", "r2", "r3", "new"]);
          assert.deepEqual(await where({ box: { size: { lte: 2 } } }), ["r1", "r2"]);
          assert.deepEqual(await where({ box: { size: null } }), []);
          assert.equal(await as(before, (s) => s.items!.query({ size: { gt: 1 } }).count()), 2);
        });

        await test("nor where rows are only buffered", async () => {
          const found = await as(before, async (s) => {
            await s.items!.update("new", { name: "buffered" });
            return [
              ids(await s.items!.query({ size: { gt: 1 } }).orderBy("size", "desc")),
              ids(await s.items!.query({ flag: { ne: true } }).orderBy("size")),
              ids(await s.items!.query({ size: { ne: null } })),
            ];
          });
          assert.deepEqual(found, [["r3", "r2"], ["r1", "r3", "new"], ["r1", "r2", "r3", "new"]]);
        });

        for (const direction of ["asc", "desc"] as const) {
          await test(`pages by it, ${direction}, have each row once`, async () => {
            const seen: string[] = [];
            for (let cursor: string | null = null;;) {
              const page = await as(
                before,
                (s) => s.items!.query().orderBy("size", direction).limit(1).after(cursor).page(),
              );
              seen.push(...ids(page.rows));
              cursor = page.cursor;
              if (cursor === null) break;
            }
            assert.deepEqual(
              seen,
              direction === "asc" ? ["r1", "r2", "r3", "new"] : ["new", "r3", "r2", "r1"],
            );
          });
        }

        await test("its stored queries run", async () => {
          assert.deepEqual(await as(before, (s) => exec(s, LARGE, 1)), [
            { id: "r2", size: 2 },
            { id: "r3", size: 3 },
          ]);
        });

        await test("a call that writes is validated, and its feed goes on", async () => {
          const options = { session, table: "items", filter: { size: { gt: 2 } }, limit: 10 };
          const start = await before.changes({ ...options, after: null } as ChangesOptions);
          let meanwhile = true;
          await as(before, async (s) => {
            const { length } = await s.items!.query({ size: { gt: 1 } });
            if (meanwhile) {
              meanwhile = false;
              await as(after, (other) =>
                other.items!.set("late", {
                  ...item(9),
                  size: "late",
                  box: { size: "late" },
                  flag: "late",
                }));
            }
            await s.items!.set("r4", item(length + 2));
          });
          const { changes } = await before.changes(
            { ...options, after: start.position } as ChangesOptions,
          );
          assert.deepEqual(changes.map(({ type, id }) => [type, id]), [["insert", "r4"]]);
        });

        await test("some rows at once are written where values have become unique", async () => {
          await as(before, async (s) => {
            const old = await s.items!.get("r1");
            await s.items!.set("r1", { ...old, name: "one" });
            await s.items!.set("r5", item(5));
            await s.items!.delete("r4");
          });
          assert.deepEqual(
            await as(
              after,
              async (s) =>
                (await s.items!.getMany(["r1", "r4", "r5"])).map((row) => row?.name ?? null),
            ),
            ["one", null, "item 5"],
          );
          await assert.rejects(
            as(before, async (s) => {
              await s.items!.set("r6", item(6));
              await s.items!.set("r7", { ...item(7), name: "one" });
            }),
            { code: "UNIQUE_VIOLATION" },
          );
        });

        await test("the first row of a table may come from it", async () => {
          await as(before, (s) => s.empty!.set("a", { name: "first" }));
          assert.deepEqual(await as(after, (s) => s.empty!.get("a")), {
            id: "a",
            name: "first",
            tier: "free",
          });
        });
      } finally {
        await database.close();
        await db.close();
      }
    },
  });
}

Deno.test({
  name: "a server of the build before that starts again leaves the database as the new one made it",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(OLD, {}, "shared", [LARGE]);
    const options = { adminUrl: db.adminUrl, secrets: db.secrets, gatewayRole: db.gatewayRole };
    const start = (tables: readonly TableDef[], execs: readonly ExecDef[] = []) =>
      migrateUp({ ...options, tables, execs, mayGoBack: false });
    const narrow: TableDef = { ...NEW[0]!, perm: 4 };
    const look = async (): Promise<unknown> =>
      await db.admin`
        select st.id, st.permissions, st.def, st.indexes,
               (select json_agg(p.prosrc order by p.oid) from pg_proc p
                 where p.pronamespace = 'kontract'::regnamespace) as functions
          from kontract.storage st order by st.id`;
    try {
      const { changed } = await start([narrow, NEW[1]!]);
      assert.ok(changed);
      const before = await look();

      await t.step("rights, indexes and fields, with rows and without", async () => {
        const { changed, later, steps } = await start(OLD, [LARGE]);
        assert.deepEqual([changed, later, steps], [false, true, []]);
        assert.deepEqual(await look(), before);
        assert.equal((await start([narrow, NEW[1]!])).later, false);
      });

      await t.step("a build that the database has never seen migrates", async () => {
        const { changed, later } = await start(NEW);
        assert.deepEqual([changed, later], [true, false]);
        assert.equal((await start([narrow, NEW[1]!])).later, true);
      });

      await t.step("whoever says so goes back, and that is the last build then", async () => {
        assert.equal((await migrateUp({ ...options, tables: OLD, execs: [LARGE] })).changed, true);
        assert.equal((await start(OLD, [LARGE])).later, false);
        assert.equal((await start(NEW)).later, true);
      });
    } finally {
      await db.close();
    }
  },
});
