/**
 * Storage against what one would write by hand with the same driver, in one run:
 * `deno task bench storage [--full] [--durable] [--only=get,exec,feed,commit,transfer,flat,iterate]`.
 *
 * Goals are printed beside the figures; only ratios mean something, since the machine is not ours alone.
 * Both sides have the same rows under the same key, no other index, and the same durability: the plain
 * UPDATE keeps no old version and no request id, and is done by one statement in place.
 * `--full` goes to 10⁶ rows, `--durable` lets the server flush each commit to disk.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { startEmbeddedPostgres } from "../cli/embedded_postgres.ts";
import { storageEngine } from "../storage/engine.ts";
import { exec, query } from "../storage/exec/testing/query.ts";
import { postgresDatabase } from "../storage/postgres_database.ts";
import { gatewayUrl, migrateUp } from "../storage/migrate/mod.ts";
import { type AnyStorage, call, field, number, string, table } from "../storage/testing/tables.ts";
import { databaseToken } from "../tests/postgres.ts";
import { bareCalls } from "./bare_calls.ts";
import { compareRates, median, printGoal, printResults } from "./rounds.ts";

const FULL = Deno.args.includes("--full");
const MANY = FULL ? 1_000_000 : 100_000;
const ONLY = Deno.args.find((arg) => arg.startsWith("--only="))?.slice(7).split(",");
const CLIENTS = 32;
const ACCOUNTS = 1000;
const HOT = 5;

const TABLES = [
  table("accounts", [field("balance", number), field("city", string)]),
  table("many", [field("n", number), field("text", string)]),
  table("versions", [field("n", number)]),
];

const BY_KEY = query({ id: string, city: string })`
  select id, city from accounts where id = ${string}`;
const BY_CITY = query({ city: string, n: number, total: number })`
  select city, count(*) as n, sum(balance) as total from accounts group by city`;
const EXECS = [BY_KEY, BY_CITY];

const DURABLE = Deno.args.includes("--durable");
const server = await startEmbeddedPostgres({ durable: DURABLE });
const secret = new Uint8Array(randomBytes(32));
const gatewayPassword = randomBytes(12).toString("hex");
const { gatewayRole } = await migrateUp({
  adminUrl: server.url,
  tables: TABLES,
  execs: EXECS,
  secrets: [secret],
  gatewayPassword,
});
const url = gatewayUrl(server.url, gatewayRole, gatewayPassword);
const database = postgresDatabase({ url, max: CLIENTS });
const small = postgresDatabase({ url, max: 10 });
const engine = storageEngine({ database, tables: TABLES, execs: EXECS });
const smallEngine = storageEngine({ database: small, tables: TABLES });
const session = await engine.openSession(await databaseToken(secret));
const plain = postgres(server.url, { max: CLIENTS, fetch_types: false, onnotice: () => {} });

const bare = await bareCalls(plain, ACCOUNTS);

let reqno = 0n;
const NO_ANSWER = new Uint8Array();
const account = (): string => `account${Math.floor(Math.random() * ACCOUNTS)}`;

/** One call; with a request id where it writes. */
async function once(
  body: (s: AnyStorage) => Promise<unknown>,
  options: { readonly readOnly?: boolean; readonly id?: boolean; readonly on?: typeof engine } = {},
): Promise<void> {
  const { readOnly = false, id = true, on = engine } = options;
  const effect = readOnly || !id ? null : { lane: "bench", reqno: ++reqno };
  await on.run(
    call(session, { readOnly, effect, retry: 10_000, deadline: Date.now() + 120_000 }),
    async (t) => {
      await body(t.storage as AnyStorage);
      return NO_ANSWER;
    },
  );
}

async function prepare(): Promise<void> {
  await once(async (s) => {
    for (let i = 0; i < ACCOUNTS; i++) {
      await s.accounts!.set(`account${i}`, { balance: 1000, city: "Ulm" });
    }
  });
  await plain.unsafe("create table plain (id text primary key, data jsonb not null)");
  await plain.unsafe(
    `insert into plain select 'account' || i,
    jsonb_build_object('id', 'account' || i, 'balance', 1000, 'city', 'Ulm') from generate_series(0, $1::int - 1) i`,
    [
      ACCOUNTS,
    ],
  );
  await plain.unsafe("vacuum analyze");
}

