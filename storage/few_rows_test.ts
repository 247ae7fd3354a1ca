import assert from "node:assert/strict";
import { testDatabase } from "../tests/postgres.ts";
import type { StorageEngine, StorageSession } from "./contract.ts";
import { storageEngine } from "./engine.ts";
import { keyLock } from "./migrate/lock_keys.ts";
import { makeTenant } from "./migrate/tenant_admin.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { tableKey } from "./table_key.ts";
import { DEFAULT_TENANT } from "./tenant_name.ts";
import { code } from "./testing/expect_code.ts";
import { untilLockAwaited } from "./testing/lock_awaited.ts";
import {
  ACCOUNTS,
  type AnyTable,
  call,
  CountingDatabase,
  field,
  number,
  run,
  table,
} from "./testing/tables.ts";

const PLAIN = table("plain", [field("n", number)]);
const OWNED = table("owned", [field("n", number)], { rows: "owner" });
const TABLES = [PLAIN, OWNED, ACCOUNTS];
/** Rows that are there before each test. */
const STORED = ["read", "blind", "gone", "blind_gone", "seen"];

/** Writes, deletes and looks at keys that are there and keys that are not, in one call. */
async function everyKind(rows: AnyTable): Promise<void> {
  await rows.getMany(["read", "gone", "seen", "new", "absent"]);
  await rows.update("read", { n: 10 });
  await rows.set("blind", { n: 11 });
  await rows.set("new", { n: 12 });
  await rows.set("blind_new", { n: 13 });
  await rows.delete("gone");
  await rows.delete("blind_gone");
  await rows.delete("never");
}

/** The same without deletes and keys that are only read. */
async function writesOnly(rows: AnyTable): Promise<void> {
  await rows.getMany(["read", "new"]);
  await rows.update("read", { n: 10 });
  await rows.set("blind", { n: 11 });
  await rows.set("new", { n: 12 });
  await rows.set("blind_new", { n: 13 });
}

const WRITTEN = { read: 10, blind: 11, seen: 4, new: 12, blind_new: 13 };
const KINDS = [
  [everyKind, WRITTEN],
  [writesOnly, { ...WRITTEN, gone: 2, blind_gone: 3 }],
] as const;

