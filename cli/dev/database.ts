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
import { KontractError } from "../../_internal/errors.ts";
import { DEFAULT_GATEWAY_ROLE, gatewayUrl } from "../../storage/migrate/mod.ts";
import { startEmbeddedPostgres } from "../embedded_postgres.ts";
import type { AppFolder } from "./app_folder.ts";
import { newSecret } from "./secret.ts";

/** A database, ready to be migrated. */
export interface AppDatabase {
  /** Null where the environment gives only the gateway's URL: nothing can be migrated then. */
  readonly adminUrl: string | null;
  readonly url: string;
  /** What a migration must know of the gateway's role. */
  readonly gateway: { readonly role: string; readonly password?: string };
  /** Resolves when a server of ours has ended; never for somebody else's. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** A server that is not ours to watch. */
const FOREIGN = {
  ended: new Promise<void>(() => {}),
  stop: (): Promise<void> => Promise.resolve(),
};

/** Opens the environment's database, or starts the embedded one. */
export async function openDatabase(app: AppFolder): Promise<AppDatabase> {
  const given = environmentDatabase();
  if (given !== null) return given;
  const admin = Deno.env.get("DATABASE_ADMIN_URL") ?? "";
  const password = await gatewayPassword(app);
  if (admin !== "") {
    return withGateway(admin, await ownRole(app, admin), password, FOREIGN);
  }
  const server = await startEmbeddedPostgres({ dataDir: app.data, durable: true });
  return withGateway(server.url, DEFAULT_GATEWAY_ROLE, password, server);
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
    ended: server.ended,
    stop: () => server.stop(),
  };
}

async function gatewayPassword(app: AppFolder): Promise<string> {
  const path = join(app.own, "gateway_password");
  await Deno.mkdir(app.own, { recursive: true });
  try {
    await Deno.writeTextFile(path, newSecret(), { createNew: true, mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  return (await Deno.readTextFile(path)).trim();
}