async function benchGet(): Promise<void> {
  const select = (id: string): Promise<unknown> =>
    plain.unsafe("select data from plain where id = $1", [id], { prepare: true });
  for (const clients of [1, 8]) {
    const results = await compareRates([
      { name: "plain prepared select", work: () => select(account()) },
      {
        name: "get, a call each",
        work: () => once((s) => s.accounts!.get(account()), { readOnly: true }),
      },
      { name: "a function without a single check", work: () => bare.get(account()) },
    ], { clients });
    printResults(`get of one row, ${clients} client${clients > 1 ? "s" : ""}`, results);
    if (clients === 1) {
      printGoal("time of get against the select", 1 / results[1]!.ratio, 1.6, "most");
    }
  }
  const inside = await compareRates([
    {
      name: "plain prepared select, 20 of them",
      work: async () => {
        for (let i = 0; i < 20; i++) await select(`account${i}`);
      },
    },
    {
      name: "get, 20 in one call and snapshot",
      work: () =>
        once(async (s) => {
          for (let i = 0; i < 20; i++) await s.accounts!.get(`account${i}`);
        }, { readOnly: true }),
    },
  ], { clients: 1 });
  printResults("get of 20 rows, one after the other, 1 client", inside);
}

async function benchExec(): Promise<void> {
  for (
    const [what, text, params, run] of [
      [
        "one row by its key",
        "select id, data->>'city' as city from plain where id = $1",
        () => [account()],
        (s: AnyStorage) => exec(s, BY_KEY, account()),
      ],
      [
        `${ACCOUNTS} rows in groups`,
        `select data->>'city' as city, count(*) as n, sum((data->>'balance')::numeric) as total from plain
          group by 1`,
        () => [],
        (s: AnyStorage) => exec(s, BY_CITY),
      ],
    ] as const
  ) {
    const results = await compareRates([
      {
        name: "the same SQL prepared",
        work: () => plain.unsafe(text, params(), { prepare: true }),
      },
      { name: "exec, a call each", work: () => once(run, { readOnly: true }) },
    ], { clients: 1 });
    printResults(`exec of ${what}, 1 client`, results);
  }
}

/** What a follower asks whenever it is woken, or every two seconds. */
async function benchFeed(): Promise<void> {
  const follow = (after: string | null, filter?: { readonly city: string }) =>
    engine.changes({
      session,
      table: "accounts",
      after,
      limit: 256,
      ...(filter === undefined ? {} : { filter }),
    });
  const change = (): Promise<void> =>
    once((s) => s.accounts!.set("account1", { balance: 1000, city: "Ulm" }));
  const quiet = (await follow(null)).position;
  await once((s) => s.versions!.set("elsewhere", { n: 1 }));
  const same = (await follow(null)).position;
  const results = await compareRates([
    {
      name: "get, a call each",
      work: () => once((s) => s.accounts!.get("account1"), { readOnly: true }),
    },
    { name: "nothing has happened", work: () => follow(same) },
    { name: "something has happened in another table", work: () => follow(quiet) },
  ], { clients: 1 });
  await change();
  const changed = await compareRates([
    {
      name: "get, a call each",
      work: () => once((s) => s.accounts!.get("account1"), { readOnly: true }),
    },
    { name: "one row has changed", work: () => follow(quiet) },
    { name: "one row has changed, with a filter", work: () => follow(quiet, { city: "Ulm" }) },
  ], { clients: 1 });
  printResults("a follower's question, 1 client", results);
  printResults("a follower's question after a change, 1 client", changed);
}

async function benchCommit(): Promise<void> {
  const results = await compareRates([
    {
      name: "plain prepared UPDATE",
      work: (client, n) =>
        plain.unsafe(
          "update plain set data = data || jsonb_build_object('balance', $2::int) where id = $1",
          [
            account(),
            client + n,
          ],
          { prepare: true },
        ),
    },
    {
      name: "set of one row, with request id",
      work: (_, n) => once((s) => s.accounts!.set(account(), { balance: n, city: "Ulm" })),
    },
    {
      name: "set of one row, without",
      work: (_, n) =>
        once((s) => s.accounts!.set(account(), { balance: n, city: "Ulm" }), { id: false }),
    },
    {
      name: "get and update of one row, with request id",
      work: () =>
        once(async (s) => {
          const id = account();
          const row = await s.accounts!.get(id);
          await s.accounts!.update(id, { balance: Number(row!.balance) + 1 });
        }),
    },
    { name: "a set without a single check", work: (_, n) => bare.set(account(), n) },
  ], { clients: 4 });
  printResults("commit of one row, 4 clients", results);
  printGoal("set with request id against the UPDATE", results[1]!.ratio, 0.55, "least");
}

