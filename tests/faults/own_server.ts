/**
 * A PostgreSQL server of a test's own, which may be killed and started again under the same URL.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import postgres from "postgres";
import type { TableDef } from "../../_internal/manifest.ts";
import {
  type EmbeddedPostgres,
  freePort,
  startEmbeddedPostgres,
} from "../../cli/embedded_postgres.ts";
import { serverUser } from "../../cli/postgres_cluster.ts";
import { DEFAULT_GATEWAY_ROLE, gatewayUrl, migrateUp } from "../../storage/migrate/mod.ts";
import type { LoadedDatabase } from "../isolation/load.ts";
import { databaseToken } from "../postgres.ts";
import { Replica } from "./replica.ts";

/** A server with one migrated database. */
export class OwnServer implements LoadedDatabase {
  readonly gatewayRole: string = DEFAULT_GATEWAY_ROLE;
  readonly gatewayUrl: string;
  readonly token: LoadedDatabase["token"];
  readonly #folder: string;
  #server: EmbeddedPostgres;
  #admin: postgres.Sql;
  /** The process that writes the log on behind all others, where it is held. */
  #heldWriter: number | null = null;

  private constructor(
    folder: string,
    server: EmbeddedPostgres,
    secret: Uint8Array,
    password: string,
  ) {
    this.#folder = folder;
    this.#server = server;
    this.#admin = postgres(server.url, { max: 1, onnotice: () => {} });
    this.gatewayUrl = gatewayUrl(server.url, this.gatewayRole, password);
    this.token = (claims = {}) => databaseToken(secret, claims);
  }

  /** Starts a server whose commits are on disk when they return, with these tables. */
  static async start(tables: readonly TableDef[]): Promise<OwnServer> {
    const folder = await Deno.makeTempDir({ prefix: "kontract_fault_" });
    const user = serverUser();
    if (user !== null) await Deno.chown(folder, user.uid, user.gid);
    const server = await startEmbeddedPostgres({
      dataDir: join(folder, "data"),
      port: freePort(),
      durable: true,
    });
    const secret = new Uint8Array(randomBytes(32));
    const gatewayPassword = randomBytes(12).toString("hex");
    await migrateUp({ adminUrl: server.url, tables, secrets: [secret], gatewayPassword });
    return new OwnServer(folder, server, secret, gatewayPassword);
  }

  /** Superuser's connection string. */
  get adminUrl(): string {
    return this.#server.url;
  }

  /** A connection as superuser that the caller ends. */
  connect(): postgres.Sql {
    return postgres(this.#server.url, { max: 1, onnotice: () => {} });
  }

  /** A client as superuser; another one after a crash. */
  get admin(): postgres.Sql {
    return this.#admin;
  }

  /** Kills the postmaster and everything under it, as a power cut would, and starts it again. */
  async crash(): Promise<void> {
    Deno.kill(this.#server.pid, "SIGKILL");
    this.#releaseWriter("SIGKILL");
    await this.#server.stop();
    await this.#admin.end({ timeout: 0 });
    this.#server = await startEmbeddedPostgres({
      dataDir: join(this.#folder, "data"),
      port: this.#server.port,
      durable: true,
    });
    this.#admin = postgres(this.#server.url, { max: 1, onnotice: () => {} });
  }

  /**
   * Gives out transaction ids that a {@link crash} forgets. The log of transactions that were rolled back is written
   * by one process some time later: it is held until then, and only a commit takes the log of those before along.
   * Windows cannot hold a process, there that process may be faster.
   */
  async loseIds(count: number): Promise<void> {
    if (this.#heldWriter === null && Deno.build.os !== "windows") {
      const [writer] = await this.#admin`
        select pid from pg_stat_activity where backend_type = 'walwriter'`;
      this.#heldWriter = Number(writer!.pid);
      Deno.kill(this.#heldWriter, "SIGSTOP");
    }
    await this.useIds(count);
  }

  /** Gives out transaction ids. */
  async useIds(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await this.#admin.unsafe("begin; select pg_current_xact_id(); rollback");
    }
  }

  #releaseWriter(signal: "SIGCONT" | "SIGKILL"): void {
    if (this.#heldWriter !== null) Deno.kill(this.#heldWriter, signal);
    this.#heldWriter = null;
  }

  /** A streaming replica, made while the server rests for a moment. */
  async replicate(): Promise<Replica> {
    await this.#admin.end({ timeout: 1 });
    await this.#server.stop();
    const dataDir = join(this.#folder, "data");
    const { port, url } = this.#server;
    return await Replica.of(dataDir, new URL(url), async () => {
      this.#server = await startEmbeddedPostgres({ dataDir, port, durable: true });
      this.#admin = postgres(url, { max: 1, onnotice: () => {} });
    });
  }

  /** Kills one server process of the gateway; PostgreSQL then ends all others and recovers by itself. */
  async crashBackend(): Promise<boolean> {
    const [victim] = await this.#admin`
      select pid from pg_stat_activity where usename = ${this.gatewayRole} limit 1`;
    if (victim === undefined) return false;
    Deno.kill(Number(victim.pid), "SIGKILL");
    return true;
  }

  /** Ends the server and removes its data. */
  async stop(): Promise<void> {
    this.#releaseWriter("SIGCONT");
    await this.#admin.end({ timeout: 1 });
    await this.#server.stop();
    await Deno.remove(this.#folder, { recursive: true });
  }
}
