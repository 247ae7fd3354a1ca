/**
 * An example app as a user runs it: `kontract start` in a process of its own, on a free port, on a
 * database that exists for this test only.
 *
 * @module
 */
import postgres from "postgres";
import { startEmbeddedPostgres } from "../../cli/embedded_postgres.ts";
import { spawnKept } from "../../cli/process/keeper.ts";

/** A running app. */
export interface RunningApp {
  /** Where it answers. */
  readonly url: string;
  /** Ends it and removes its database. */
  stop(): Promise<void>;
}

/** What to start. */
export interface RunningAppOptions {
  /** Folder below the repository's root. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Further arguments of `start`. */
  readonly args?: readonly string[];
}

const START_TIMEOUT_MS = 120_000;

/** Starts an app and waits until it answers; its output is shown only where it fails. */
export async function startApp(options: RunningAppOptions): Promise<RunningApp> {
  const root = new URL("../../", import.meta.url).pathname;
  const database = await ownDatabase();
  const child = spawnKept({
    command: Deno.execPath(),
    args: [
      "run",
      "-A",
      "--no-check",
      "cli.ts",
      "start",
      options.folder,
      "--port",
      "0",
      ...options.args ?? [],
    ],
    cwd: root,
    signal: "TERM",
    env: { ...database.env, NO_COLOR: "1", ...options.env },
  });
  const output: string[] = [];
  const stop = async (): Promise<void> => {
    await child.stop();
    await Promise.allSettled(reading);
    await database.drop();
  };
  const found = Promise.withResolvers<string>();
  const reading = [child.stdout, child.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      output.push(text);
      const url = /http:\/\/(?:127\.0\.0\.1|localhost):[0-9]+/.exec(output.join(""))?.[0];
      if (url !== undefined) found.resolve(url);
    }
  });
  void child.status.then((code) => found.reject(new Error(`'start' ended with code ${code}.`)));
  const timer = setTimeout(
    () => found.reject(new Error(`'start' printed no address in ${START_TIMEOUT_MS / 1000} s.`)),
    START_TIMEOUT_MS,
  );
  try {
    return { url: await found.promise, stop };
  } catch (error) {
    await stop();
    throw new Error(`${error instanceof Error ? error.message : error}\n${output.join("")}`);
  } finally {
    clearTimeout(timer);
  }
}

interface OwnDatabase {
  readonly env: Readonly<Record<string, string>>;
  drop(): Promise<void>;
}

/** A new database on the run's server, or a server of its own where the run has none. */
async function ownDatabase(): Promise<OwnDatabase> {
  const admin = Deno.env.get("DATABASE_ADMIN_URL") ?? "";
  if (admin === "") {
    const server = await startEmbeddedPostgres();
    return { env: environment(server.url), drop: () => server.stop() };
  }
  const name = `browser_${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  const execute = async (statement: string): Promise<void> => {
    const sql = postgres(admin, { max: 1, onnotice: () => undefined });
    try {
      await sql.unsafe(statement);
    } finally {
      await sql.end();
    }
  };
  await execute(`create database ${name}`);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return {
    env: environment(url.href),
    drop: () => execute(`drop database if exists ${name} with (force)`),
  };
}

/** Only the administrator's address: the runtime role's own is made by `start`. */
function environment(adminUrl: string): Readonly<Record<string, string>> {
  return { DATABASE_ADMIN_URL: adminUrl, DATABASE_URL: "" };
}
