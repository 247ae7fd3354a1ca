/**
 * A logical dump, restored into a fresh cluster and gone on with: every row is there in its order, no
 * request is applied twice across the two, and nothing of the old cluster's snapshots or sessions counts; in
 * `main` and in another tenant.
 *
 * Needs PostgreSQL with `pg_dump` and `psql` on this machine, as Debian's packages have them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import postgres from "postgres";
import { KontractError } from "../../_internal/errors.ts";
import type { StorageSession } from "../../storage/contract.ts";
import type { Database } from "../../storage/database.ts";
import { storageEngine } from "../../storage/engine.ts";
import { examine } from "../../storage/maintenance/doctor/mod.ts";
import { gatewayUrl, migrateUp } from "../../storage/migrate/mod.ts";
import { rebase } from "../../storage/migrate/rebase.ts";
import { makeTenant } from "../../storage/migrate/tenant_admin.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { call, field, index, number, run, string, table } from "../../storage/testing/tables.ts";
import { findServers, startServer } from "../poolers/installed_server.ts";
import { databaseToken } from "../postgres.ts";

const TABLES = [
  table("entries", [field("n", number), field("text", string)], {
    indexes: [index(["text"], true)],
  }),
];
/** A tenant as it was before the dump. */
interface Left {
  readonly session: StorageSession;
  readonly rows: readonly Record<string, unknown>[];
  readonly position: string;
}

const ROLE = "kontract_gateway";
const ROWS = 300;
/** So many transactions is the old cluster ahead of the new one. */
const AHEAD = 5000;

const binaries = (await findServers()).at(-1);
if (binaries === undefined) {
  console.warn(
    "SKIPPED: no PostgreSQL with pg_dump under /usr/lib/postgresql; dump and restore are not tested.",
  );
}