for (const tenant of [DEFAULT_TENANT, "acme"]) {
  Deno.test({
    name: `the commit of some rows of one table, tenant ${tenant}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(t) {
      const db = await testDatabase(TABLES);
      const database = new CountingDatabase(postgresDatabase({ url: db.gatewayUrl }));
      const engine: StorageEngine = storageEngine({ database, tables: TABLES });
      if (tenant !== DEFAULT_TENANT) await makeTenant(db.adminUrl, tenant);
      const session: StorageSession = await engine.openSession(await db.token({ tenant }));
      const fill = async (name: string): Promise<void> => {
        await run(engine, call(session), async (s) => {
          for await (const { id } of s[name]!) await s[name]!.delete(String(id));
          for (const [n, id] of STORED.entries()) await s[name]!.set(id, { n });
        });
      };
      const all = async (name: string): Promise<unknown> => {
        const { value } = await run(engine, call(session, { readOnly: true }), async (s) => {
          const found: Record<string, unknown> = {};
          for await (const row of s[name]!) found[String(row.id)] = row.n;
          return found;
        });
        return value;
      };
      try {
        for (
          const [name, work, written] of ["plain", "owned"].flatMap((name) =>
            KINDS.map(([work, written]) => [name, work, written] as const)
          )
        ) {
          await t.step(`${work.name} in one call: ${name}`, async () => {
            await fill(name);
            const sent = database.sent.length;
            await run(engine, call(session), (s) => work(s[name]!));
            assert.deepEqual(
              database.sent.slice(sent),
              tenant === DEFAULT_TENANT
                ? [`get_many:${tableKey(name)}`, `put_many:${tableKey(name)}`]
                : ["tenant:get_many", "tenant:put_many"],
            );
            assert.deepEqual(await all(name), written);
          });

          for (
            const [what, change] of [
              ["a row it overwrites", (rows) => rows.set("read", { n: 50 })],
              ["a row it deletes", (rows) => rows.set("gone", { n: 50 })],
              ["a row it only read", (rows) => rows.set("seen", { n: 50 })],
              ["by deleting a row it only read", (rows) => rows.delete("seen")],
              ["by deleting a row it overwrites", (rows) => rows.delete("read")],
              ["by making a row it makes", (rows) => rows.set("new", { n: 50 })],
              ["by making a row it saw was not there", (rows) => rows.set("absent", { n: 50 })],
            ] as readonly (readonly [string, (rows: AnyTable) => Promise<unknown>])[]
          ) {
            if (
              work === writesOnly && /gone|delet(es|ing a row it only)|only read|saw/.test(what)
            ) continue;
            await t.step(`another call changes ${what}: ${name}, ${work.name}`, async () => {
              await fill(name);
              let before: unknown;
              const committing = run(engine, call(session, { retry: 0 }), async (s) => {
                await work(s[name]!);
                await run(engine, call(session), (other) => change(other[name]!));
                before = await all(name);
              });
              await assert.rejects(committing, code("CONFLICT"));
              assert.deepEqual(await all(name), before);
            });
          }
        }

        for (const name of ["plain", "owned"]) {
          const raise = async (rows: AnyTable): Promise<void> => {
            await rows.getMany(["read", "seen"]);
            for (const id of ["seen", "read"]) await rows.update(id, { n: 20 });
          };

          await t.step(`all that is written was read and is there: ${name}`, async () => {
            await fill(name);
            const stored = await all(name) as Record<string, unknown>;
            await run(engine, call(session, { readOnly: true }), async (s) => {
              await s[name]!.get("blind");
              await run(engine, call(session), (other) => raise(other[name]!));
              const found = await s[name]!.getMany(["seen", "read"]);
              assert.deepEqual(found.map((row) => row!.n), [stored.seen, stored.read]);
            });
            assert.deepEqual(await all(name), { ...stored, read: 20, seen: 20 });
          });

          for (
            const [what, change] of [
              ["changes", (rows) => rows.set("seen", { n: 50 })],
              ["deletes", (rows) => rows.delete("seen")],
            ] as readonly (readonly [string, (rows: AnyTable) => Promise<unknown>])[]
          ) {
            await t.step(`another call ${what} one of them: ${name}`, async () => {
              await fill(name);
              let before: unknown;
              const work = run(engine, call(session, { retry: 0 }), async (s) => {
                await raise(s[name]!);
                await run(engine, call(session), (other) => change(other[name]!));
                before = await all(name);
              });
              await assert.rejects(work, { code: "CONFLICT", data: { table: name, key: "seen" } });
              assert.deepEqual(await all(name), before);
            });
          }
        }

        await t.step("what it does not read may change meanwhile", async () => {
          await fill("plain");
          await run(engine, call(session, { retry: 0 }), async (s) => {
            await everyKind(s.plain!);
            await run(engine, call(session), async (other) => {
              for (const id of ["blind", "blind_new", "blind_gone"]) {
                await other.plain!.set(id, { n: 50 });
              }
            });
          });
          assert.deepEqual(await all("plain"), WRITTEN);
        });

        for (const keys of [["blind"], ["blind", "more"]]) {
          for (
            const [what, write] of [
              ["made", "_txid = pg_current_xact_id()"],
              ["closed", "_deleted_txid = pg_current_xact_id()"],
            ] as const
          ) {
            await t.step(
              `${keys.length} keys wait for a version that is ${what} later`,
              async () => {
                await fill("plain");
                // The id of the waiting commit, which has recorded its effect, is the older one.
                const commit = await db.admin.begin(async (tx) => {
                  const key = keyLock(`'${tenant}'`, "'plain'", "'blind'");
                  await tx.unsafe(`select pg_advisory_xact_lock(${key})`);
                  const waiting = run(engine, call(session, { retry: 0 }), async (s) => {
                    for (const id of keys) await s.plain!.set(id, { n: 60 });
                  });
                  waiting.catch(() => {});
                  await untilLockAwaited(db.admin);
                  await tx.unsafe(`update ${await db.place("plain", tenant)} set ${write}
                where id = 'blind' and _deleted_txid is null`);
                  return { waiting };
                });
                await assert.rejects(commit.waiting, {
                  code: "CONFLICT",
                  data: { table: "plain", key: "blind" },
                });
              },
            );
          }
        }

        await t.step(
          "rows that are made stand in the order in which they were written",
          async () => {
            await run(engine, call(session), async (s) => {
              for await (const { id } of s.plain!) await s.plain!.delete(String(id));
              await s.plain!.set("m", { n: 0 });
            });
            await run(engine, call(session), async (s) => {
              for (const [n, id] of ["z", "m", "a", "k"].entries()) await s.plain!.set(id, { n });
            });
            assert.deepEqual(await all("plain"), { m: 1, z: 0, a: 2, k: 3 });
            assert.deepEqual(Object.keys(await all("plain") as object), ["m", "z", "a", "k"]);
          },
        );

        await t.step("a commit has one transaction id, unless a value must be unique", async () => {
          await fill("plain");
          await run(engine, call(session), (s) => s.plain!.set("read", { n: 7 }));
          await run(engine, call(session), async (s) => {
            await s.plain!.set("blind", { n: 7 });
            await s.plain!.set("more", { n: 7 });
          });
          await run(engine, call(session), (s) => s.plain!.set("made", { n: 7 }));
          // Of a subtransaction `xmin` would be its own.
          const rows = await db.admin.unsafe(
            `select id, xmin::text = _txid::text as same from ${await db.place("plain", tenant)}
            where data->>'n' = '7' and _deleted_txid is null order by id`,
          );
          assert.deepEqual(
            rows.map(({ id, same }) => [id, same]),
            [["blind", true], ["made", true], ["more", true], ["read", true]],
          );
          for (const id of ["x", "y"]) {
            const work = run(
              engine,
              call(session),
              (s) => s.accounts!.set(id, { balance: 1, city: "Ulm", email: "same" }),
            );
            await (id === "x" ? work : assert.rejects(work, code("UNIQUE_VIOLATION")));
          }
        });
      } finally {
        await database.close();
        await db.close();
      }
    },
  });
}