/** Two different accounts; `hot` takes 80 % of them from a few. */
function pair(hot: boolean): [string, string] {
  const one = (): string =>
    hot && Math.random() < 0.8 ? `account${Math.floor(Math.random() * HOT)}` : account();
  const a = one();
  let b = one();
  while (b === a) b = one();
  return [a, b];
}

async function transferByHand(hot: boolean): Promise<void> {
  const [a, b] = pair(hot);
  for (let attempt = 1;; attempt++) {
    try {
      await plain.begin("isolation level serializable", async (tx) => {
        const read = async (id: string): Promise<number> =>
          Number(
            (await tx.unsafe("select data from plain where id = $1", [id], { prepare: true }))[0]!
              .data.balance,
          );
        const write = (id: string, balance: number): Promise<unknown> =>
          tx.unsafe(
            "update plain set data = data || jsonb_build_object('balance', $2::int) where id = $1",
            [
              id,
              balance,
            ],
            { prepare: true },
          );
        const [x, y] = [await read(a), await read(b)];
        await write(a, x - 1);
        await write(b, y + 1);
      });
      return;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "40001" && code !== "40P01") throw error;
      // The engine's own back-off.
      await new Promise((done) =>
        setTimeout(done, Math.random() * Math.min(4 * 2 ** attempt, 250))
      );
    }
  }
}

async function transfer(hot: boolean, on: typeof engine): Promise<void> {
  const [a, b] = pair(hot);
  await once(async (s) => {
    const [x, y] = await s.accounts!.getMany([a, b]);
    await s.accounts!.update(a, { balance: Number(x!.balance) - 1 });
    await s.accounts!.update(b, { balance: Number(y!.balance) + 1 });
  }, { on });
}

async function benchTransfer(): Promise<void> {
  const rates: number[] = [];
  for (const hot of [false, true]) {
    await once(async (s) => {
      for (let i = 0; i < ACCOUNTS; i++) {
        await s.accounts!.set(`account${i}`, { balance: 1000, city: "Ulm" });
      }
    });
    const results = await compareRates([
      { name: "by hand: six statements, serializable, retried", work: () => transferByHand(hot) },
      {
        name: `two round trips, in groups, ${CLIENTS} connections`,
        work: () => transfer(hot, engine),
      },
      {
        name: "two round trips, in groups, 10 connections",
        work: () => transfer(hot, smallEngine),
      },
      { name: "two round trips without a single check", work: () => bare.transfer(...pair(hot)) },
    ], { clients: CLIENTS, turn: 800 });
    const of = hot
      ? `80 % of traffic on ${HOT} of ${ACCOUNTS} accounts`
      : `uniform over ${ACCOUNTS} accounts`;
    printResults(`transfer, ${CLIENTS} clients, ${of}`, results);
    const best = results[1]!.ratio > results[2]!.ratio ? results[1]! : results[2]!;
    printGoal("the better against the one by hand", best.ratio, 1.5, "least");
    rates.push(best.rate);
    let sum = 0;
    await once(async (s) => {
      for await (const row of s.accounts!) sum += Number(row.balance);
    }, { readOnly: true });
    console.log(`  ${sum === ACCOUNTS * 1000 ? "met   " : "MISSED"} no lost update: sum ${sum}`);
  }
  console.log(
    `  uniform to contended: ${rates[0]!.toFixed(0)}/s to ${rates[1]!.toFixed(0)}/s, ` +
      `${(rates[1]! / rates[0]!).toFixed(2)}x; Convex has published 1140/s to 126/s, 0.11x`,
  );
}

/** Rows `from` to `to` of `many`. */
async function fill(from: number, to: number): Promise<void> {
  const text = "x".repeat(60);
  for (let at = from; at < to; at += 5000) {
    await once(async (s) => {
      for (let i = at; i < Math.min(at + 5000, to); i++) {
        await s.many!.set(`row${i}`, { n: i, text });
      }
    });
  }
}

