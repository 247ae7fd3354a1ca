/**
 * A built app on plain Deno: `export default createServer(app)` for `deno serve`.
 *
 * Settings come from the environment:
 * - `DATABASE_URL`: connection string of the gateway role. `KONTRACT_DATABASE_POOLED=1` where it leads
 *   through a pooler that keeps no prepared statements.
 * - `KONTRACT_SECRET`: see `kontract keys new`.
 * - `KONTRACT_ORIGINS`: web origins beside the server's own, separated by commas.
 * - `KONTRACT_STATE_DIR`: folder for what must outlive the process (shared state, ticket epochs).
 * - `KONTRACT_PROXY_HOPS`: how many proxies in front are ours; the client's address is then taken
 *   from `X-Forwarded-For`, and the host of a WebSocket from `X-Forwarded-Host`.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import type { Database } from "../../storage/database.ts";
import { postgresDatabase, type PostgresDatabaseOptions } from "../../storage/postgres_database.ts";
import type { AppDefinition } from "../app.ts";
import { askAhead, loadAhead } from "../ask_ahead.ts";
import type { KontractAuth } from "../../auth/service.ts";
import type { TenantAdmin } from "../env_tenants.ts";
import { createGateway, type GatewayOptions, isSocketUpgrade } from "../gateway.ts";
import type { LogSink } from "../log.ts";
import { startMaintenance } from "../maintenance.ts";
import { requestUrl } from "../request_url.ts";
import { parseOrigins } from "../origins.ts";
import { type ServerDefinition, serverOptions } from "../server_options.ts";
import { denoPorts } from "./ports.ts";
import { serveStatic } from "./static_files.ts";
import { hushSignalNotice } from "./signal_notice.ts";
import { addressOf, askedUpgrade } from "./address.ts";
import { upgrade } from "./socket.ts";
import { breakOff } from "./unread_body.ts";

export type { AppDefinition, RouteCode, RouteEntry, RouteInput, RouteModule } from "../app.ts";
export type { GatewayOptions } from "../gateway.ts";
export type { HttpArgument, HttpBinding } from "../../_internal/http_route.ts";
export type { AuthActor, AuthAdmin, ImportedAccount } from "../../auth/admin.ts";
export type { AuditEvent, AuditHook, AuditType } from "../../auth/audit.ts";
export type * from "../../auth/contract.ts";
export type { AuthLimiter, Limit, LimitName, Limits } from "../../auth/limits.ts";
export type { AuthMail, AuthMailer, AuthMailKind } from "../../auth/mail.ts";
export type { AuthLifetimes, AuthOptions } from "../../auth/options.ts";
export type { PasswordPrimitive, PasswordScheme, ScryptCost } from "../../auth/password/mod.ts";
export type { KontractAuth } from "../../auth/service.ts";
export type * from "../../auth/store.ts";
export type { TenantActor, TenantInfo } from "../../storage/tenants.ts";
export type { TenantAdmin } from "../env_tenants.ts";
export type { RayLimits } from "../../protocol/mod.ts";
export type { BodyPace } from "../../protocol/request_body.ts";
export type * from "../../_internal/manifest.ts";
export type * from "../../_internal/shape.ts";
export type { LogSink } from "../log.ts";
export type {
  ServerAuthOptions,
  ServerDefinition,
  ServerEnvironment,
  ServerFactory,
  ServerOptions as DefinedOptions,
} from "../server_options.ts";
export type { OriginList } from "../origins.ts";

/** Settings beside the environment. */
export interface ServerOptions extends GatewayOptions {
  /** The app's own `server.ts`; options beside it win. */
  readonly server?: ServerDefinition;
  /** The environment; `Deno.env` where missing. */
  readonly env?: (name: string) => string | undefined;
  /** Folder with the front end's files; `../public` beside the main module where missing, null for none. */
  readonly public?: URL | string | null;
  /** Where log lines go; the console where missing. */
  readonly logSink?: LogSink;
}

/** A server, as `deno serve` takes it. */
export interface KontractServer {
  /** Answers one request. */
  fetch(request: Request, info?: Deno.ServeHandlerInfo): Promise<Response>;
  /** The work of one minute (garbage collection, sweeps); done by the clock from the first request on. */
  scheduled(): Promise<void>;
  /** Ends database connections and state. */
  close(): Promise<void>;
  /** Administration of accounts, for the host's own code. */
  readonly auth: KontractAuth;
  /** Tenants beside `main`, for the host's own code. */
  readonly tenants: TenantAdmin;
}

/** Milliseconds after which a server that nobody has asked yet loads what the first call will need. */
const WARM_MS = 1000;

/** Names that `secret()` never gives out: they are Kontract's own. */
const OWN_SECRETS: ReadonlySet<string> = new Set([
  "KONTRACT_SECRET",
  "DATABASE_URL",
  "DATABASE_ADMIN_URL",
]);

/**
 * Makes the server of a built app. Connects on the first request; what that needs is loaded soon after the
 * start where no request has come yet.
 *
 * @throws {KontractError} `CONFIG` where a setting is missing or unusable
 */
