/**
 * A PostgreSQL 18 server for development and tests, in the app's own folder.
 *
 * Contract:
 * - The data folder is made whole or not at all: `initdb` works in a folder beside it, which is then
 *   renamed. An existing folder is used as it is.
 * - Only loopback, no Unix socket, and never "trust": other people may be on this machine. The
 *   superuser's password is random and lives in the data folder, readable by the server's user only.
 * - PostgreSQL refuses to run as root, so there the server runs as another user: who owns the data, or
 *   `nobody`, who is given what root made or copied. Where that user could not reach a new folder (a clone
 *   in root's home) the data live in the machine folder with a link in their place.
 * - The server ends when {@link EmbeddedPostgres.stop} is called or this process is gone, however it
 *   went (see `process/keeper.ts`). One that was left behind all the same is taken over; where it was
 *   killed, its other processes are waited for, since PostgreSQL does not start beside them.
 * - `durable` is what tells data that must survive a power cut (`start`) from data of a test run.
 *
 * @module
 */
import { join } from "node:path";
import { KontractError } from "../_internal/errors.ts";
import { postgresHome } from "./postgres_binaries.ts";
import { type ClusterFolder, openCluster, serverUser } from "./postgres_cluster.ts";
import { identifyProcess } from "./process/identity.ts";
import { type KeptProcess, spawnKept } from "./process/keeper.ts";

/** How to start. */
export interface EmbeddedPostgresOptions {
  /** Where the data live. Missing: a temporary folder that {@link EmbeddedPostgres.stop} removes. */
  readonly dataDir?: string;
  /** Port on 127.0.0.1; 0 or missing picks a free one. */
  readonly port?: number;
  /** True: commits are on disk when they return (`fsync`). False is for tests. */
  readonly durable?: boolean;
  /** Gets each line of the server's log. */
  readonly log?: (line: string) => void;
}

/** A running server. */
export interface EmbeddedPostgres {
  /** Superuser's URL of database `postgres`. It is a secret. */
  readonly url: string;
  readonly port: number;
  /** Process id of the postmaster. */
  readonly pid: number;
  /** Resolves when the server has ended, whoever ended it. */
  readonly ended: Promise<void>;
  /** Ends the server in good order and waits for it; a temporary data folder is removed. */
  stop(): Promise<void>;
}

/** Times a free port was taken by somebody else between our look and PostgreSQL's. */
const PORT_ATTEMPTS = 5;
const START_TIMEOUT_MS = 60_000;
/** What the processes of a server that was killed have to end in. */
const ENDING_MS = 15_000;

/**
 * Starts the server and returns when it accepts connections.
 *
 * @throws {KontractError} `UNSUPPORTED_PLATFORM` where no binaries exist, `PORT_IN_USE` for a taken
 *   `port`, `CONFIG` where another running Kontract uses the same data folder, and
 *   `DATABASE_UNAVAILABLE` where the server does not come up.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const home = await postgresHome();
  const user = serverUser();
  const temporary = options.dataDir === undefined;
  const parent = temporary ? await Deno.makeTempDir({ prefix: "kontract_pg_" }) : null;
  if (parent !== null && user !== null) await Deno.chown(parent, user.uid, user.gid);
  const removeTemporary = async (): Promise<void> => {
    if (parent !== null) await Deno.remove(parent, { recursive: true }).catch(() => {});
  };
  try {
    const cluster = await openCluster(home, options.dataDir ?? join(parent!, "data"));
    const server = await startServer(home, cluster, options);
    const stop = async (): Promise<void> => {
      await server.process.stop();
      await removeTemporary();
    };
    const url = `postgres://postgres:${cluster.password}@127.0.0.1:${server.port}/postgres`;
    const ended = server.process.status.then(() => {});
    return { url, port: server.port, pid: server.pid, ended, stop };
  } catch (error) {
    await removeTemporary();
    throw error;
  }
}

interface Server {
  readonly process: KeptProcess;
  readonly port: number;
  readonly pid: number;
}

async function startServer(
  home: string,
  cluster: ClusterFolder,
  options: EmbeddedPostgresOptions,
): Promise<Server> {
  const wanted = options.port ?? 0;
  const until = Date.now() + ENDING_MS;
  for (let attempt = 1;;) {
    const port = wanted === 0 ? freePort() : wanted;
    const process = spawnKept({
      command: join(home, "bin", Deno.build.os === "windows" ? "postgres.exe" : "postgres"),
      args: serverArguments(cluster.path, port, options.durable ?? false),
      signal: "INT",
      cwd: cluster.path,
      clearEnv: Deno.build.os !== "windows",
      env: { LC_ALL: "C", PATH: "/usr/local/bin:/usr/bin:/bin" },
      ...(cluster.user ?? {}),
    });
    const outcome = await ready(process, options.log);
    if (outcome.ready) {
      const pid = Number((await cluster.readPidFile())?.pid);
      const owner = await identifyProcess(Deno.pid);
      await cluster.writeOwner({ pid: Deno.pid, started: owner?.started ?? "" });
      return { process, port, pid };
    }
    await process.stop();
    const ending = /shared memory block .* is still in use/.test(outcome.output);
    if (ending && Date.now() < until) {
      await new Promise((done) => setTimeout(done, 50));
      continue;
    }
    const taken = /could not bind|Address already in use/.test(outcome.output);
    if (taken && wanted === 0 && attempt++ < PORT_ATTEMPTS) continue;
    if (taken) {
      throw new KontractError(
        "PORT_IN_USE",
        `Port ${port} for PostgreSQL is taken. Stop what uses it or choose another one.`,
      );
    }
    throw new KontractError(
      "DATABASE_UNAVAILABLE",
      `The embedded PostgreSQL did not start: ${lastLine(outcome.output)}`,
      { cause: outcome.output },
    );
  }
}

function serverArguments(dataDir: string, port: number, durable: boolean): string[] {
  const settings: Record<string, string> = {
    unix_socket_directories: "",
    max_connections: "200",
    shared_buffers: "64MB",
    // Worker processes for I/O pay on big machines only; each is one more process here.
    io_method: "sync",
    timezone: "UTC",
    log_timezone: "UTC",
    ...(durable ? {} : { fsync: "off", full_page_writes: "off" }),
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return ["-D", dataDir, "-h", "127.0.0.1", "-p", `${port}`, ...flags];
}

type Outcome = { readonly ready: true } | { readonly ready: false; readonly output: string };

/** Reads the log until the server is ready or gone, and keeps reading it afterwards. */
function ready(process: KeptProcess, log?: (line: string) => void): Promise<Outcome> {
  return new Promise((resolve) => {
    let output = "";
    const timer = setTimeout(() => void process.stop(), START_TIMEOUT_MS);
    const settle = (outcome: Outcome): void => {
      clearTimeout(timer);
      output = "";
      resolve(outcome);
    };
    let settled = false;
    const take = (line: string): void => {
      log?.(line);
      if (settled) return;
      output += `${line}\n`;
      if (!/database system is ready to accept (?:read-only )?connections/.test(line)) return;
      settled = true;
      settle({ ready: true });
    };
    void process.stdout.pipeTo(new WritableStream()).catch(() => {});
    void eachLine(process.stderr, take).then(() => {
      if (!settled) settle({ ready: false, output });
    });
  });
}

async function eachLine(
  stream: ReadableStream<Uint8Array>,
  take: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      lines.forEach(take);
    }
  } catch {
    // A broken pipe is an end like any other.
  }
  if (rest !== "") take(rest);
}

/** A port that was free a moment ago. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

function lastLine(output: string): string {
  return output.trim().split("\n").at(-1) ?? "it said nothing";
}
