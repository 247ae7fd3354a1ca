/**
 * The functions for several calls at once, called directly by a thief with the runtime's connection string: without
 * a session they read nothing, write nothing and leave nothing behind, whatever lists they are given.
 *
 * @module
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { testDatabase } from "../tests/postgres.ts";
import type { StorageEngine } from "./contract.ts";
import { storageEngine } from "./engine.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { tableKey } from "./table_key.ts";
import { call, field, number, run, table } from "./testing/tables.ts";

const PLAIN = table("plain", [field("n", number)]);
const OWNED = table("owned", [field("n", number)], { rows: "owner" });
const SYSTEM = table("_system", [field("n", number)]);
const LETTERS = table("letters", [field("n", number)], { perm: 2 });
const TABLES = [PLAIN, OWNED, SYSTEM, LETTERS];

/** Lists of `put_group`, as SQL. */
interface Lists {
  readonly sids: string;
  readonly owners: string;
  readonly masks: string;
  readonly roles: string;
  readonly snaps: string;
  readonly incs: string;
  readonly lanes: string;
  readonly reqnos: string;
  readonly answers: string;
  readonly members: string;
  readonly keys: string;
  readonly found: string;
  readonly rows: string;
}

const NOBODY: Lists = {
  sids: "'{}'",
  owners: "'{}'",
  masks: "'{}'",
  roles: "'{}'",
  snaps: "'{}'",
  incs: "'{}'",
  lanes: "'{}'",
  reqnos: "'{}'",
  answers: "'{}'",
  members: "'{1}'",
  keys: "'{a}'",
  found: "'{1}'",
  rows: `array['{"id":"a","n":666}']::jsonb[]`,
};

/** Of calls that have read rows, that have read nothing, and that have no request id either. */
const FORMS: readonly Partial<Lists>[] = [
  {},
  { found: "null" },
  { found: "null", lanes: "null" },
];