export function createServer(app: AppDefinition, options: ServerOptions = {}): KontractServer {
  hushSignalNotice();
  const env = options.env ?? ((name: string) => Deno.env.get(name));
  const secrets = parseSecrets(env("KONTRACT_SECRET"));
  const stateDir = env("KONTRACT_STATE_DIR");
  const hops = parseHops(env("KONTRACT_PROXY_HOPS"));
  const secret = (name: string): string | undefined =>
    OWN_SECRETS.has(name) ? undefined : env(name);
  const defined = serverOptions(options.server, secret);
  const origins = options.origins ??
    [...defined.origins ?? [], ...parseOrigins(env("KONTRACT_ORIGINS"))];
  const ports = denoPorts({
    database: takeConnected(databaseOptions(env)) ??
      postgresDatabase({ ...databaseOptions(env), appName: `kontract ${app.app}` }),
    secrets,
    ...(stateDir === undefined || stateDir === "" ? {} : { stateDir }),
    secret,
    ...(options.logSink === undefined ? {} : { logSink: options.logSink }),
  });
  const gateway = createGateway(app, ports, { ...defined, ...options, origins });
  const folder = publicFolder(options.public);
  let timer: { stop(): Promise<void> } | null = null;
  const warming = onceIdle(() => void warmUp());
  const answer = async (request: Request, info?: Deno.ServeHandlerInfo): Promise<Response> => {
    const url = requestUrl(request);
    const accept = request.headers.get("accept");
    if (folder !== null && url !== null && !gateway.handles(url.pathname, accept)) {
      const file = await serveStatic(folder, request);
      if (file !== null) return file;
    }
    return await gateway.fetch(request, { address: addressOf(request, info, hops) });
  };
  return {
    auth: gateway.auth,
    tenants: gateway.tenants,
    scheduled: () => gateway.scheduled(),
    async close(): Promise<void> {
      warming.stop();
      await timer?.stop();
      await ports.close();
    },
    async fetch(request, info): Promise<Response> {
      warming.stop();
      timer ??= startMaintenance(() => gateway.scheduled());
      if (isSocketUpgrade(request)) {
        const address = addressOf(request, info, hops);
        const asked = askedUpgrade(request, hops);
        return await gateway.refuseSocket(asked, { address }) ??
          upgrade(gateway, request, { request: asked, address });
      }
      return breakOff(request, await answer(request, info));
    },
  };
}

/** Runs `work` after {@link WARM_MS}. A first `setTimeout` costs a start ten milliseconds in Deno, a signal's time none. */
function onceIdle(work: () => void): { stop(): void } {
  const time = AbortSignal.timeout(WARM_MS);
  time.addEventListener("abort", work, { once: true });
  return { stop: () => time.removeEventListener("abort", work) };
}

/** A database that {@link warmUp} has asked something, until a server of the same settings takes it. */
let connected: { readonly key: string; readonly database: Database } | null = null;

function takeConnected(options: PostgresDatabaseOptions): Database | null {
  if (connected?.key !== JSON.stringify(options)) return null;
  const { database } = connected;
  connected = null;
  return database;
}

/**
 * Loads what the first call will need: driver, storage engine, context. A server does so by itself where its first
 * second brings no request; for whoever starts a process before it has an app. With the environment it also asks the
 * database something, and the server that is made next is connected. Never rejects: what is missing is for the call
 * that needs it to say.
 *
 * @example
 * ```ts
 * import { warmUp } from "@kontract/kontract/deno";
 *
 * await warmUp();
 * ```
 */
export async function warmUp(env?: (name: string) => string | undefined): Promise<void> {
  await loadAhead();
  if (env === undefined) return;
  try {
    const options = databaseOptions(env);
    const key = JSON.stringify(options);
    if (connected?.key !== key) connected = { key, database: postgresDatabase(options) };
    const { database } = connected;
    const secrets = parseSecrets(env("KONTRACT_SECRET"));
    await askAhead(denoPorts({ database, secrets, secret: () => undefined }));
  } catch {
    // No database, or none that this build knows.
  }
}

function databaseOptions(env: (name: string) => string | undefined): PostgresDatabaseOptions {
  return {
    url: databaseUrl(env("DATABASE_URL")),
    prepare: env("KONTRACT_DATABASE_POOLED") !== "1",
  };
}

function databaseUrl(text: string | undefined): string {
  if (text === undefined || text === "") {
    throw new KontractError(
      "CONFIG",
      "DATABASE_URL is not set: the connection string of the gateway's database role.",
    );
  }
  if (!/^postgres(?:ql)?:\/\//.test(text) || !URL.canParse(text)) {
    throw new KontractError(
      "CONFIG",
      "DATABASE_URL is no connection string: it must look like postgres://user:password@host/name.",
    );
  }
  return text;
}

function parseHops(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  if (!/^[0-9]$/.test(text)) {
    throw new KontractError("CONFIG", "KONTRACT_PROXY_HOPS is a number from 0 to 9.");
  }
  return Number(text);
}

function publicFolder(given: URL | string | null | undefined): URL | string | null {
  if (given === null || typeof given === "string") return given;
  const url = given ?? new URL("../public/", Deno.mainModule);
  return url.protocol === "file:" ? url : null;
}
