/**
 * From a commit to the last of its followers: `deno task bench followers [count] [deno|workerd]`, 500 on both hosts
 * where missing. Ten followers share a WebSocket; they follow a table, or a function's result.
 * Statements and CPU of the server are told beside the time, of which the clients take a part.
 *
 * @module
 */
import { AUTH_TABLES } from "../auth/tables.ts";
import type { SessionTokens } from "../auth/contract.ts";
import { freePort } from "../cli/embedded_postgres.ts";
import { stopBundler } from "../compiler/bundler_process.ts";
import { decodeValue, encodeValue } from "../protocol/codec/mod.ts";
import { loadProvider } from "../protocol/crypto/select.ts";
import { SYSTEM_OPS } from "../protocol/rpc.ts";
import { deriveServerKeys } from "../protocol/server_keys.ts";
import { createSocketTransport } from "../protocol/socket_transport.ts";
import type { Transport } from "../protocol/transport.ts";
import { NOTES, NOTES_APP } from "../runtime/testing/notes_app.ts";
import { type TestDatabase, testDatabase } from "../tests/postgres.ts";
import { startWorkerd } from "../tests/workerd.ts";
import { median } from "./rounds.ts";

const EACH = 10;
const SESSIONS = 40;
const WRITES = 15;
const count = Number(Deno.args.find((one) => /^\d+$/.test(one)) ?? 500);
const named = Deno.args.filter((one) => one === "deno" || one === "workerd");

/** What is followed, by title. */
const FORMS: Readonly<Record<string, unknown>> = {
  "a table": { source: "notes" },
  "a function's result": {
    call: NOTES_APP.routes.find(({ name }) => name === "read")!.op,
    arguments: encodeValue(["n"]),
  },
};

interface Server {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

function settingsOf({ gatewayUrl, secrets }: TestDatabase): Record<string, string> {
  const [secret] = secrets;
  return {
    DATABASE_URL: gatewayUrl,
    KONTRACT_SECRET: secret!.toBase64({ alphabet: "base64url" }),
  };
}

async function startDeno(database: TestDatabase): Promise<Server> {
  const port = freePort();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("peers/notes_server.ts", import.meta.url).href],
    env: { ...settingsOf(database), PORT: String(port) },
    stdout: "piped",
  }).spawn();
  await child.stdout.getReader().read();
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    async stop(): Promise<void> {
      child.kill("SIGTERM");
      await child.status;
    },
  };
}

async function startWorker(database: TestDatabase): Promise<Server> {
  const state = await Deno.makeTempDir();
  const entry = "runtime/testing/notes_worker.ts";
  const { url, stop } = await startWorkerd({ entry, state, bindings: settingsOf(database) });
  return {
    url,
    pid: await childOf(Deno.pid, "workerd"),
    async stop(): Promise<void> {
      await stop();
      await stopBundler();
      await Deno.remove(state, { recursive: true });
    },
  };
}

async function childOf(parent: number, name: string): Promise<number> {
  for await (const { name: pid } of Deno.readDir("/proc")) {
    const text = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
    const [, command, ppid] = /\((.*)\) . (\d+)/.exec(text) ?? [];
    if (command === name && Number(ppid) === parent) return Number(pid);
  }
  throw new Error(`There is no process '${name}'.`);
}

/** Milliseconds of CPU that a process has used. */
async function cpuOf(pid: number): Promise<number> {
  const text = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function statements({ admin }: TestDatabase): Promise<number> {
  const [row] = await admin`select sum(calls)::int as n from pg_stat_user_functions
    where schemaname = 'kontract'`;
  return row!.n;
}

/** As many as one address is given at once. */
async function visitors({ url }: Server): Promise<readonly SessionTokens[]> {
  const visitor = async (): Promise<SessionTokens> =>
    await (await fetch(`${url}/auth/anonymous`, { method: "POST" })).json();
  return await Promise.all(Array.from({ length: SESSIONS }, visitor));
}

async function measure(
  title: string,
  request: unknown,
  server: Server,
  sessions: readonly SessionTokens[],
  database: TestDatabase,
): Promise<void> {
  const write = async (text: string): Promise<void> => {
    const headers = { authorization: `Bearer ${sessions[0]!.access}` };
    const init = { method: "POST", body: JSON.stringify(["n", text]), headers };
    await (await fetch(`${server.url}/rpc/add`, init)).text();
  };
  await write("0");
  const { pins } = await deriveServerKeys(database.secrets, await loadProvider());
  const ended = new AbortController();
  const transports: Transport[] = [];
  let heard = 0;
  let all = Promise.withResolvers<void>();
  const told = (): void => void (++heard === count && all.resolve());
  const next = async (): Promise<void> => {
    await all.promise;
    heard = 0;
    all = Promise.withResolvers();
  };
  const read = async (transport: Transport, token: string): Promise<void> => {
    const options = { token, mutation: false, signal: ended.signal };
    const stream = transport.stream(SYSTEM_OPS.SUBSCRIBE, encodeValue(request), options);
    for await (const value of stream) if (decodeValue(value) !== null) told();
  };
  for (let opened = 0; opened < count; opened += EACH) {
    const { access } = sessions[opened / EACH % SESSIONS]!;
    const transport = createSocketTransport({ url: server.url, pins, app: NOTES_APP.app });
    transports.push(transport);
    for (let i = opened; i < Math.min(opened + EACH, count); i++) {
      read(transport, access).catch((error) => ended.signal.aborted || all.reject(error));
    }
  }
  await next();
  const times: number[] = [];
  let [cpu, before] = [0, 0];
  for (let i = 1; i <= WRITES; i++) {
    if (i === 6) [cpu, before] = [await cpuOf(server.pid), await statements(database)];
    const began = performance.now();
    await write(`${i}`);
    await next();
    times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  const measured = WRITES - 5;
  const each = (of: number): string => (of / measured).toFixed(0);
  await new Promise((resolve) => setTimeout(resolve, 1000)); // statistics of the database come late
  console.log(
    `  ${title.padEnd(20)} first ${times[0]!.toFixed(0)} ms, then ${
      median(times.slice(5)).toFixed(0)
    } ms,` +
      ` ${each(await cpuOf(server.pid) - cpu)} ms of CPU, ${
        each(await statements(database) - before)
      } calls of storage`,
  );
  ended.abort();
  for (const transport of transports) transport.close();
}

for (const [host, start] of [["deno", startDeno], ["workerd", startWorker]] as const) {
  if (named.length > 0 && !named.includes(host)) continue;
  const database = await testDatabase([...AUTH_TABLES, NOTES]);
  await database.admin.unsafe(`alter system set track_functions = 'pl'`);
  await database.admin`select pg_reload_conf()`;
  const server = await start(database);
  const sessions = await visitors(server);
  console.log(`\n${count} followers on ${host}, from a commit to the last of them`);
  try {
    for (const [title, request] of Object.entries(FORMS)) {
      await measure(title, request, server, sessions, database);
    }
  } finally {
    await server.stop();
    await database.close();
  }
}
Deno.exit(0);
