/**
 * Pages: whatever a query sorts by, its pages are its rows, each once and in order; and where an index has the
 * order, no page costs more than the first.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { TableDef } from "../_internal/manifest.ts";
import { enterTenant, suiteTenant, testDatabase } from "../tests/postgres.ts";
import type { Page, Query } from "./types.ts";
import { storageEngine } from "./engine.ts";
import { postgresDatabase } from "./postgres_database.ts";
import {
  type AnyRow,
  type AnyTable,
  call,
  field,
  index,
  number,
  run,
  string,
  table,
} from "./testing/tables.ts";

const tenant = suiteTenant(import.meta);
const optional = { optional: true };
const FIELDS = [
  field("city", string),
  field("size", number),
  field("nick", string, optional),
  field("score", number, optional),
  field("home", {
    kind: "object",
    fields: [{ name: "zip", id: 0, shape: string, optional: true }],
  }, optional),
];
const INDEXES = [
  index(["city", "size"]),
  index(["size"]),
  index(["nick"]),
  index(["score", "city"]),
  index(["home.zip"]),
];
const ROWS = table("entries", FIELDS, { indexes: INDEXES });
const OWNED = table("own", FIELDS, { indexes: INDEXES, rows: "owner" });

type Order = readonly (readonly [string, "asc" | "desc"])[];

/** A small generator of numbers, the same in each run. */
function numbers(seed: number): () => number {
  return () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
}

async function open(tables: readonly TableDef[]) {
  const db = await enterTenant(await testDatabase(tables), tenant);
  const database = postgresDatabase({ url: db.gatewayUrl, max: 1 });
  const engine = storageEngine({ database, tables });
  const session = await engine.openSession(await db.token());
  return {
    db,
    session,
    run: async <T>(name: string, work: (t: AnyTable) => Promise<T>): Promise<T> =>
      (await run(engine, call(session, { readOnly: true }), (s) => work(s[name]!))).value,
    write: (name: string, work: (t: AnyTable) => Promise<unknown>) =>
      run(engine, call(session), (s) => work(s[name]!)),
    async close(): Promise<void> {
      await database.close();
      await db.close();
    },
  };
}

const sorted = (t: AnyTable, order: Order, filter: AnyRow = {}): Query<AnyRow> =>
  order.reduce((query, [name, way]) => query.orderBy(name, way), t.query(filter));

Deno.test({
  name: `pages by every order are the rows of the query, tenant ${tenant}`,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { run, write, close } = await open([ROWS, OWNED]);
    const random = numbers(7);
    const one = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
    try {
      for (const name of ["entries", "own"]) {
        await write(name, async (t) => {
          for (let i = 0; i < 40; i++) {
            const nick = one([undefined, "a", "b"]);
            const score = one([undefined, -1, 2]);
            const home = one([undefined, {}, { zip: "1" }, { zip: "2" }]);
            await t.set(`r${i}`, {
              city: one(["Ulm", "Bonn"]),
              size: one([1, 2, 3]),
              ...(nick === undefined ? {} : { nick }),
              ...(score === undefined ? {} : { score }),
              ...(home === undefined ? {} : { home }),
            });
          }
        });
      }
      const names = ["city", "size", "nick", "score", "home.zip", "id"];
      for (let round = 0; round < 32; round++) {
        const order: Order = Array.from(
          { length: 1 + Math.floor(random() * 3) },
          () => [one(names), one(["asc", "desc"] as const)],
        );
        const limit = one([2, 3, 7, 39]);
        const filter = one([{}, { city: "Ulm" }]);
        const said = JSON.stringify([order, limit, filter]);
        for (const name of ["entries", "own"]) {
          const { all, pages } = await run(name, async (t) => {
            const pages: AnyRow[] = [];
            let cursor: string | null = null;
            do {
              const page: Page<AnyRow> = await sorted(t, order, filter).limit(limit).after(cursor)
                .page();
              pages.push(...page.rows);
              cursor = page.cursor;
            } while (cursor !== null && pages.length < 100);
            return { all: await sorted(t, order, filter), pages };
          });
          assert.ok(all.length >= 10);
          assert.deepEqual(pages.map(({ id }) => id), all.map(({ id }) => id), said);
        }
      }
    } finally {
      await close();
    }
  },
});

