/**
 * Reading much holds a piece of it at a time: the heap, measured after a collection, does not grow with what
 * was read.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Database } from "../../storage/database.ts";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
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
} from "../../storage/testing/tables.ts";
import { testDatabase } from "../postgres.ts";

const ROWS = 6_000;
const ROW_BYTES = 2_000;
const TABLES = [
  table("wide", [
    field("n", number),
    field("text", string),
    field("rank", number, { optional: true }),
  ], { indexes: [index(["n"])] }),
];

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Goes through what `rows` gives; bytes by which the heap grew between the first third and the end. */
async function growth(rows: AsyncIterable<unknown>): Promise<number> {
  let seen = 0;
  let early = 0;
  const heap = (): number => (collect(), Deno.memoryUsage().heapUsed);
  for await (const _row of rows) {
    seen++;
    if (seen === ROWS / 3) early = heap();
  }
  assert.equal(seen, ROWS);
  return heap() - early;
}

const READS: Readonly<Record<string, (wide: AnyTable) => AsyncIterable<unknown>>> = {
  "a table": (wide) => wide,
  "a query": (wide) => wide.query({ n: { gte: 0 } }).orderBy("n"),
  "a query with a limit": (wide) => wide.query().limit(ROWS),
};

Deno.test({
  name: "going through a table holds a piece of it at a time",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(TABLES);
    const database = postgresDatabase({ url: db.gatewayUrl, max: 1 });
    const engine = storageEngine({ database, tables: TABLES });
    try {
      const session = await engine.openSession(await db.token({ owner: "alice" }));
      const { position } = await engine.changes({ session, table: "wide", after: null, limit: 1 });
      const [row] = await db.admin`select ptr from kontract.storage where id = 'wide'`;
      await db.admin.unsafe(`insert into kontract_private.${row!.ptr} (id, data, _owner, _order)
        select 'r' || n, jsonb_build_object('id', 'r' || n, 'n', n, 'text', repeat('x', ${ROW_BYTES})),
               'alice', n from generate_series(1, ${ROWS}) n`);
      await db.admin.unsafe(`analyze kontract_private.${row!.ptr}`);
      const bounded = (bytes: number): void =>
        assert.ok(bytes < ROWS * ROW_BYTES / 10, `${bytes} bytes more`);
      for (const [name, read] of Object.entries(READS)) {
        await t.step(name, async () => {
          const options = call(session, { deadline: Date.now() + 120_000 });
          bounded((await run(engine, options, (s) => growth(read(s.wide!)))).value);
        });
      }
      await t.step("changes", async () => {
        async function* changes(): AsyncGenerator<unknown> {
          for (let after: string | null = position, more = true; more;) {
            const batch = await engine.changes({ session, table: "wide", after, limit: 500 });
            yield* batch.changes;
            after = batch.position;
            more = batch.more;
          }
        }
        bounded(await growth(changes()));
      });
      await t.step("and the heap is measured: what is kept is seen", async () => {
        const all = await run(engine, call(session, { readOnly: true }), async (s) => {
          const kept: unknown[] = [];
          async function* keep(): AsyncGenerator<unknown> {
            for await (const one of s.wide!) yield kept.push(one);
          }
          const bytes = await growth(keep());
          assert.equal(kept.length, ROWS);
          return bytes;
        });
        assert.throws(() => bounded(all.value));
      });
      await t.step("a row that was gone past is changed where it stands", async () => {
        await run(engine, call(session), async (s) => {
          for await (const { id, n } of s.wide!) {
            if (n === 1 || n === 600) await s.wide!.update(String(id), { text: "there" });
            if (n === 1_200) await s.wide!.update("r2", { text: "behind" });
          }
        });
        const changed = await run(engine, call(session, { readOnly: true }), async (s) => {
          const rows: unknown[] = [];
          for await (const { id, n, text } of s.wide!.query().limit(1_000)) {
            if (text !== "x".repeat(ROW_BYTES)) rows.push([id, n, text]);
          }
          return rows;
        });
        assert.deepEqual(changed.value, [
          ["r1", 1, "there"],
          ["r2", 2, "behind"],
          ["r600", 600, "there"],
        ]);
      });
      await t.step(
        "rows of megabytes come one by one, in order, among those just written",
        async () => {
          await db.admin.unsafe(`insert into kontract_private.${row!.ptr} (id, data, _owner, _order)
          select 'big' || n, jsonb_build_object('id', 'big' || n, 'n', -n, 'text', long)
                   || case n % 2 when 0 then jsonb_build_object('rank', n) else '{}' end, 'alice', -n
            from generate_series(1, 9) n,
                 (select string_agg(md5(i::text), '') as long from generate_series(1, 40000) i) l`);
          const sizes: number[] = [];
          const watched: Database = {
            close: () => database.close(),
            async execute(statement, params) {
              const rows = await database.execute(statement, params);
              if (statement === "query") sizes.push(JSON.stringify(rows[0]!.rows).length);
              return rows;
            },
          };
          const there = storageEngine({ database: watched, tables: TABLES });
          const { value } = await run(there, call(session), async (s) => {
            const wide = s.wide!;
            await wide.update("big3", { text: "changed" });
            await wide.set("between", { n: -5.5, text: "new" });
            await wide.delete("big7");
            const ids = async (rows: AsyncIterable<AnyRow>): Promise<string> =>
              (await Array.fromAsync(rows, ({ id }) => String(id).replace("big", ""))).join(" ");
            return [
              await ids(wide.query({ n: { lt: 0 } }).orderBy("n")),
              await ids(wide.query({ n: { lt: 0 } }).orderBy("n", "desc")),
              await ids(wide.query({ n: { lt: 0 } })),
              await ids(wide.query({ n: { lt: 0 } }).orderBy("n").limit(5)),
              await ids(wide.query({ n: { lt: 0 } }).orderBy("rank")),
              await ids(wide.query({ n: { lt: 0 } }).orderBy("rank", "desc")),
            ];
          });
          assert.deepEqual(value, [
            "9 8 6 between 5 4 3 2 1",
            "1 2 3 4 5 between 6 8 9",
            "9 8 6 5 4 3 2 1 between",
            "9 8 6 between 5",
            "2 4 6 8 9 5 3 1 between",
            "9 5 3 1 between 8 6 4 2",
          ]);
          assert.ok(sizes.every((size) => size < 3_000_000), `${sizes}`);
        },
      );
      await t.step("and so do their changes, a transaction at a time", async () => {
        const { position } = await engine.changes({
          session,
          table: "wide",
          after: null,
          limit: 1,
        });
        const long = "y".repeat(3 * 2 ** 20);
        for (const id of ["big1", "big2"]) {
          await run(engine, call(session), (s) => s.wide!.update(id, { text: long }));
        }
        const batches: unknown[] = [];
        for (let after = position, more = true; more;) {
          const batch = await engine.changes({ session, table: "wide", after, limit: 500 });
          // What other files' transactions hold back may leave one empty.
          if (batch.changes.length > 0) batches.push(batch.changes.map(({ id }) => id));
          ({ position: after, more } = batch);
        }
        assert.deepEqual(batches, [["big1"], ["big2"]]);
      });
    } finally {
      await database.close();
      await db.close();
    }
  },
});
