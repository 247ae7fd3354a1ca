import assert from "node:assert/strict";
import { enterTenant, suiteTenant, testDatabase } from "../tests/postgres.ts";
import type { Change } from "./contract.ts";
import { storageEngine } from "./engine.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { tableKey } from "./table_key.ts";
import { DEFAULT_TENANT } from "./tenant_name.ts";
import { ACCOUNTS, call, NOTES, PEOPLE, run } from "./testing/tables.ts";

const tables = [ACCOUNTS, NOTES, PEOPLE];
const tenant = suiteTenant(import.meta);
const db = await enterTenant(await testDatabase(tables), tenant);
const database = postgresDatabase({ url: db.gatewayUrl });
const engine = storageEngine({ database, tables });

const brief = (changes: readonly Change[]): string[] =>
  changes.map(({ type, id }) => `${type} ${id}`);

Deno.test({
  name: `change feed, tenant ${tenant}`,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    const session = await engine.openSession(await db.token({ owner: "alice" }));
    const start = async (table = "accounts"): Promise<string> =>
      (await engine.changes({ session, table, after: null, limit: 10 })).position;
    try {
      await test("inserts, updates and deletes come in commit order, each once", async () => {
        const after = await start();
        await run(engine, call(session), (s) => s.accounts!.set("a", { balance: 1 }));
        await run(engine, call(session), (s) => s.accounts!.set("b", { balance: 1 }));
        await run(engine, call(session), (s) => s.accounts!.update("a", { balance: 2 }));
        await run(engine, call(session), (s) => s.accounts!.delete("b"));
        const batch = await engine.changes({ session, table: "accounts", after, limit: 10 });
        assert.deepEqual(brief(batch.changes), ["insert a", "insert b", "update a", "delete b"]);
        assert.deepEqual(batch.changes[2]!.data, { id: "a", balance: 2, city: "Ulm" });
        assert.deepEqual([batch.reset, batch.more], [false, false]);
        const next = await engine.changes({
          session,
          table: "accounts",
          after: batch.position,
          limit: 10,
        });
        assert.deepEqual(next.changes, []);
      });

      await test("a row from before the position changes, changes again and goes", async () => {
        for (const id of ["p", "q"]) {
          await run(engine, call(session), (s) => s.accounts!.set(id, { balance: 1 }));
        }
        let after = await start();
        const next = async (): Promise<readonly unknown[]> => {
          const batch = await engine.changes({ session, table: "accounts", after, limit: 10 });
          after = batch.position;
          return batch.changes.map(({ type, id, data }) => [type, id, data?.balance]);
        };
        await run(engine, call(session), (s) => s.accounts!.update("p", { balance: 2 }));
        assert.deepEqual(await next(), [["update", "p", 2]]);
        await run(engine, call(session), (s) => s.accounts!.update("p", { balance: 3 }));
        await run(engine, call(session), async (s) => {
          await s.accounts!.update("p", { balance: 4 });
          await s.accounts!.update("q", { balance: 4 });
        });
        const both = [["update", "p", 4], ["update", "q", 4]];
        assert.deepEqual(await next(), [["update", "p", 3], ...both]);
        await run(engine, call(session), (s) => s.accounts!.delete("p"));
        assert.deepEqual(await next(), [["delete", "p", undefined]]);
        await run(engine, call(session), (s) => s.accounts!.delete("q"));
        await run(engine, call(session), (s) => s.accounts!.set("q", { balance: 5 }));
        assert.deepEqual(await next(), [["delete", "q", undefined], ["insert", "q", 5]]);
        await run(engine, call(session), (s) => s.accounts!.set("r", { balance: 5 }));
        assert.deepEqual(await next(), [["insert", "r", 5]]);
        for (const id of ["q", "r"]) {
          await run(engine, call(session), (s) => s.accounts!.delete(id));
        }
        assert.deepEqual(await next(), [["delete", "q", undefined], ["delete", "r", undefined]]);
      });

      await test("a limit cuts between transactions, never inside, and resumes exactly", async () => {
        const after = await start();
        for (const n of [1, 2, 3]) {
          await run(engine, call(session), async (s) => {
            await s.accounts!.set(`l${n}a`, { balance: n });
            await s.accounts!.set(`l${n}b`, { balance: n });
          });
        }
        const seen: string[][] = [];
        let position = after;
        for (;;) {
          const batch = await engine.changes({
            session,
            table: "accounts",
            after: position,
            limit: 1,
          });
          seen.push(batch.changes.map(({ id }) => id));
          position = batch.position;
          if (!batch.more) break;
          if (seen.length > 1) continue;
          await run(engine, call(session), (s) => s.accounts!.set("later", { balance: 0 }));
        }
        assert.deepEqual(seen.slice(0, 3), [["l1a", "l1b"], ["l2a", "l2b"], ["l3a", "l3b"]]);
        assert.deepEqual(seen.slice(3), [["later"]]);
      });

      await test("who asks for none is told whether there are any, in any field", async () => {
        await run(engine, call(session), (s) => s.people!.set("h", { name: "Ada" }));
        let after = await start("people");
        const more = async (): Promise<boolean> => {
          const batch = await engine.changes({ session, table: "people", after, limit: 0 });
          assert.deepEqual([batch.changes, batch.reset], [[], false]);
          after = batch.position;
          return batch.more;
        };
        assert.equal(await more(), false);
        await run(engine, call(session), (s) => s.accounts!.set("h", { balance: 1 }));
        assert.equal(await more(), false);
        const grants = { "people.pin": 6 as const };
        await run(engine, call(session, { grants }), (s) => s.people!.update("h", { pin: "1" }));
        const seen = await engine.changes({ session, table: "people", after, limit: 10 });
        assert.deepEqual(seen.changes, [], "which is none that this session may see");
        assert.equal(await more(), true);
        assert.equal(await more(), false, "the position has moved");
      });

      await test("a filter tells of rows that enter and leave it", async () => {
        const after = await start();
        const filter = { city: "Rome" };
        await run(engine, call(session), (s) => s.accounts!.set("f", { balance: 1, city: "Ulm" }));
        await run(engine, call(session), (s) => s.accounts!.update("f", { city: "Rome" }));
        await run(engine, call(session), (s) => s.accounts!.update("f", { balance: 2 }));
        await run(engine, call(session), (s) => s.accounts!.update("f", { city: "Ulm" }));
        await run(engine, call(session), (s) => s.accounts!.delete("f"));
        const batch = await engine.changes({
          session,
          table: "accounts",
          filter,
          after,
          limit: 10,
        });
        assert.deepEqual(brief(batch.changes), ["insert f", "update f", "delete f"]);
        await assert.rejects(
          engine.changes({ session, table: "people", filter: { pin: "1" }, after: null, limit: 1 }),
          { code: "PERMISSION_DENIED" },
        );
      });

      await test("a filter on the key follows a row, some rows, or those of a prefix", async () => {
        const after = await start();
        for (const id of ["k1", "k2", "m"]) {
          await run(engine, call(session), (s) => s.accounts!.set(id, { balance: 1 }));
          await run(engine, call(session), (s) => s.accounts!.update(id, { balance: 2 }));
        }
        await run(engine, call(session), (s) => s.accounts!.delete("k1"));
        const told = async (filter: Readonly<Record<string, unknown>>): Promise<string[]> => {
          const table = "accounts";
          return brief(
            (await engine.changes({ session, table, filter, after, limit: 99 })).changes,
          );
        };
        const first = ["insert k1", "update k1"];
        const second = ["insert k2", "update k2"];
        assert.deepEqual(await told({ id: "k1" }), [...first, "delete k1"]);
        assert.deepEqual(await told({ id: { in: ["k2", "none"] } }), second);
        assert.deepEqual(await told({ id: { prefix: "k" } }), [...first, ...second, "delete k1"]);
        assert.deepEqual(await told({ id: "k2", balance: 2 }), ["insert k2"]);
      });

      await test("an owner hears of its own rows only; hidden fields fire nothing", async () => {
        const bob = await engine.openSession(await db.token({ owner: "bob" }));
        const notes = await start("notes");
        const people = await start("people");
        await run(engine, call(bob), (s) => s.notes!.set("n", { text: "secret" }));
        await run(engine, call(session), (s) => s.notes!.set("n", { text: "mine" }));
        const own = await engine.changes({ session, table: "notes", after: notes, limit: 10 });
        assert.deepEqual(own.changes.map(({ data }) => data), [{ id: "n", text: "mine" }]);
        await run(engine, call(session), (s) => s.people!.set("p", { name: "P" }));
        await run(engine, call(session), (s) => s.people!.update("p", { pin: "1" }));
        await run(engine, call(session), (s) => s.people!.update("p", { name: "Q" }));
        const batch = await engine.changes({ session, table: "people", after: people, limit: 10 });
        assert.deepEqual(brief(batch.changes), ["insert p", "update p"]);
        assert.deepEqual(batch.changes[1]!.data, { id: "p", name: "Q", role: "member" });
      });

      await test("a transaction that began before and ends after a position is not lost", async () => {
        const slow = Promise.withResolvers<void>();
        const open = db.admin.begin(async (tx) => {
          const [row] =
            await tx`select ptr from kontract.storage where owner = ${tenant} and id = 'accounts'`;
          await tx.unsafe(`insert into kontract_private.${row!.ptr} (id, data, _owner, _order)
            values ('slow', '{"id":"slow","balance":1,"city":"Ulm"}', 'x', nextval('kontract_private.${
            row!.ptr
          }_seq'))`);
          await slow.promise;
        });
        let batch = { position: await start() } as Awaited<ReturnType<typeof engine.changes>>;
        await run(engine, call(session), (s) => s.accounts!.set("quick", { balance: 1 }));
        batch = await engine.changes({
          session,
          table: "accounts",
          after: batch.position,
          limit: 9,
        });
        const first = brief(batch.changes);
        slow.resolve();
        await open;
        batch = await engine.changes({
          session,
          table: "accounts",
          after: batch.position,
          limit: 9,
        });
        const all = [...first, ...brief(batch.changes)].sort();
        assert.deepEqual(all, ["insert quick", "insert slow"]);
      });

      if (tenant === DEFAULT_TENANT) {
        await test("changes that are too much for one value reset, and the next ones come", async () => {
          let after = await start("notes");
          await run(engine, call(session), (s) => s.notes!.set("much", { text: "a" }));
          const name = `kontract_private.changes_${tableKey("notes")}`;
          const [found] = await db.admin`select pg_get_functiondef(${name}::regproc) as text`;
          const text = String(found!.text);
          await db.admin.unsafe(text.replace(
            /\bbegin\b/,
            "begin raise exception 'array size exceeds the maximum' using errcode = '54000';",
          ));
          const read = async (limit: number): Promise<readonly unknown[]> => {
            const batch = await engine.changes({ session, table: "notes", after, limit });
            if (limit > 0) after = batch.position;
            return [batch.reset, ...brief(batch.changes)];
          };
          assert.deepEqual(await read(0), [true]);
          assert.deepEqual(await read(10), [true]);
          await db.admin.unsafe(text);
          assert.deepEqual(await read(10), [false]);
          await run(engine, call(session), (s) => s.notes!.set("less", { text: "a" }));
          assert.deepEqual(await read(10), [false, "insert less"]);
        });
      }

      await test("a foreign or damaged position resets", async () => {
        const position = await start();
        for (
          const after of [
            "",
            "x",
            `other|${position.split("|")[1]}`,
            `${position}|1`,
            `${position}9999`,
          ]
        ) {
          const batch = await engine.changes({ session, table: "accounts", after, limit: 10 });
          assert.deepEqual([batch.reset, batch.changes.length], [true, 0], after);
        }
        await db.admin`truncate kontract_private.incarnation`;
        const batch = await engine.changes({
          session,
          table: "accounts",
          after: position,
          limit: 10,
        });
        assert.equal(batch.reset, true);
      });
    } finally {
      await database.close();
      await db.close();
    }
  },
});