Deno.test({
  name: `a page far behind reads as little as the first, where an index has the order, ${tenant}`,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { db, session, close } = await open([ROWS, OWNED]);
    const rows = 6_000;
    try {
      for (const name of ["entries", "own"]) {
        const ptr = await db.place(name);
        await db.admin.unsafe(`insert into ${ptr} (id, data, _owner, _order)
          select 'r' || i, jsonb_build_object('id', 'r' || i, 'city', 'c' || i % 4, 'size', i)
              || case when i % 1000 > 0 then jsonb_build_object('nick', 'n' || i, 'score', i) else '{}' end,
            'alice', i from generate_series(1, ${rows}) i`);
        await db.admin.unsafe(`analyze ${ptr}`);
      }
      /** Blocks that the statement of one page touches in the server. */
      const blocks = async (
        name: string,
        order: Order,
        after: unknown,
        snapshot: { readonly snap: string; readonly inc: string } | null = null,
      ): Promise<number> => {
        const kinds: Record<string, string> = { size: "number", score: "number" };
        const query = JSON.stringify({
          where: [],
          order: order.map(([path, way]) => [path.split("."), way, kinds[path] ?? "text"]),
          after,
          exclude: [],
          limit: 20,
          backward: false,
        }).replaceAll("'", "''");
        const seen = snapshot === null ? "null, null" : `'${snapshot.snap}', '${snapshot.inc}'`;
        const text = `explain (analyze, buffers, format json) select * from kontract.query(
          '${session.sid}', 7, null, null, ${seen}, null, null, '${name}', '${query}')`;
        let plan: { "Shared Hit Blocks": number; "Shared Read Blocks": number } | null = null;
        // The first run of a connection reads the catalog as well.
        for (let i = 0; i < 2; i++) {
          const [row] = await db.admin.unsafe(text);
          plan = row!["QUERY PLAN"][0].Plan;
        }
        return plan!["Shared Hit Blocks"] + plan!["Shared Read Blocks"];
      };
      const middle = rows / 2;
      const cases: readonly (readonly [Order, readonly unknown[]])[] = [
        [[["size", "asc"]], [middle, middle]],
        [[["size", "desc"]], [middle, middle]],
        [[["city", "asc"], ["size", "asc"]], ["c2", middle, middle]],
        [[["city", "desc"], ["size", "desc"]], ["c1", middle, middle]],
        [[["nick", "asc"]], ["n5501", 5501]],
        [[["nick", "asc"]], [null, 1000]],
        [[["nick", "desc"]], [null, 1000]],
        [[["score", "desc"]], [middle, middle]],
        [[["score", "asc"], ["city", "asc"]], [middle, "c0", middle]],
        [[["id", "asc"]], ["r3000", middle]],
        [[["id", "desc"], ["size", "asc"]], ["r3000", middle, middle]],
      ];
      for (const [order, after] of cases) {
        for (const name of ["entries", "own"]) {
          const first = await blocks(name, order, null);
          const later = await blocks(name, order, after);
          const said = `${name} ${JSON.stringify(order)}: ${first} blocks, then ${later}`;
          assert.ok(first < 60 && later < 60, said);
        }
      }
      // No index has these orders: the first page sorts a value's rows, and what is left of them is a range.
      for (
        const [order, after] of [
          [[["city", "asc"], ["size", "desc"]], ["c2", middle, middle]],
          [[["city", "desc"], ["size", "asc"]], ["c2", middle, middle]],
        ] as const
      ) {
        for (const name of ["entries", "own"]) {
          const later = await blocks(name, order, after);
          assert.ok(later < 60, `${name} ${JSON.stringify(order)}: ${later} blocks`);
        }
      }
      // By key an old snapshot costs what was closed since, and a new one nothing of what was closed before.
      for (const name of ["entries", "own"]) {
        const ptr = await db.place(name);
        const [snapshot] = await db.admin.unsafe(`select snap, inc from kontract.query(
          '${session.sid}', 7, null, null, null, null, null, null, '${name}',
          '{"where":[],"order":[],"after":null,"exclude":[],"limit":1,"backward":false}')`);
        const order: Order = [["id", "asc"]];
        const close = (where: string) =>
          db.admin.unsafe(`update ${ptr}
            set _deleted_txid = pg_current_xact_id() where _deleted_txid is null and ${where}`);
        await close("id like 'r5%' and id < 'r52'");
        const old = { snap: String(snapshot!.snap), inc: String(snapshot!.inc) };
        const said = [
          await blocks(name, order, ["r3000", middle], old),
          await blocks(name, order, ["r3000", middle]),
        ];
        assert.ok(said[0]! < 250 && said[1]! < 60, `${name}: ${said} blocks`);
      }
    } finally {
      await close();
    }
  },
});
