import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { testDatabase } from "../../tests/postgres.ts";
import { storageEngine } from "../engine.ts";
import { postgresDatabase } from "../postgres_database.ts";
import { ACCOUNTS, call, run } from "../testing/tables.ts";
import { gatewayUrl, type MigrateOptions, migrateUp, type MigrationReport } from "./mod.ts";

/** Owns the server for this file; its own database is the one that is Kontract's alone. */
const alone = await testDatabase([ACCOUNTS]);
const suffix = randomBytes(5).toString("hex");
const PASSWORD = "neighbour";
const made: string[] = [];

function at(name: string, role?: string): string {
  const url = new URL(alone.adminUrl);
  url.pathname = `/${name}`;
  return role === undefined ? url.href : gatewayUrl(url.href, role, PASSWORD);
}

/** A database in which another team already has a role, a schema and a table. */
async function sharedDatabase(name: string): Promise<{ neighbour: string; gateway: string }> {
  const database = `${name}_${suffix}`;
  const neighbour = `${name}_neighbour_${suffix}`;
  made.push(database);
  await alone.admin.unsafe(`create database ${database}`);
  await alone.admin.unsafe(`create role ${neighbour} login password '${PASSWORD}'`);
  const admin = postgres(at(database), { max: 1, onnotice: () => {} });
  await admin.unsafe(`create table public.orders (id int primary key, total int)`);
  await admin.unsafe(`grant select, insert on public.orders to ${neighbour}`);
  await admin.unsafe(`create table public.prices (id int)`);
  await admin.unsafe(`grant select on public.prices to public`);
  await admin.end();
  return { neighbour, gateway: `${name}_gw_${suffix}` };
}

const options = (database: string, gateway: string): MigrateOptions => ({
  adminUrl: at(`${database}_${suffix}`),
  tables: [ACCOUNTS],
  secrets: alone.secrets,
  gatewayRole: gateway,
  gatewayPassword: PASSWORD,
});

