/**
 * Questions of followers that go together, asked by a thief with the runtime's connection string and whatever session
 * ids and positions there are: each of them is told what it would be told alone, and who would be refused nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import postgres from "postgres";
import { SeededRandom } from "../protocol/testing/random.ts";
import { enterTenant, testDatabase } from "../tests/postgres.ts";
import type { StorageSession } from "./contract.ts";
import { storageEngine } from "./engine.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { type AnyRow, call, field, run, string, table } from "./testing/tables.ts";

const FIELDS = [field("text", string), field("pin", string, { perm: 2 })];
const TABLES = [
  table("plain", FIELDS),
  table("owned", FIELDS, { rows: "owner" }),
  table("closed", FIELDS, { perm: 3 }),
  table("_system", FIELDS),
  table("dropped", FIELDS),
];
const NAMES = TABLES.map(({ name }) => name);
const FILTERS = [
  "[]",
  `[[["text"],"eq","text","a"]]`,
  `[[["id"],"prefix","text","ada"]]`,
  `[[["pin"],"eq","text","a"]]`,
  `[[["nothing"],"eq","text","a"]]`,
  `{}`,
];
const ROUNDS = 400;
const [NOBODY, NO_TABLE] = ["28000", "42P01"];
/** Who has no session, or no such table, is left out of a group. */
const LEFT_OUT = [NOBODY, NO_TABLE];

/** What one session is told of one position. */
type Outcome = { readonly told: unknown } | { readonly refused: string };

