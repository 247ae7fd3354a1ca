/**
 * Which database an app uses on this machine: the one of the environment, or the embedded one.
 *
 * `DATABASE_ADMIN_URL` is for migrations only and never reaches the app; `DATABASE_URL` is the gateway's.
 * Where only the admin's is known (the embedded server), the gateway's role gets a password made on this
 * machine, kept in `.kontract/gateway_password`.
 *
 * @module
 */
import { join } from "node:path";
import postgres from "postgres";
import { KontractError } from "../../_internal/errors.ts";
import { databaseOption } from "../../storage/database_name.ts";
import { DEFAULT_GATEWAY_ROLE, gatewayUrl, type Hardening } from "../../storage/migrate/mod.ts";
import { startEmbeddedPostgres } from "../embedded_postgres.ts";
import type { AppFolder } from "./app_folder.ts";
import { type DevInfo, readDevInfo } from "./dev_file.ts";
import { keptText } from "./kept_text.ts";
import { newSecret } from "./secret.ts";

/** A database, ready to be migrated. */
export interface AppDatabase {
  /** Null where the environment gives only the gateway's URL: nothing can be migrated then. */
  readonly adminUrl: string | null;
  readonly url: string;
  /** What a migration must know of the gateway's role. */
  readonly gateway: { readonly role: string; readonly password?: string };
  /** How far a migration may take rights from everyone: all the way where the server is ours alone. */
  readonly hardening: Hardening;
  /** Resolves when a server of ours has ended; never for somebody else's. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** A server that is not ours to watch. */
const FOREIGN = {
  hardening: "auto" as const,
  ended: new Promise<void>(() => {}),
  stop: (): Promise<void> => Promise.resolve(),
};

/**
 * Opens the environment's database, that of a running `start` or `dev`, or starts the embedded one.
 *
 * @throws {KontractError} `CONFIG`, `DATABASE_UNAVAILABLE`
 */
export async function openDatabase(app: AppFolder): Promise<AppDatabase> {
  const given = environmentDatabase();
  const admin = Deno.env.get("DATABASE_ADMIN_URL") ?? "";
  if (admin !== "") {
    await requireAnswer(checkedUrl(admin, "DATABASE_ADMIN_URL"), "DATABASE_ADMIN_URL");
  } else if (given !== null) await requireAnswer(given.url, "DATABASE_URL");
  if (given !== null) return given;
  if (admin !== "") {
    return withGateway(admin, await ownRole(app, admin), await gatewayPassword(app), FOREIGN);
  }
  const running = await readDevInfo(app.devFile);
  if (running !== null) return ofRunning(running);
  const password = await gatewayPassword(app);
  const server = await startEmbeddedPostgres({ dataDir: app.data, durable: true });
  return {
    ...withGateway(server.url, DEFAULT_GATEWAY_ROLE, password, server),
    hardening: "database",
  };
}

function ofRunning({ databaseUrl, databaseAdminUrl }: DevInfo): AppDatabase {
  const { username, password } = new URL(databaseUrl);
  const [role, secret] = [decodeURIComponent(username), decodeURIComponent(password)];
  return {
    adminUrl: databaseAdminUrl === "" ? null : databaseAdminUrl,
    url: databaseUrl,
    gateway: { role, password: secret },
    ...FOREIGN,
  };
}

/** Roles belong to a whole cluster, where other apps and databases have theirs: one for each of them. */
async function ownRole(app: AppFolder, adminUrl: string): Promise<string> {
  const { host, pathname } = new URL(checkedUrl(adminUrl, "DATABASE_ADMIN_URL"));
  const bytes = new TextEncoder().encode([app.root, host, pathname].join("\n"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `${DEFAULT_GATEWAY_ROLE}_${digest.toHex().slice(0, 12)}`;
}

function checkedUrl(url: string, variable: string): string {
  if (/^postgres(ql)?:/.test(url) && URL.canParse(url)) return url;
  throw new KontractError(
    "CONFIG",
    `${variable} is not a PostgreSQL URL: it must look like postgres://user:password@host:5432/name.`,
  );
}

/** What `DATABASE_URL` says, or null where it is not set. */
export function environmentDatabase(): AppDatabase | null {
  const url = Deno.env.get("DATABASE_URL") ?? "";
  if (url === "") return null;
  const parsed = new URL(checkedUrl(url, "DATABASE_URL"));
  const password = decodeURIComponent(parsed.password);
  const role = decodeURIComponent(parsed.username);
  return {
    adminUrl: Deno.env.get("DATABASE_ADMIN_URL") || null,
    url,
    gateway: {
      role: role === "" ? DEFAULT_GATEWAY_ROLE : role,
      ...(password === "" ? {} : { password }),
    },
    ...FOREIGN,
  };
}

function withGateway(
  adminUrl: string,
  role: string,
  password: string,
  server: { readonly ended: Promise<void>; stop(): Promise<void> },
): AppDatabase {
  return {
    adminUrl,
    url: gatewayUrl(adminUrl, role, password),
    gateway: { role, password },
    hardening: "auto",
    ended: server.ended,
    stop: () => server.stop(),
  };
}

/** An empty file counts as none: the role gets the new password with the next migration. */
async function gatewayPassword(app: AppFolder): Promise<string> {
  const path = join(app.own, "gateway_password");
  await Deno.mkdir(app.own, { recursive: true });
  const kept = await keptText(path, newSecret);
  if (kept !== "") return kept;
  await Deno.remove(path);
  return await keptText(path, newSecret);
}

/**
 * Asks a server that is not ours for a sign of life, so that a wrong address is told by its name.
 *
 * @throws {KontractError} `DATABASE_UNAVAILABLE`
 */
async function requireAnswer(url: string, variable: string): Promise<void> {
  const sql = postgres(url, {
    ...databaseOption(url),
    max: 1,
    prepare: false,
    fetch_types: false,
    onnotice: () => {},
  });
  try {
    await sql`select 1`;
  } catch (cause) {
    const { host } = new URL(url);
    throw new KontractError(
      "DATABASE_UNAVAILABLE",
      `The PostgreSQL of ${variable}, at ${host}, cannot be used: ${
        cause instanceof Error && cause.message !== "" ? cause.message : "it does not answer"
      }.`,
      { cause },
    );
  } finally {
    await sql.end({ timeout: 2 });
  }
}
