/**
 * PostgreSQL for tests: one server per run, one database with its own gateway role per test file.
 *
 * The server is `DATABASE_ADMIN_URL` where set (as `deno task test` does), else an embedded one that
 * lives as long as the first {@link TestDatabase} is open. `KONTRACT_TEST_ALONE=1` says that nobody else uses
 * that server. `KONTRACT_TEST_POOLER` (host:port) leads the
 * gateway's connections, and only those, through a pooler.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHmac, randomBytes } from "node:crypto";
import postgres from "postgres";
import { deriveKey, KEY_LABELS, keyId } from "../_internal/keys.ts";
import type { ExecDef, TableDef } from "../_internal/manifest.ts";
import type { ShapeTable } from "../_internal/shape.ts";
import { startEmbeddedPostgres } from "../cli/embedded_postgres.ts";
import { gatewayUrl, migrateUp } from "../storage/migrate/mod.ts";
import { makeTenant } from "../storage/migrate/tenant_admin.ts";
import { DEFAULT_TENANT } from "../storage/tenant_name.ts";

/** Claims of a database token that a test wants to set. */
export interface TokenClaims {
  readonly owner?: string;
  readonly tenant?: string;
  readonly family?: string;
  readonly system?: boolean;
}

/** A migrated database. */
export interface TestDatabase {
  /** Superuser, this database. */
  readonly adminUrl: string;
  /** The gateway role, this database. */
  readonly gatewayUrl: string;
  readonly gatewayRole: string;
  /** Secrets whose verification keys are installed. */
  readonly secrets: readonly Uint8Array[];
  /** A client as superuser. */
  readonly admin: postgres.Sql;
  /** Where rows of a table are, as statements name it. */
  place(table: string, tenant?: string): Promise<string>;
  /** A fresh, valid database token. */
  token(claims?: TokenClaims): Promise<string>;
  /** Migrates again, to other tables. */
  migrate(
    tables: readonly TableDef[],
    types?: ShapeTable,
    execs?: readonly ExecDef[],
  ): Promise<void>;
  /** Drops database and role. */
  close(): Promise<void>;
}

interface Server {
  readonly url: string;
  users: number;
  stop(): Promise<void>;
}

let server: Promise<Server> | null = null;

async function openServer(): Promise<Server> {
  const given = Deno.env.get("DATABASE_ADMIN_URL");
  if (given !== undefined) return { url: given, users: 0, stop: () => Promise.resolve() };
  const started = await startEmbeddedPostgres({});
  return {
    url: started.url,
    users: 0,
    stop: () => (server = null, started.stop()),
  };
}

/** Snapshots, vacuum and prepared transactions are the whole server's: some tests need one of their own. */
async function openOwnServer(): Promise<Server> {
  const { url, stop } = await startEmbeddedPostgres({});
  return { url, users: 0, stop };
}

/**
 * Makes a database with these tables. On the run's server, which other files use at the same time, or
 * `alone` on one. Close it in the same test file.
 */
export async function testDatabase(
  tables: readonly TableDef[],
  types: ShapeTable = {},
  where: "shared" | "alone" = "shared",
  execs: readonly ExecDef[] = [],
): Promise<TestDatabase> {
  const own = where === "alone" && Deno.env.get("KONTRACT_TEST_ALONE") !== "1";
  const running = await (own ? openOwnServer() : server ??= openServer());
  running.users++;
  const name = `kontract_test_${randomBytes(6).toString("hex")}`;
  const password = randomBytes(12).toString("hex");
  const root = postgres(running.url, { max: 1, onnotice: () => {} });
  await root.unsafe(`create database ${name}`);
  const url = new URL(running.url);
  url.pathname = `/${name}`;
  const secrets = [new Uint8Array(randomBytes(32))];
  const migrate: TestDatabase["migrate"] = async (next, nextTypes = {}, nextExecs = []) => {
    await migrateUp({
      adminUrl: url.href,
      tables: next,
      types: nextTypes,
      execs: nextExecs,
      secrets,
      gatewayRole: name,
      gatewayPassword: password,
    });
  };
  await migrate(tables, types, execs);
  const admin = postgres(url.href, { max: 2, onnotice: () => {} });
  return {
    adminUrl: url.href,
    gatewayUrl: throughPooler(gatewayUrl(url.href, name, password)),
    gatewayRole: name,
    secrets,
    admin,
    async place(table, tenant = DEFAULT_TENANT): Promise<string> {
      const [row] = await admin`
        select ptr from kontract.storage where id = ${table} and owner = ${tenant}`;
      return `kontract_private.${row!.ptr}`;
    },
    token: (claims = {}) => databaseToken(secrets[0]!, claims),
    migrate,
    async close(): Promise<void> {
      await admin.end({ timeout: 2 });
      await root.unsafe(`drop database ${name} with (force)`);
      await root.unsafe(`drop role if exists ${name}`);
      await root.end({ timeout: 2 });
      if (--running.users === 0) await running.stop();
    },
  };
}

/**
 * Tenant that a suite runs in: what `?tenant=` of its address or `KONTRACT_TEST_TENANT` says, so that the same
 * suite can be imported and run for another one; `main` where nothing is said.
 */
export function suiteTenant({ url }: ImportMeta): string {
  return new URL(url).searchParams.get("tenant") ?? Deno.env.get("KONTRACT_TEST_TENANT") ??
    DEFAULT_TENANT;
}

/** The database as one tenant sees it: made where it is missing, and its tokens are the tenant's. */
export async function enterTenant(db: TestDatabase, tenant: string): Promise<TestDatabase> {
  await makeTenant(db.adminUrl, tenant);
  return {
    ...db,
    place: (table, owner = tenant) => db.place(table, owner),
    token: (claims = {}) => db.token({ tenant, ...claims }),
  };
}

function throughPooler(direct: string): string {
  const pooler = Deno.env.get("KONTRACT_TEST_POOLER");
  if (pooler === undefined) return direct;
  const url = new URL(direct);
  url.host = pooler;
  url.searchParams.set("prepare", "false");
  return url.href;
}

/** A database token as auth mints it, made here independently of it. */
export async function databaseToken(
  secret: Uint8Array,
  claims: TokenClaims = {},
  override: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const key = await deriveKey(secret, KEY_LABELS.databaseToken);
  const kid = await keyId(key);
  const now = Date.now() / 1000;
  return signToken(key, `{"alg":"HS256","kid":"${kid}"}`, {
    iss: "kontract",
    aud: "kontract-db",
    sub: claims.owner ?? "alice",
    ten: claims.tenant ?? "main",
    fam: claims.family ?? randomBytes(8).toString("hex"),
    ...(claims.system === true ? { sys: true } : {}),
    jti: randomBytes(16).toString("hex"),
    iat: now,
    exp: Math.floor(now) + 60,
    ...override,
  });
}

/** Signs anything as HS256. */
export function signToken(key: Uint8Array, header: string, claims: unknown): string {
  const part = (text: string): string => Buffer.from(text).toString("base64url");
  const signed = `${part(header)}.${part(JSON.stringify(claims))}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}
