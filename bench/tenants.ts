/**
 * What a tenant costs: a call in one against the same call in `main`, in interleaved rounds; how long making
 * one takes; and the memory of a connection that has used every table of many:
 * `deno task bench tenants [--tenants=200]`, each with 20 tables.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { startEmbeddedPostgres } from "../cli/embedded_postgres.ts";
import { storageEngine } from "../storage/engine.ts";
import { gatewayUrl, migrateUp } from "../storage/migrate/mod.ts";
import { postgresDatabase } from "../storage/postgres_database.ts";
import { createTenant } from "../storage/tenants.ts";
import {
  type AnyStorage,
  call,
  field,
  index,
  number,
  string,
  table,
} from "../storage/testing/tables.ts";
import { databaseToken } from "../tests/postgres.ts";
import { compareRates, printResults } from "./rounds.ts";

const given = Deno.args.find((arg) => arg.startsWith("--tenants="))?.slice(10);
const TENANTS = given === undefined ? 200 : Number(given);
const STEPS = 4;
const ROWS = 1000;

const TABLES = Array.from(
  { length: 20 },
  (_, i) =>
    table(`table${i}`, [field("n", number), field("text", string)], { indexes: [index(["n"])] }),
);
const [TABLE] = TABLES;

const server = await startEmbeddedPostgres({});
const secret = new Uint8Array(randomBytes(32));
const gatewayPassword = randomBytes(12).toString("hex");
const { gatewayRole } = await migrateUp({
  adminUrl: server.url,
  tables: TABLES,
  secrets: [secret],
  gatewayPassword,
});
const database = postgresDatabase({
  url: gatewayUrl(server.url, gatewayRole, gatewayPassword),
  max: 4,
});
const engine = storageEngine({ database, tables: TABLES });
const system = await engine.openSession(
  await databaseToken(secret, { owner: "system", family: "system", system: true }),
);

async function benchCalls(): Promise<void> {
  await createTenant(database, { session: system, actor: null }, "acme");
  const main = await engine.openSession(await databaseToken(secret));
  const acme = await engine.openSession(await databaseToken(secret, { tenant: "acme" }));
  let reqno = 0n;
  const once = (
    session: typeof main,
    readOnly: boolean,
    body: (s: AnyStorage) => Promise<unknown>,
  ) => {
    const effect = readOnly ? null : { lane: "bench", reqno: ++reqno };
    return engine.run(call(session, { readOnly, effect, retry: 1000 }), async (t) => {
      await body(t.storage as AnyStorage);
      return new Uint8Array();
    });
  };
  for (const session of [main, acme]) {
    for (let page = 0; page < ROWS; page += 100) {
      await once(session, false, async (s) => {
        for (let i = page; i < page + 100; i++) {
          await s[TABLE!.name]!.set(`k${i}`, { n: i, text: "some words" });
        }
      });
    }
  }
  const key = (): string => `k${Math.floor(Math.random() * ROWS)}`;
  const calls: readonly (readonly [string, boolean, (s: AnyStorage) => Promise<unknown>])[] = [
    ["get", true, (s) => s.table0!.get(key())],
    ["getMany of 10", true, (s) => s.table0!.getMany(Array.from({ length: 10 }, key))],
    ["query of 10 by index", true, (s) => s.table0!.query({ n: { gte: 500 } }).limit(10)],
    ["set", false, (s) => s.table0!.set(key(), { n: 1, text: "other words" })],
    ["get, then update", false, async (s) => {
      const id = key();
      await s.table0!.get(id);
      await s.table0!.update(id, { text: "more words" });
    }],
  ];
  for (const [name, readOnly, body] of calls) {
    const results = await compareRates([
      { name: `${name}, main`, work: () => once(main, readOnly, body) },
      { name: `${name}, tenant`, work: () => once(acme, readOnly, body) },
    ], { clients: 4, turn: 300 });
    printResults(name, results);
  }
}

/** One connection uses every table of more and more tenants; what it holds is the server's own word. */
async function benchMemory(): Promise<void> {
  const sql = postgres(server.url, { max: 1, prepare: false, onnotice: () => {} });
  const held = async (): Promise<number> => {
    const [row] =
      await sql`select sum(total_bytes)::float8 as bytes from pg_backend_memory_contexts`;
    return Number(row!.bytes) / 2 ** 20;
  };
  const began = performance.now();
  for (let i = 0; i < TENANTS; i++) {
    await createTenant(database, { session: system, actor: null }, `t${i}`);
  }
  const each = (performance.now() - began) / TENANTS;
  console.log(`\nmaking a tenant of ${TABLES.length} tables: ${each.toFixed(0)} ms each`);
  const empty = await held();
  console.log(`a connection that has done nothing: ${empty.toFixed(1)} MiB`);
  for (let step = 0; step < STEPS; step++) {
    const from = Math.floor(TENANTS * step / STEPS);
    const to = Math.floor(TENANTS * (step + 1) / STEPS);
    for (let i = from; i < to; i++) {
      const token = await databaseToken(secret, { tenant: `t${i}` });
      const [session] = await sql`select sid from kontract.open_session(${token})`;
      for (const { name } of TABLES) {
        await sql`select kontract.tenant_get(${
          session!.sid
        }, 7, null, null, null, null, null, null, ${name}, 'k')`;
      }
    }
    const now = await held();
    const perTable = (now - empty) * 1024 / (to * TABLES.length);
    console.log(
      `after ${to} tenants (${to * TABLES.length} tables): ${now.toFixed(1)} MiB, ` +
        `${perTable.toFixed(1)} KiB a table`,
    );
  }
  await sql.end();
}

try {
  await benchCalls();
  await benchMemory();
} finally {
  await database.close();
  await server.stop();
}