async function benchFlat(): Promise<void> {
  let rows = 0;
  const times: number[] = [];
  console.log("\nget against the size of its table, 1 client");
  for (const size of [1000, 10_000, 100_000, ...(FULL ? [1_000_000] : [])]) {
    await fill(rows, rows = size);
    await plain.unsafe("vacuum analyze");
    const [select, get] = await compareRates([
      {
        name: "select",
        work: () =>
          plain.unsafe("select data from plain where id = $1", [account()], { prepare: true }),
      },
      {
        name: "get",
        work: () =>
          once((s) => s.many!.get(`row${Math.floor(Math.random() * size)}`), { readOnly: true }),
      },
    ], { clients: 1, rounds: 5, turn: 300 });
    times.push(1 / get!.ratio);
    console.log(
      `  ${String(size).padStart(8)} rows: ${get!.rate.toFixed(0)}/s, ${
        times.at(-1)!.toFixed(2)
      }x the time of a select (${select!.rate.toFixed(0)}/s)`,
    );
  }
  printGoal("largest against smallest", times.at(-1)! / times[0]!, 1.25, "most");
  await benchVersions();
}

/** Live and old reads of keys with 100 old versions against keys with none, in interleaved reads. */
async function benchVersions(): Promise<void> {
  const KEYS = 100;
  await once(async (s) => {
    for (let i = 0; i < KEYS; i++) {
      await s.versions!.set(`busy${i}`, { n: 0 });
      await s.versions!.set(`calm${i}`, { n: 0 });
    }
  });
  const timeOf = async (s: AnyStorage): Promise<readonly [number, number]> => {
    const times = { busy: [] as number[], calm: [] as number[] };
    for (let i = 0; i < KEYS; i++) {
      for (const kind of ["busy", "calm"] as const) {
        const began = performance.now();
        const row = await s.versions!.get(`${kind}${i}`);
        times[kind].push(performance.now() - began);
        if (row === null) throw new Error("A row is missing.");
      }
    }
    return [median(times.busy), median(times.calm)];
  };
  const ratios: { live: number[]; old: number[] } = { live: [], old: [] };
  for (let round = 0; round < 5; round++) {
    await once(async (s) => {
      await s.versions!.has("none"); // the snapshot
      for (let version = 0; version < 20; version++) {
        await once(async (other) => {
          for (let i = 0; i < KEYS; i++) await other.versions!.set(`busy${i}`, { n: version });
        });
      }
      const [busy, calm] = await timeOf(s);
      ratios.old.push(busy / calm);
    }, { readOnly: true });
    await once(async (s) => {
      const [busy, calm] = await timeOf(s);
      ratios.live.push(busy / calm);
    }, { readOnly: true });
  }
  console.log("\nget of a key with up to 100 old versions against one with none");
  printGoal("the live version", median(ratios.live), 1.25, "most");
  printGoal("an old version, from an old snapshot", median(ratios.old), 1.6, "most");
}

async function benchIterate(): Promise<void> {
  const [{ count }] = [await countMany()];
  await fill(count, MANY);
  console.log(`\niteration over ${MANY} rows`);
  const heap = (): number => Deno.memoryUsage().heapUsed / 1e6;
  const peaks: number[] = [];
  const began = performance.now();
  await once(async (s) => {
    let seen = 0;
    let peak = 0;
    for await (const _row of s.many!) {
      if (++seen % 1000 === 0) peak = Math.max(peak, heap());
      if (seen % (MANY / 4) !== 0) continue;
      peaks.push(peak);
      peak = 0;
    }
    if (seen !== MANY) throw new Error(`Saw ${seen} rows.`);
  }, { readOnly: true });
  const rate = MANY / (performance.now() - began) * 1000;
  console.log(
    `  ${rate.toFixed(0)} rows/s; peak of the heap by quarters: ${
      peaks.map((mb) => `${mb.toFixed(0)} MB`).join(", ")
    }`,
  );
  printGoal("last quarter's peak against the second's", peaks[3]! / peaks[1]!, 1.3, "most");
}

async function countMany(): Promise<{ readonly count: number }> {
  let count = 0;
  await once(async (s) => {
    count = await s.many!.count();
  }, { readOnly: true });
  return { count };
}

try {
  console.log(
    `PostgreSQL 18, Deno ${Deno.version.deno}, ${FULL ? "full" : "short"}, commits ${
      DURABLE ? "flushed to disk" : "not flushed"
    } on both sides; ratios of interleaved rounds`,
  );
  await prepare();
  const benches = {
    get: benchGet,
    exec: benchExec,
    feed: benchFeed,
    commit: benchCommit,
    transfer: benchTransfer,
    flat: benchFlat,
    iterate: benchIterate,
  };
  for (const [name, bench] of Object.entries(benches)) {
    if (ONLY === undefined || ONLY.includes(name)) await bench();
  }
} finally {
  await Promise.all([database.close(), small.close(), plain.end({ timeout: 5 })]);
  await server.stop();
}