/** What the other team does all day. */
async function neighbourWorks(database: string, neighbour: string): Promise<void> {
  const sql = postgres(at(`${database}_${suffix}`, neighbour), { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(`insert into orders select coalesce(max(id), 0) + 1, 5 from orders`);
    await sql.unsafe(`create temp table mine as select * from public.orders`);
    await sql.unsafe(`select lo_unlink(lo_create(0))`);
  } finally {
    await sql.end({ timeout: 2 });
  }
}

const codes = (report: MigrationReport): readonly string[] => report.findings.map((f) => f.code);

Deno.test({
  name: "a database that others use too",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    try {
      const { neighbour, gateway } = await sharedDatabase("shop");

      await test("the neighbour's work goes on after a migration and after the next", async () => {
        await neighbourWorks("shop", neighbour);
        const first = await migrateUp(options("shop", gateway));
        assert.equal(first.changed, true);
        await neighbourWorks("shop", neighbour);
        const second = await migrateUp(options("shop", gateway));
        assert.equal(second.changed, false);
        await neighbourWorks("shop", neighbour);
        assert.deepEqual(second.findings, first.findings);
      });

      await test("what was not hardened is told, with what would mend it", async () => {
        const report = await migrateUp(options("shop", gateway));
        assert.deepEqual(
          codes(report).filter((code) => code !== "PUBLIC_CREATE"),
          ["PUBLIC_CONNECT", "PUBLIC_TEMP", "PUBLIC_LARGE_OBJECTS", "FOREIGN_OBJECTS_READABLE"],
        );
        const foreign = report.findings.find((f) => f.code === "FOREIGN_OBJECTS_READABLE");
        assert.match(foreign!.message, /1 object\(s\).*public\.prices/);
        assert.ok(report.findings.every((finding) => finding.fix !== ""));
      });

      await test("the neighbour sees nothing of Kontract's, and the gateway none of theirs", async () => {
        const theirs = postgres(at(`shop_${suffix}`, neighbour), { max: 1, onnotice: () => {} });
        const ours = postgres(at(`shop_${suffix}`, gateway), { max: 1, onnotice: () => {} });
        try {
          for (const text of ["kontract.storage", "kontract.trxs", "kontract_private.keys"]) {
            await assert.rejects(theirs.unsafe(`select * from ${text}`), { code: "42501" });
          }
          await assert.rejects(theirs`select * from kontract.cur()`, { code: "42501" });
          await assert.rejects(ours`select * from public.orders`, { code: "42501" });
        } finally {
          await theirs.end({ timeout: 2 });
          await ours.end({ timeout: 2 });
        }
      });

      await test("a temporary object of the gateway's shadows nothing a function uses", async () => {
        const database = postgresDatabase({ url: at(`shop_${suffix}`, gateway), max: 1 });
        const thief = postgres(at(`shop_${suffix}`, gateway), { max: 1, onnotice: () => {} });
        try {
          await thief.unsafe(`create temp table trxs (sid bytea, owner text, tenant text)`);
          await thief.unsafe(
            `create temp table keys (kid text, header text, ipad bytea, opad bytea)`,
          );
          const token = await alone.token();
          const rows = await thief`select owner from kontract.open_session(${token})`;
          assert.equal(rows[0]!.owner, "alice");
          const engine = storageEngine({ database, tables: [ACCOUNTS] });
          const session = await engine.openSession(await alone.token());
          await run(engine, call(session), (s) => s.accounts!.set("a", { balance: 1 }));
        } finally {
          await thief.end({ timeout: 2 });
          await database.close();
        }
      });

      await test("what a finding says to run mends it", async () => {
        await sharedDatabase("mended");
        const mended = options("mended", `mended_gw_${suffix}`);
        await migrateUp(mended);
        const sql = postgres(mended.adminUrl, { max: 1, onnotice: () => {} });
        try {
          await sql.unsafe(`create schema drafts`);
          await sql.unsafe(`grant create on schema drafts to public`);
          await sql.unsafe(`grant mended_neighbour_${suffix} to mended_gw_${suffix}`);
          const { findings } = await migrateUp(mended);
          const found = findings.map(({ code }) => code);
          for (const code of ["PUBLIC_CREATE", "GATEWAY_MEMBERSHIP", "PUBLIC_TEMP"] as const) {
            assert.ok(found.includes(code), `${code} of ${found}`);
          }
          for (const { fix } of findings) {
            if (/^(revoke|grant) /.test(fix)) await sql.unsafe(fix);
          }
        } finally {
          await sql.end();
        }
        assert.deepEqual(codes(await migrateUp(mended)), [
          "PUBLIC_LARGE_OBJECTS",
          "FOREIGN_OBJECTS_READABLE",
        ]);
      });

      await test("asked for, the database is hardened whoever uses it", async () => {
        const report = await migrateUp({ ...options("shop", gateway), hardening: "database" });
        assert.deepEqual(codes(report), []);
        await assert.rejects(neighbourWorks("shop", neighbour));
      });

      await test("an empty database is Kontract's alone, unless told otherwise", async () => {
        for (const [name, hardening] of [["empty", "auto"], ["kept", "own"]] as const) {
          made.push(`${name}_${suffix}`);
          await alone.admin.unsafe(`create database ${name}_${suffix}`);
          const report = await migrateUp({
            ...options(name, `${name}_gw_${suffix}`),
            hardening,
          });
          assert.equal(codes(report).length > 0, name === "kept", codes(report).join());
        }
      });

      await test("a database where a role was let in is not empty", async () => {
        made.push(`guest_${suffix}`);
        await alone.admin.unsafe(`create database guest_${suffix}`);
        await alone.admin.unsafe(`grant connect on database guest_${suffix} to ${neighbour}`);
        const report = await migrateUp(options("guest", `guest_gw_${suffix}`));
        assert.ok(codes(report).includes("PUBLIC_CONNECT"));
      });

      await test("objects that come later keep the rights they have", async () => {
        const admin = postgres(at(`empty_${suffix}`), { max: 1, onnotice: () => {} });
        await admin.unsafe(`create schema later; create table later.t (id int);
          grant connect on database empty_${suffix} to public`);
        await admin.end();
        const again = {
          ...options("empty", `empty_gw_${suffix}`),
          tables: [{ ...ACCOUNTS, doc: "changed" }],
        };
        assert.deepEqual(codes(await migrateUp(again)), ["PUBLIC_CONNECT"]);
      });

      await test("a schema named kontract that is somebody else's is left alone", async () => {
        made.push(`taken_${suffix}`);
        await alone.admin.unsafe(`create database taken_${suffix}`);
        const admin = postgres(at(`taken_${suffix}`), { max: 1, onnotice: () => {} });
        await admin.unsafe(`create schema kontract; create table kontract.storage (mine int)`);
        await assert.rejects(migrateUp(options("taken", `taken_gw_${suffix}`)), {
          code: "MIGRATION_REFUSED",
        });
        assert.equal((await admin`select mine from kontract.storage`).length, 0);
        await admin.end();
      });

      await test("an admin without superuser who owns a corner can migrate", async () => {
        const corner = `corner_admin_${suffix}`;
        await sharedDatabase("corner");
        await alone.admin.unsafe(`create role ${corner} login createrole password '${PASSWORD}'`);
        await alone.admin.unsafe(`grant create on database corner_${suffix} to ${corner}`);
        // The inner roles may have been made by another admin of this cluster, who lets this one in.
        await alone.admin.unsafe(
          `grant kontract_owner, kontract_exec to ${corner} with admin option`,
        );
        const report = await migrateUp({
          ...options("corner", `corner_gw_${suffix}`),
          adminUrl: at(`corner_${suffix}`, corner),
        });
        assert.ok(codes(report).includes("PUBLIC_TEMP"));
        const database = postgresDatabase({ url: at(`corner_${suffix}`, `corner_gw_${suffix}`) });
        const engine = storageEngine({ database, tables: [ACCOUNTS] });
        const session = await engine.openSession(await alone.token());
        await run(engine, call(session), (s) => s.accounts!.set("a", { balance: 1 }));
        await database.close();
      });

      await test("a role that may do too much is not taken for the gateway's", async () => {
        const superuser = String(new URL(alone.adminUrl).username);
        await assert.rejects(
          migrateUp({ ...options("guest", superuser), gatewayPassword: undefined }),
          { code: "CONFIG" },
        );
      });
    } finally {
      for (const name of made) {
        await alone.admin.unsafe(`drop database if exists ${name} with (force)`);
      }
      const roles = await alone.admin`
        select rolname from pg_roles where rolname like ${`%\\_${suffix}`}`;
      for (const { rolname } of roles) await alone.admin.unsafe(`drop role if exists ${rolname}`);
      await alone.close();
    }
  },
});