Deno.test({
  name: "groups in the hands of a thief",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(TABLES);
    const database = postgresDatabase({ url: db.gatewayUrl });
    const engine: StorageEngine = storageEngine({ database, tables: TABLES });
    const thief = postgres(db.gatewayUrl, { max: 1, onnotice: () => {}, fetch_types: false });
    const ada = await engine.openSession(await db.token({ owner: "ada" }));
    const mallory = await engine.openSession(await db.token({ owner: "mallory" }));
    await run(engine, call(ada), async (s) => {
      for (const name of ["plain", "owned"]) {
        for (const id of ["a", "b"]) await s[name]!.set(id, { n: 0 });
      }
    });
    const places = { plain: await db.place("plain"), owned: await db.place("owned") };
    const put = (name: string, lists: Lists): string =>
      `select kontract.put_group_${tableKey(name)}(${Object.values(lists).join(", ")}) as r`;
    const rows = async (name: "plain" | "owned"): Promise<string> =>
      JSON.stringify(
        await db.admin.unsafe(
          `select id, data, _txid::text, _deleted_txid::text, _owner from ${
            places[name]
          } order by 1, 3`,
        ),
      );
    const effects = async (): Promise<number> =>
      Number(
        (await db.admin`select count(*)::int as n from kontract_private.effects
          where lane <> 'test'`)[0]!.n,
      );
    /** Version of ada's row, and what a call that has read it knows. */
    const known = async (name: "plain" | "owned") => {
      const [row] = await db.admin.unsafe(
        `select u._txid::text as version, pg_current_snapshot()::text as snap, i.value || '.' || st.epoch as inc
           from ${places[name]} u, kontract_private.incarnation i, kontract.storage st
          where u.id = 'a' and u._deleted_txid is null and st.id = '${name}' and st.owner = 'main'`,
      );
      return { version: String(row!.version), snap: String(row!.snap), inc: String(row!.inc) };
    };
    /** Mallory's own request, which is in order and writes nothing. */
    const own = async (lane: string): Promise<Lists> => {
      const { snap, inc } = await known("plain");
      return {
        ...NOBODY,
        sids: `'{${mallory.sid}}'`,
        owners: "'{mallory}'",
        masks: "'{7}'",
        roles: "'{null}'",
        snaps: `array['${snap}']::pg_snapshot[]`,
        incs: `'{${inc}}'`,
        lanes: `'{${lane}}'`,
        reqnos: "'{1}'",
        answers: "array['mine'::bytea]",
      };
    };
    /** A guess of ada's request by who has no session. */
    const GUESS: Partial<Lists> = {
      sids: "'{nobody}'",
      owners: "'{ada}'",
      masks: "'{7}'",
      roles: "'{null}'",
      snaps: "array['1:1:']::pg_snapshot[]",
      incs: "'{x}'",
      lanes: "'{guessed}'",
      reqnos: "'{1}'",
      answers: "array['planted'::bytea]",
    };
    const unchanged = async (work: () => Promise<unknown>): Promise<void> => {
      const before = [await rows("plain"), await rows("owned")];
      const recorded = await effects();
      await work();
      assert.deepEqual([await rows("plain"), await rows("owned")], before);
      assert.equal(await effects(), recorded);
    };
    try {
      await t.step("a row that stands in the lists twice is not written", async () => {
        const { version } = await known("plain");
        for (const found of [`'{${version},${version}}'`, "null"]) {
          await unchanged(async () => {
            const twice: Lists = {
              ...await own("twice"),
              members: "'{1,1}'",
              keys: "'{a,a}'",
              found,
              rows: `array['{"id":"a","n":1}', '{"id":"a","n":2}']::jsonb[]`,
            };
            await assert.rejects(thief.unsafe(put("plain", twice)), { code: "40001" });
          });
        }
      });

      await t.step("nothing is written by a snapshot of the future, or by none", async () => {
        const { version } = await known("plain");
        for (const snaps of ["array['1:999999999:']::pg_snapshot[]", "'{null}'"]) {
          await unchanged(async () => {
            const lists = { ...await own("future"), snaps, found: `'{${version}}'` };
            assert.deepEqual([...await thief.unsafe(put("plain", lists))], [{ r: "" }]);
          });
        }
      });

      await t.step("nobody writes or records a request as somebody else", async () => {
        for (const name of ["plain", "owned"] as const) {
          const { version } = await known(name);
          for (const [n, form] of FORMS.entries()) {
            for (const keys of ["'{a}'", "'{new}'"]) {
              const lists: Lists = {
                ...await own(`as ada ${n}`),
                owners: "'{ada}'",
                keys,
                found: `'{${version}}'`,
                ...form,
              };
              await unchanged(async () => {
                assert.deepEqual([...await thief.unsafe(put(name, lists))], [{ r: "" }]);
              });
            }
          }
        }
      });

      const get = async (name: string, sid: string, mask = 7): Promise<unknown> => {
        const [row] = await thief.unsafe(`select kontract.get_group_${tableKey(name)}(
          array['${sid}'], '{${mask}}', '{null}', '{null}', '{null}', array['["a"]']) as r`);
        return row!.r;
      };

      await t.step(
        "nothing is read without the right to it, of the call and of the table",
        async () => {
          await run(engine, call(ada), (s) => s.letters!.set("a", { n: 0 }));
          assert.match(String(await get("plain", mallory.sid)), /"n": /);
          assert.equal(await get("plain", mallory.sid, 3), null);
          assert.equal(await get("letters", mallory.sid), null);
        },
      );

      await t.step("a table of Kontract's own is nobody's but the system's", async () => {
        const root = await engine.openSession(await db.token({ owner: "_system", system: true }));
        await run(engine, call(root), (s) => s._system!.set("a", { n: 0 }));
        assert.equal(await get("_system", mallory.sid), null);
        assert.match(String(await get("_system", root.sid)), /"n": 0/);
        for (const [n, form] of FORMS.slice(1).entries()) {
          for (const keys of ["'{a}'", "'{new}'"]) {
            const lists = { ...await own(`system ${n}`), keys, ...form };
            const [row] = await thief.unsafe(put("_system", lists));
            assert.deepEqual(row, { r: "" });
          }
        }
        const left = await db.admin.unsafe(`select data from ${await db.place("_system")}`);
        assert.deepEqual(left.map(({ data }) => data), [{ id: "a", n: 0 }]);
      });

      await t.step("nothing is applied under a setting that would break a promise", async () => {
        for (
          const setting of [
            "set local synchronous_commit = off",
            "set transaction isolation level repeatable read",
          ]
        ) {
          const { version } = await known("plain");
          for (const form of [{ found: `'{${version}}'` }, ...FORMS.slice(1)]) {
            const lists = { ...await own("hasty"), ...form };
            await unchanged(() =>
              thief.begin(async (tx) => {
                await tx.unsafe(setting);
                assert.deepEqual([...await tx.unsafe(put("plain", lists))], [{ r: "" }]);
              })
            );
          }
        }
      });

      await t.step("a row of a call that is none in the lists is written for nobody", async () => {
        for (const name of ["plain", "owned"] as const) {
          const { version } = await known(name);
          for (const member of ["1", "0", "-1", "9", "null"]) {
            for (const form of FORMS) {
              const members = `'{${member}}'`;
              for (const keys of ["'{a}'", "'{new}'"]) {
                const lists = { ...NOBODY, members, keys, found: `'{${version}}'`, ...form };
                await unchanged(() => thief.unsafe(put(name, lists)).catch(() => {}));
                const guess = { ...lists, ...GUESS, ...form };
                await unchanged(() => thief.unsafe(put(name, guess)).catch(() => {}));
              }
            }
          }
        }
      });

      await t.step("nor beside a call of one's own that is in order", async () => {
        const { version } = await known("owned");
        const [before] = [await rows("owned")];
        for (const [n, members] of ["'{2}'", "'{0}'", "'{null}'", "'{}'"].entries()) {
          for (const [at, form] of FORMS.entries()) {
            const lists = {
              ...await own(`o${n}.${at}`),
              members,
              found: `'{${version}}'`,
              ...form,
            };
            await thief.unsafe(put("owned", lists)).catch(() => {});
          }
        }
        assert.equal(await rows("owned"), before);
      });

      await t.step(
        "a request without a session is not recorded, in a savepoint neither",
        async () => {
          await unchanged(() => thief.unsafe(put("plain", { ...NOBODY, ...GUESS })));
          await unchanged(() =>
            thief.begin((tx) =>
              tx.savepoint((point) => point.unsafe(put("plain", { ...NOBODY, ...GUESS })))
            ).catch(() => {})
          );
          await unchanged(() =>
            thief.unsafe(`do $$ begin
            perform ${
              put("plain", { ...NOBODY, ...GUESS }).replace(/^select /, "")
                .replace(/ as r$/, "")
            };
          exception when division_by_zero then null; end $$`).catch(() => {})
          );
        },
      );

      await t.step("nor does what the server counts say whether a row is there", async () => {
        const fetched = async (
          name: "plain" | "owned",
          key: string,
          form: Partial<Lists>,
        ): Promise<unknown> => {
          const [, ptr] = places[name].split(".");
          return await thief.begin(async (tx) => {
            const count = async (): Promise<number> => {
              const [row] = await tx.unsafe(
                `select sum(pg_stat_get_xact_tuples_returned(i.indexrelid))::int as n
                   from pg_index i where i.indrelid = (select oid from pg_class where relname = '${ptr}')`,
              );
              assert.equal(typeof row!.n, "number");
              return Number(row!.n);
            };
            const before = await count();
            await tx.unsafe(
              put(name, { ...NOBODY, ...GUESS, lanes: "'{counted}'", keys: `'{${key}}'`, ...form }),
            );
            return await count() - before;
          });
        };
        for (const name of ["plain", "owned"] as const) {
          for (const form of FORMS) {
            assert.deepEqual(
              await fetched(name, "a", form),
              await fetched(name, "no such row", form),
            );
          }
        }
      });

      await t.step(
        "a record of a request that the statement has not made is left alone",
        async () => {
          const lists = { ...await own("kept"), keys: "'{kept}'", found: "null" };
          // Of a transaction with the same number, long ago, and of the same instant.
          for (const inside of [false, true]) {
            await db.admin.begin(async (tx) => {
              const record = async (of: postgres.TransactionSql): Promise<unknown> =>
                await of`insert into kontract_private.effects (tenant, owner, lane, reqno, answer, created_at)
                values ('main', 'mallory', 'kept', 1, 'first', now() - ${
                  inside ? "0" : "1 hour"
                }::interval)`;
              await (inside ? tx.savepoint(record) : record(tx));
              assert.deepEqual([...await tx.unsafe(put("plain", lists))], [{ r: "" }]);
              const [kept] = await tx`
              delete from kontract_private.effects where lane = 'kept' returning answer`;
              assert.equal(new TextDecoder().decode(kept!.answer), "first");
            });
          }
        },
      );

      await t.step(
        "nor is a request recorded in place of one that was applied before",
        async () => {
          const once = { ...await own("once"), found: "null" };
          assert.deepEqual([...await thief.unsafe(put("plain", once))], [{ r: "1" }]);
          const three: Lists = {
            ...once,
            sids: `'{${mallory.sid},${mallory.sid}}'`,
            owners: "'{mallory,mallory,ada}'",
            masks: "'{7,7}'",
            roles: "'{null,null}'",
            snaps: `array[null, null]::pg_snapshot[]`,
            incs: "'{null,null}'",
            lanes: "'{once,once more,planted}'",
            reqnos: "'{1,1,1}'",
            answers: "array['1'::bytea, '2'::bytea, '3'::bytea]",
            members: "'{1,2}'",
            keys: "'{a,b}'",
            rows: `array['{"id":"a","n":1}', '{"id":"b","n":2}']::jsonb[]`,
          };
          await thief.unsafe(put("plain", three));
          const planted = await db.admin`
          select owner from kontract_private.effects where owner = 'ada' and lane = 'planted'`;
          assert.equal(planted.length, 0);
        },
      );

      await t.step("one request twice in one statement is applied once at most", async () => {
        const mine = await engine.openSession(await db.token({ owner: "mallory" }));
        await run(engine, call(mine), async (s) => {
          for (const id of ["m1", "m2"]) await s.plain!.set(id, { n: 0 });
        });
        const twice = await own("twice");
        const list = (text: string): string => text.replace(/\{(.*)\}/, "{$1,$1}");
        const [row] = await db.admin.unsafe(
          `select _txid::text as version from ${places.plain} where id = 'm1'`,
        );
        const lists: Lists = {
          ...twice,
          sids: list(twice.sids),
          owners: list(twice.owners),
          masks: list(twice.masks),
          roles: list(twice.roles),
          incs: list(twice.incs),
          lanes: list(twice.lanes),
          reqnos: list(twice.reqnos),
          snaps: twice.snaps.replace(/('.*')/, "$1, $1"),
          answers: "array['1'::bytea, '2'::bytea]",
          members: "'{1,2}'",
          keys: "'{m1,m2}'",
          found: `'{${row!.version},${row!.version}}'`,
          rows: `array['{"id":"m1","n":1}', '{"id":"m2","n":1}']::jsonb[]`,
        };
        for (const again of [false, true]) {
          await thief.begin(async (tx) => {
            if (again) await tx.unsafe(put("plain", { ...twice, answers: "array['0'::bytea]" }));
            await tx.unsafe(put("plain", lists));
          }).catch(() => {});
          const [changed] = await db.admin.unsafe(
            `select count(*)::int as n from ${places.plain}
              where id in ('m1', 'm2') and _deleted_txid is null and data->>'n' = '1'`,
          );
          assert.ok(Number(changed!.n) < 2);
        }
      });
    } finally {
      await thief.end({ timeout: 2 });
      await database.close();
      await db.close();
    }
  },
});
