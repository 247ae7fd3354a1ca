/**
 * What an operation costs does not grow with its table, nor with the sessions of its owner: PostgreSQL's own
 * counters tell how many rows the gateway's statements touched.
 *
 * @module
 */
import assert from "node:assert/strict";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { type AnyStorage, call, field, number, run, table } from "../../storage/testing/tables.ts";
import { testDatabase } from "../postgres.ts";

const ROWS = 3000;
/** Rows a handful of keys may touch, closed versions and index checks included. */
const FEW = 40;
const TABLES = [table("wide", [field("n", number)])];

/** Where a page of most rows ends. */
let farCursor: string | null = null;

const OPERATIONS: Readonly<Record<string, (s: AnyStorage) => Promise<unknown>>> = {
  "get": (s) => s.wide!.get("row7"),
  "getMany of three": (s) => s.wide!.getMany(["row7", "row8", "none"]),
  "a commit that read one row": async (s) => {
    await s.wide!.get("row7");
    await s.wide!.set("row7", { n: 1 });
  },
  "a commit that read three rows": async (s) => {
    await s.wide!.getMany(["row7", "row8", "none"]);
    await s.wide!.set("row7", { n: 2 });
    await s.wide!.set("row8", { n: 2 });
  },
  "a commit of new rows": async (s) => {
    await s.wide!.push({ n: 0 });
    await s.wide!.push({ n: 0 });
  },
  "a page": (s) => s.wide!.query().limit(5).page(),
  "a page far behind the first": (s) => s.wide!.query().limit(5).after(farCursor).page(),
  "a commit of a row blindly": (s) => s.wide!.set("row9", { n: 3 }),
  "shift": (s) => s.wide!.shift(),
  "pop": (s) => s.wide!.pop(),
};

Deno.test({
  name: "what an operation touches does not grow with its table",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(TABLES);
    /** Runs a call on a connection of its own, whose counters are complete when it has ended. */
    const touched = async (body: (s: AnyStorage) => Promise<unknown>): Promise<number> => {
      const total = async (): Promise<number> => {
        const [row] = await db.admin`
          select (sum(coalesce(seq_tup_read, 0)) + sum(coalesce(idx_tup_fetch, 0)))::float8 as rows
            from pg_stat_user_tables where relname like 'tbl%' or relname in ('trxs', 'effects')`;
        return Number(row!.rows);
      };
      const before = await total();
      const database = postgresDatabase({ url: db.gatewayUrl, max: 1 });
      const engine = storageEngine({ database, tables: TABLES });
      const session = await engine.openSession(await db.token());
      await run(engine, call(session), body);
      await database.close();
      for (let left = 1; left > 0;) {
        const [row] = await db.admin`
          select count(*)::int as n from pg_stat_activity where usename = ${db.gatewayRole}`;
        left = Number(row!.n);
      }
      return await total() - before;
    };
    try {
      for (let version = 0; version < 2; version++) {
        await touched(async (s) => {
          for (let i = 0; i < ROWS; i++) await s.wide!.set(`row${i}`, { n: i });
        });
      }
      await db.admin.unsafe("vacuum analyze");
      // After the statistics were made, as in a day on which many come back.
      await db.admin`
        insert into kontract.trxs (sid, owner, tenant, family, expires_at)
          select sha256(convert_to(i::text, 'UTF8')), x.owner, x.tenant, x.family, x.expires_at
            from (select * from kontract.trxs limit 1) x, generate_series(1, ${ROWS}::int) i`;
      await touched(async (s) => {
        farCursor = (await s.wide!.query().limit(ROWS - 500).page()).cursor;
      });
      for (const [name, body] of Object.entries(OPERATIONS)) {
        await t.step(name, async () => {
          const rows = await touched(body);
          assert.ok(rows <= FEW, `${rows} of ${ROWS} rows touched`);
        });
      }
      await t.step("a row that changes makes no index entry for its live version", async () => {
        const hot = async (): Promise<number> => {
          const [row] = await db.admin`
            select sum(n_tup_hot_upd)::float8 as n from pg_stat_user_tables where relname like 'tbl%'`;
          return Number(row!.n);
        };
        const before = await hot();
        await touched((s) => s.wide!.set("row7", { n: 5 }));
        await touched(OPERATIONS["a commit that read three rows"]!);
        assert.equal(await hot() - before, 3);
      });
      await t.step("and the counters do count: all rows", async () => {
        const rows = await touched((s) => Array.fromAsync(s.wide!));
        assert.ok(rows >= ROWS, `${rows} of ${ROWS} rows touched`);
      });
    } finally {
      await db.close();
    }
  },
});
