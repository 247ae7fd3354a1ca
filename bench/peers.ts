/**
 * A whole call, from a typed client to a row of PostgreSQL and back, beside what users would otherwise
 * put together: `deno task bench peers [--rounds=7] [--turn=400]`.
 *
 * Each contender has a server process of its own and a database of its own on one durable PostgreSQL;
 * client, servers and database share the machine. Not alike, and to be kept in mind: Kontract's calls
 * carry a session that the database checks, rights, an exactly-once record for what writes, and
 * encryption; the others check their input with zod and nothing else. Concurrent calls are batched where
 * the client does so by itself (Kontract's, tRPC's batch link).
 *
 * @module
 */
import { createTRPCClient, httpBatchLink } from "@trpc/client";
import { hc } from "hono/client";
import { join } from "node:path";
import postgres from "postgres";
import { parseSecrets } from "../_internal/keys.ts";
import { openAppFolder } from "../cli/dev/app_folder.ts";
import { buildApp } from "../cli/dev/build_app.ts";
import { loadSecret } from "../cli/dev/secret.ts";
import { freePort, startEmbeddedPostgres } from "../cli/embedded_postgres.ts";
import { startTestApp } from "../cli/test_app.ts";
import { makeApp } from "../compiler/testing/app.ts";
import { APP } from "./peers/app.ts";
import type { App as HonoApp } from "./peers/hono_server.ts";
import { type Peer, PLAIN_TABLES, ROWS } from "./peers/store.ts";
import type { App as TrpcApp } from "./peers/trpc_server.ts";
import { compareRates, type Contender, printResults } from "./rounds.ts";

const option = (name: string, missing: number): number =>
  Number(Deno.args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? missing);
const rounds = option("rounds", 7);
const turn = option("turn", 400);

/** What a call does, by title. */
const WORKLOADS: Readonly<Record<string, (peer: Peer) => Promise<unknown>>> = {
  "nothing but the call": (peer) => peer.noop(42, "hello"),
  "read a row": (peer) => peer.getUser(someRow()),
  "write a row": (peer) => peer.createUser("New User", "new@example.com"),
  "move between two rows, serializable": (peer) => {
    const from = someRow();
    return peer.transfer(from, someOther(from), 1);
  },
};

function someRow(): string {
  return String(1 + Math.floor(Math.random() * ROWS));
}

function someOther(row: string): string {
  return String(1 + (Number(row) + Math.floor(Math.random() * (ROWS - 1))) % ROWS);
}

/** Starts `peers/<file>` over a database of its own; resolves to its address when it listens. */
async function startPeer(
  file: string,
  adminUrl: string,
  running: AsyncDisposableStack,
): Promise<string> {
  const name = file.replace(/\W/g, "_");
  const admin = postgres(adminUrl, { max: 1, onnotice: () => {} });
  await admin.unsafe(`create database ${name}`);
  await admin.end();
  const database = new URL(`/${name}`, adminUrl).href;
  const sql = postgres(database, { max: 1 });
  for (const statement of PLAIN_TABLES) await sql.unsafe(statement);
  await sql.end();
  const port = freePort();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL(`peers/${file}`, import.meta.url).href],
    env: { DATABASE: database, PORT: String(port) },
    stdout: "piped",
  }).spawn();
  running.defer(async () => {
    child.kill("SIGTERM");
    await child.status;
  });
  await child.stdout.getReader().read();
  return `http://127.0.0.1:${port}`;
}

function honoPeer(url: string): Peer {
  const client = hc<HonoApp>(url);
  return {
    name: "Hono + postgres.js",
    noop: async (a, b) => await (await client.noop.$post({ json: { a, b } })).json(),
    getUser: async (id) => await (await client.getUser.$post({ json: { id } })).json(),
    createUser: async (name, email) =>
      await (await client.createUser.$post({ json: { name, email } })).json(),
    transfer: async (from, to, amount) =>
      await (await client.transfer.$post({ json: { from, to, amount } })).json(),
    close: () => Promise.resolve(),
  };
}

function trpcPeer(url: string): Peer {
  const client = createTRPCClient<TrpcApp>({ links: [httpBatchLink({ url })] });
  return {
    name: "tRPC + Drizzle",
    noop: (a, b) => client.noop.query({ a, b }),
    getUser: (id) => client.getUser.query({ id }),
    createUser: (name, email) => client.createUser.mutate({ name, email }),
    transfer: (from, to, amount) => client.transfer.mutate({ from, to, amount }),
    close: () => Promise.resolve(),
  };
}

/** Kontract's generated client; `seed` is the app's own function. */
interface Generated extends Omit<Peer, "name" | "close"> {
  seed(first: number, count: number): Promise<void>;
  readonly client: {
    configure(options: { url: string }): void;
    close(): void;
  };
}

/** Builds, starts and fills the app. */
async function kontractPeer(adminUrl: string, running: AsyncDisposableStack): Promise<Peer> {
  const app = running.use(await makeApp(APP, "peers"));
  const folder = await openAppFolder(app.root);
  await buildApp(folder, parseSecrets(await loadSecret(folder)), ["deno"]);
  Deno.env.set("DATABASE_ADMIN_URL", adminUrl);
  const server = running.use(await startTestApp({ folder: app.root }));
  const generated = await import(`file://${join(app.root, "dist/client/client.js")}`) as Generated;
  generated.client.configure({ url: server.url });
  for (let first = 1; first <= ROWS; first += 500) await generated.seed(first, 500);
  const admin = postgres(server.databaseUrl, { max: 1, onnotice: () => {} });
  await admin`vacuum analyze`;
  await admin.end();
  return {
    ...generated,
    name: "Kontract, sealed, HTTP",
    close: () => Promise.resolve(generated.client.close()),
  };
}

async function main(): Promise<void> {
  await using running = new AsyncDisposableStack();
  const database = await startEmbeddedPostgres({ durable: true });
  running.defer(() => database.stop());
  const peers: Peer[] = [
    honoPeer(await startPeer("hono_server.ts", database.url, running)),
    trpcPeer(await startPeer("trpc_server.ts", database.url, running)),
    await kontractPeer(database.url, running),
  ];
  for (const [title, work] of Object.entries(WORKLOADS)) {
    for (const clients of [1, 32]) {
      const contenders = peers.map((peer): Contender => ({
        name: peer.name,
        work: () => work(peer),
      }));
      printResults(
        `${title}, ${clients} in flight`,
        await compareRates(contenders, { clients, rounds, turn }),
      );
    }
  }
  for (const peer of peers) await peer.close();
}

await main();
