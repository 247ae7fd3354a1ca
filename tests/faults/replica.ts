/**
 * A streaming replica of a test's own server: a copy of its data folder that follows its log.
 *
 * @module
 */
import { join } from "node:path";
import postgres from "postgres";
import {
  type EmbeddedPostgres,
  freePort,
  startEmbeddedPostgres,
} from "../../cli/embedded_postgres.ts";
import { serverUser } from "../../cli/postgres_cluster.ts";
import { until } from "../until.ts";

/** The replica. */
export class Replica {
  /** A client as superuser. */
  readonly admin: postgres.Sql;
  readonly #server: EmbeddedPostgres;
  readonly #folder: string;

  private constructor(server: EmbeddedPostgres, folder: string) {
    this.#server = server;
    this.#folder = folder;
    this.admin = postgres(server.url, { max: 1, onnotice: () => {} });
  }

  /** Copies the folder of a server that is stopped, and starts the copy when `resume` has started it again. */
  static async of(dataDir: string, primary: URL, resume: () => Promise<void>): Promise<Replica> {
    const folder = await Deno.makeTempDir({ prefix: "kontract_replica_" });
    const data = join(folder, "data");
    await copy(dataDir, data);
    // What the copy has from the running of the original.
    for (const name of ["postmaster.pid", "kontract_owner"]) {
      await Deno.remove(join(data, name)).catch(() => {});
    }
    const { hostname, port, username, password } = primary;
    await Deno.writeTextFile(
      join(data, "postgresql.auto.conf"),
      `primary_conninfo = 'host=${hostname} port=${port} user=${username} password=${password}'\n`,
    );
    await Deno.writeTextFile(join(data, "standby.signal"), "");
    await own(folder);
    await resume();
    const server = await startEmbeddedPostgres({ dataDir: data, port: freePort(), durable: true });
    return new Replica(server, folder);
  }

  /** The gateway's connection string, for this server. */
  gatewayUrl(primary: string): string {
    const url = new URL(primary);
    url.port = String(this.#server.port);
    return url.href;
  }

  /** Resolves when everything that `primary` has written has been replayed here. */
  async caughtUp(primary: postgres.Sql): Promise<void> {
    const [row] = await primary`select pg_current_wal_flush_lsn()::text as lsn`;
    await until(async () => {
      const [there] = await this.admin`
        select pg_last_wal_replay_lsn() >= ${String(row!.lsn)}::pg_lsn as yes`;
      return there!.yes === true;
    });
  }

  /** Makes it a primary. */
  async promote(): Promise<void> {
    const [row] = await this.admin`select pg_promote(true, 60) as done`;
    if (row!.done !== true) throw new Error("the replica was not promoted");
  }

  /** Ends it and removes its data. */
  async stop(): Promise<void> {
    await this.admin.end({ timeout: 1 });
    await this.#server.stop();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { mode: 0o700 });
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory) await copy(source, target);
    else if (entry.isFile) await Deno.copyFile(source, target);
  }
}

/** PostgreSQL reads only what is its user's. */
async function own(path: string): Promise<void> {
  const user = serverUser();
  if (user === null) return;
  await Deno.chown(path, user.uid, user.gid);
  if (!(await Deno.stat(path)).isDirectory) return;
  for await (const entry of Deno.readDir(path)) await own(join(path, entry.name));
}