Deno.test({
  name: "followers in the hands of a thief are told together what each is told alone",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase(TABLES);
    const acme = await enterTenant(db, "acme");
    const database = postgresDatabase({ url: db.gatewayUrl });
    const engine = storageEngine({ database, tables: TABLES });
    const thief = postgres(db.gatewayUrl, { max: 1, onnotice: () => {}, fetch_types: false });
    const random = new SeededRandom(7);
    const open = async (owner: string, family: string, at = db): Promise<StorageSession> =>
      await engine.openSession(await at.token({ owner, family, system: owner === "_system" }));
    try {
      const [ada, bob, root] = [
        await open("ada", "a"),
        await open("bob", "b"),
        await open("_system", "s"),
      ];
      const [other, boss] = [await open("ada", "a", acme), await open("_system", "s", acme)];
      const [revoked, expired] = [await open("ada", "gone"), await open("ada", "old")];
      const foreign = await open("ada", "elsewhere");
      await engine.revokeFamily(root, "gone", Date.now() + 3_600_000);
      await db
        .admin`update kontract.trxs set expires_at = now() - interval '1 second' where family = 'old'`;
      // As a dump brings it into another server.
      await db
        .admin`update kontract.trxs set create_txid = '99999999999' where family = 'elsewhere'`;
      const again = [
        await open("ada", "a2"),
        await open("bob", "b2"),
        await open("ada", "a2", acme),
        await open("_system", "s2"),
        await open("_system", "s2", acme),
      ];
      const writers = [ada, bob, root, other, boss];
      const live = [...writers, ...again];
      const hashed = [ada, other].map(({ sid }) => createHash("sha256").update(sid).digest("hex"));
      const refused = [
        revoked.sid,
        expired.sid,
        expired.sid,
        foreign.sid,
        foreign.sid,
        ...hashed,
        "",
        "nobody",
        null,
      ];

      const positions: (string | null)[] = [null];
      const ask = async (sid: string, name: string, after: string | null, limit: number) =>
        (await thief`select * from kontract.changes(${sid}, ${name}, '[]', ${after}, ${limit})`)[
          0
        ]!;
      const write = async (): Promise<void> => {
        const owner = random.pick(writers);
        const name = random.pick(owner.system ? ["_system", "plain"] : ["plain", "owned"]);
        const id = `${owner.owner}${random.below(4)}`;
        await run(engine, call(owner), async (s) => {
          if (random.below(4) === 0) await s[name]!.delete(id);
          else {
            const row: AnyRow = { text: random.pick(["a", "b"]), pin: random.pick(["a", "b"]) };
            await s[name]!.set(id, row);
          }
        });
      };
      for (let n = 0; n < 12; n++) {
        await db.admin.begin(async (tx) => {
          // Some positions know of a transaction that is still running.
          if (n % 2 === 0) await tx`select pg_current_xact_id()`;
          for (let writes = 1 + random.below(4); writes > 0; writes--) await write();
          for (const { sid } of [ada, other]) {
            positions.push((await ask(sid, "plain", null, 1)).place);
          }
        });
      }
      for (const after of positions.slice(1, 7)) {
        positions.push((await ask(ada.sid, "plain", after, 1)).place);
      }
      const [incarnation, snapshot] = positions[1]!.split("|");
      positions.push(
        ...["", "|", "||||", "x|1:1:", "null", `${incarnation}|`, `${incarnation}|${snapshot}|`],
        ...[
          `x|${snapshot}`,
          `${incarnation}|1:99999999999:`,
          `${incarnation}|18446744073709551614:18446744073709551615:`,
        ],
        ...[
          `${incarnation}|1:1:|1:99999999999:|5`,
          `${incarnation}|${snapshot}|${snapshot}|18446744073709551615`,
        ],
        `${positions[1]}|${positions.at(-1)!.split("|")[1]}|-1`,
      );
      await db.admin`update kontract.storage st set horizon = pg_snapshot_xmin(${positions[9]!
        .split("|")[1]!}::pg_snapshot) where st.id = 'owned'`;
      await db.admin`delete from kontract.storage where id = 'dropped' and owner = 'acme'`;

      const counts = { changed: 0, told: 0, refused: 0, groups: 0 };
      for (let round = 0; round < ROUNDS; round++) {
        const [name, where, limit] = [
          random.pick(NAMES),
          random.below(2) === 0 ? "[]" : random.pick(FILTERS),
          random.pick([0, 1, 2, 100, 100, null, -1]),
        ];
        const [who, places] = [
          [1, 2, 3].map(() => random.pick(live)),
          [1, 2].map(() => random.pick(positions)),
        ];
        const members = Array.from({ length: 1 + random.below(1 + random.below(12)) }, () => ({
          sid: random.below(4) === 0 ? random.pick(refused) : random.pick(who).sid,
          after: random.pick(places),
        }));
        // Lists of different lengths: what is missing is null.
        const short = random.below(4) === 0 ? 1 : 0;
        const afters = members.map(({ after }) => after).slice(short);
        await thief.begin("isolation level repeatable read", async (tx) => {
          const attempt = async (
            work: (tx: postgres.TransactionSql) => Promise<unknown>,
          ): Promise<Outcome> => {
            try {
              return { told: await tx.savepoint(work) };
            } catch (error) {
              return { refused: String((error as { code?: string }).code) };
            }
          };
          const alone: Outcome[] = [];
          for (const [n, { sid }] of members.entries()) {
            const each = await attempt(async (point) => {
              const [c] = await point`select * from kontract.changes(
                ${sid}, ${name}, ${where}::text::jsonb, ${afters[n] ?? null}, ${limit})`;
              return [c!.changes, c!.place, c!.reset, c!.more];
            });
            // A session that no snapshot sees is none to a group; alone it may be refused for another reason first.
            alone.push(sid === foreign.sid && "refused" in each ? { refused: NOBODY! } : each);
          }
          const together = await attempt(async (point) => {
            const [row] = await point`select kontract.changes_group(
              ${list(members.map(({ sid }) => sid))}::text[], ${name}, ${where}::text::jsonb,
              ${list(afters)}::text[], ${limit}) as r`;
            return row!.r;
          });
          const asked = JSON.stringify({ name, where, limit, members, short });
          if ("refused" in together) {
            counts.refused++;
            const refusals = alone.map((each) => "refused" in each ? each.refused : null);
            if (together.refused === NOBODY) {
              assert.ok(refusals.every((each) => LEFT_OUT.includes(each!)), asked);
              return;
            }
            assert.notEqual(together.refused, NO_TABLE, asked);
            assert.ok(refusals.includes(together.refused), asked);
            return;
          }
          counts.groups++;
          const found = new Map<number, unknown>();
          for (const [whose, ...told] of together.told as [number[], ...unknown[]][]) {
            for (const n of whose) {
              assert.ok(!found.has(n), asked);
              found.set(n, told);
            }
          }
          for (const [n, each] of alone.entries()) {
            if ("told" in each) {
              counts.told++;
              if (JSON.stringify((each.told as unknown[])[0]) !== "[]") counts.changed++;
              assert.deepEqual(found.get(n + 1), each.told, asked);
            } else {
              assert.equal(found.has(n + 1), false, asked);
              assert.ok(LEFT_OUT.includes(each.refused), asked);
            }
          }
          assert.ok([...found.keys()].every((n) => n <= members.length), asked);
        });
      }
      assert.ok(
        Object.values(counts).every((count) => count > ROUNDS / 20),
        JSON.stringify(counts),
      );
    } finally {
      await thief.end({ timeout: 2 });
      await database.close();
      await db.close();
    }
  },
});

/** PostgreSQL's text of a list. */
function list(values: readonly (string | null)[]): string {
  return `{${values.map((value) => value === null ? "null" : `"${value}"`).join(",")}}`;
}