Deno.test({
  name: "faults: a dump is restored into a fresh cluster and gone on with",
  ignore: binaries === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { bin } = binaries!;
    await using old = await startServer(bin);
    await using fresh = await startServer(bin);
    const secret = new Uint8Array(randomBytes(32));
    const migration = {
      tables: TABLES,
      secrets: [secret],
      gatewayRole: ROLE,
      gatewayPassword: randomBytes(12).toString("hex"),
    };
    await migrateUp({ adminUrl: old.adminUrl, ...migration });
    const open = (adminUrl: string): Database =>
      postgresDatabase({ url: gatewayUrl(adminUrl, ROLE, migration.gatewayPassword), max: 2 });
    const databases = [open(old.adminUrl), open(fresh.adminUrl)] as const;
    // One gateway throughout, as where only an address changes.
    let current: Database = databases[0];
    const engine = storageEngine({
      database: { execute: (...args) => current.execute(...args), close: () => Promise.resolve() },
      tables: TABLES,
    });
    const login = async (tenant: string) =>
      await engine.openSession(await databaseToken(secret, { tenant }));
    const all = async (session: StorageSession) =>
      (await run(engine, call(session, { readOnly: true }), (s) => Array.fromAsync(s.entries!)))
        .value;
    const push = (session: StorageSession) =>
      run(
        engine,
        call(session, { effect: { lane: "restore", reqno: 1n } }),
        (s) => s.entries!.push({ n: 9, text: "pushed" }),
      );
    const changes = (session: StorageSession, after: string | null) =>
      engine.changes({ session, table: "entries", after, limit: 9 });
    try {
      await makeTenant(old.adminUrl, "acme");
      await spend(old.adminUrl, AHEAD);
      const left = new Map<string, Left>();
      for (const tenant of ["main", "acme"]) {
        const session = await login(tenant);
        for (const round of [0, 1]) {
          await run(engine, call(session), async (s) => {
            for (let i = 0; i < ROWS; i++) {
              await s.entries!.set(`row${(i * 7) % ROWS}`, {
                n: round,
                text: `${tenant} ${i} ü \\ ' \u{1f600}`,
              });
            }
          });
        }
        await run(engine, call(session), (s) => s.entries!.delete("row3"));
        assert.equal((await push(session)).outcome.replayed, false);
        const rows = await all(session);
        assert.equal(rows.length, ROWS);
        left.set(tenant, { session, rows, position: (await changes(session, null)).position });
      }

      const across = run(engine, call(left.get("main")!.session, { retry: 0 }), async (s) => {
        await s.entries!.get("row1");
        await copy(bin, old.adminUrl, fresh.adminUrl);
        const early = migrateUp({ adminUrl: fresh.adminUrl, ...migration });
        await assert.rejects(early, { code: "MIGRATION_REFUSED" });
        const { steps } = await rebase({ adminUrl: fresh.adminUrl, gatewayRole: ROLE });
        const counts = `${ROWS} rows rebased, ${ROWS + 1} old versions removed`;
        assert.deepEqual(steps.slice(0, 2), [
          `table 'entries' of tenant 'acme': ${counts}`,
          `table 'entries': ${counts}`,
        ]);
        await migrateUp({ adminUrl: fresh.adminUrl, ...migration });
        current = databases[1];
        await s.entries!.get("row2");
      });
      await assert.rejects(across, (error) => {
        assert.ok(error instanceof KontractError, String(error));
        assert.ok(["SESSION_REVOKED", "SNAPSHOT_TOO_OLD"].includes(error.code), error.code);
        return true;
      });
      const examined = { adminUrl: fresh.adminUrl, gatewayUrl: null, gatewayRole: ROLE };
      const findings = await examine({
        ...examined,
        prepares: true,
        tables: TABLES,
        migrations: [],
      });
      assert.deepEqual(findings.filter(({ level }) => level === "problem"), []);

      for (const [tenant, { session, rows, position }] of left) {
        await assert.rejects(all(session), { code: "SESSION_REVOKED" });
        const after = await login(tenant);
        assert.deepEqual(await all(after), rows);
        assert.equal((await push(after)).outcome.replayed, true);
        assert.equal((await changes(after, position)).reset, true);
        await run(engine, call(after), async (s) => {
          assert.equal(await s.entries!.count(), ROWS);
          const row = await s.entries!.get("row5");
          await s.entries!.update("row5", { n: Number(row!.n) + 1 });
          await s.entries!.set("new", { n: 1, text: "new" });
        });
        const twin = run(
          engine,
          call(after),
          (s) => s.entries!.set("twin", { n: 1, text: "pushed" }),
        );
        await assert.rejects(twin, { code: "UNIQUE_VIOLATION" });
        const expected = rows.map((row) => row.id === "row5" ? { ...row, n: 2 } : row);
        assert.deepEqual(await all(after), [...expected, { id: "new", n: 1, text: "new" }]);
      }
      assert.equal(await makeTenant(fresh.adminUrl, "globex"), true);
      assert.deepEqual(await all(await login("globex")), []);
    } finally {
      await Promise.all(databases.map((database) => database.close()));
    }
  },
});

/** Uses up transaction ids. */
async function spend(adminUrl: string, ids: number): Promise<void> {
  const sql = postgres(adminUrl, { max: 1, onnotice: () => {} });
  await sql.unsafe(`do $do$ begin
    for i in 1..${ids} loop perform pg_current_xact_id(); commit; end loop; end $do$`);
  await sql.end();
}

/** `pg_dump` into `psql`, without owners and rights, as most hosted servers need it. */
async function copy(bin: string, from: string, to: string): Promise<void> {
  const file = await Deno.makeTempFile({ prefix: "kontract_dump_", suffix: ".sql" });
  try {
    const plain = ["--no-owner", "--no-privileges"];
    await program(join(bin, "pg_dump"), [`--dbname=${from}`, ...plain, `--file=${file}`]);
    await program(join(bin, "psql"), [
      `--dbname=${to}`,
      "-qX",
      "-v",
      "ON_ERROR_STOP=1",
      "-f",
      file,
    ]);
  } finally {
    await Deno.remove(file);
  }
}

async function program(path: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(path, { args, stdin: "null", stdout: "null" })
    .output();
  assert.ok(success, new TextDecoder().decode(stderr));
}
