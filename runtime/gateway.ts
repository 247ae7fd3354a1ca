/**
 * The gateway: one plain `fetch` handler, the same on every host.
 *
 * | path | what |
 * | --- | --- |
 * | `GET /health` | alive; with `?database` also that the database answers |
 * | `POST /raystream` | the sealed channel; as a WebSocket where the request upgrades |
 * | `GET /raystream/keys` | the signed key set, where there is one |
 * | `POST /rpc/<name>` | a function, as plain JSON |
 * | what `http` says | a function, as plain REST |
 * | `POST /auth/<name>`, `GET /auth/me` | auth, as plain JSON |
 * | `GET /events` | server-sent events |
 *
 * The order of a call: origin, (opened by raystream,) session token verified, route found, its chunk
 * loaded, arguments decoded and checked, rate limit, database session, group, then the inlined middleware
 * and the function inside one storage transaction, commit, answer. Nothing that fails leaves the server
 * other than through `failure.ts`.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { Lazy } from "../_internal/lazy.ts";
import type { AuditEvent, AuditHook } from "../auth/audit.ts";
import { addressSubject } from "../auth/limits.ts";
import type { AuthOptions } from "../auth/options.ts";
import { createAuthService, type KontractAuth } from "../auth/service.ts";
import { resolveLimits } from "../protocol/limits.ts";
import type {
  PersistSocket,
  RayLimits,
  RaySocket,
  SavedSocket,
  SocketSession,
} from "../protocol/mod.ts";
import { KEY_SET_PATH, RAY_PATH } from "../protocol/paths.ts";
import { BODY_PACE, type BodyPace } from "../protocol/request_body.ts";
import { isGatewayPath, wantsPage } from "./app_paths.ts";
import { PeerWatch } from "../protocol/peer_watch.ts";
import type { StorageEngine } from "../storage/contract.ts";
import type { AppDefinition } from "./app.ts";
import { createAuthStore, hasTenant } from "./auth_store.ts";
import { sealedCookieCaller } from "./cookie_session.ts";
import { CallRunner } from "./call_runner.ts";
import { methodNotAllowed, reportFailure } from "./failure.ts";
import type { HttpOptions } from "./http_options.ts";
import { MAX_JSON } from "./json_body.ts";
import { answerRpc, failureResponse, jsonResponse } from "./json_surface.ts";
import { allowOrigin, type OriginList } from "./origins.ts";
import { Maintenance } from "./maintenance.ts";
import type { Ports } from "./ports.ts";
import { OpenStreams } from "./open_streams.ts";
import { createResumeSealer } from "./resume_sealer.ts";
import { RestRouter } from "./rest_router.ts";
import { answerRest, restFailure } from "./rest_surface.ts";
import { noHost, requestUrl } from "./request_url.ts";
import { RouteTable } from "./routes.ts";
import type { Incoming, Sealed, Services } from "./services.ts";
import { SessionCache } from "./session_cache.ts";
import { type TenantAdmin, tenantAdmin } from "./env_tenants.ts";
import { TenantGate } from "./tenants.ts";
import { TopicGrants } from "./topic_grants.ts";

export { DEFAULT_TENANT } from "./tenants.ts";

/** What a deployment may choose; all have safe defaults. */
export interface GatewayOptions {
  /** Web origins that may call, beside the gateway's own. */
  readonly origins?: OriginList;
  /** Bytes of a JSON body; 1 MiB where missing. */
  readonly maxBody?: number;
  /** How fast bodies must come: 64 KiB, or the end, in every 30 seconds where missing. */
  readonly bodyPace?: BodyPace;
  /** Limits of raystream. */
  readonly limits?: Partial<RayLimits>;
  /** False switches `/rpc` off: calls come through raystream, and where `http` gives an address. */
  readonly json?: boolean;
  /** Scheme of tokens, unknown values and error bodies of plain HTTP. */
  readonly http?: HttpOptions;
  /**
   * False on hosts where a promise of one request must not be awaited by another (Workers). True
   * where missing.
   */
  readonly shareOpening?: boolean;
  /**
   * Tenant that a request's address belongs to, by its host name for one; null leaves the choice to the
   * client, as where this is missing (see `tenants.ts`).
   */
  readonly tenantOf?: (request: Request) => string | null;
  /** Mail, lifetimes, password rules. */
  readonly auth?: Omit<AuthOptions, "secrets" | "store" | "limiter" | "clock" | "background">;
}

/** Where a request came from, as the host knows it. */
export interface RequestOrigin {
  /** Client address. */
  readonly address?: string;
}

/** Where a socket came from, and how it hibernates. */
export interface SocketOrigin {
  /** Client address, or "unknown". */
  readonly address: string;
  /** The upgrade request, for origin and tenant. */
  readonly request: Request;
  /** Stores what must survive hibernation, before it returns; only where the host hibernates. */
  readonly persist?: PersistSocket;
  /** What was stored. */
  readonly saved?: SavedSocket;
}

/** True for an upgrade to the sealed channel over WebSocket. */
export function isSocketUpgrade(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket" &&
    requestUrl(request)?.pathname === RAY_PATH;
}

/** A running gateway. */
export interface Gateway {
  /** Answers one request. Never rejects. */
  fetch(request: Request, from?: RequestOrigin): Promise<Response>;
  /**
   * Checks a WebSocket upgrade for the sealed channel: null where it may go on, else the refusal.
   * The host upgrades, then hands the socket to {@link Gateway.openSocket}.
   */
  refuseSocket(request: Request, from?: RequestOrigin): Promise<Response | null>;
  /** The session of an accepted socket; with `saved` the one that hibernated. */
  openSocket(socket: RaySocket, from: SocketOrigin): Promise<SocketSession>;
  /**
   * True where the gateway answers this path for who accepts that; everything else is the front end's
   * (see `app_paths.ts`).
   */
  handles(pathname: string, accept: string | null): boolean;
  /** The work of one minute: garbage collection, sweeps. Never rejects. */
  scheduled(): Promise<void>;
  /** Administration of accounts, for the host's own code. */
  readonly auth: KontractAuth;
  /** Tenants beside `main`, for the host's own code. */
  readonly tenants: TenantAdmin;
}

/**
 * Makes the gateway of an app, without I/O. On Workers call it inside the first request: it draws
 * randoms, which module scope may not.
 *
 * @throws {KontractError} `CONFIG`
 */
export function createGateway(
  app: AppDefinition,
  ports: Ports,
  options: GatewayOptions = {},
): Gateway {
  const services = createServices(app, ports, options);
  const json = options.json ?? true;
  return {
    auth: services.auth,
    tenants: services.tenantAdmin,
    scheduled: () => services.maintenance.run(),
    handles: (pathname, accept) =>
      isGatewayPath(pathname) || services.rest.has(pathname) ||
      services.rest.beside(pathname) && !wantsPage(pathname, accept),
    async refuseSocket(request, from = {}): Promise<Response | null> {
      const requestId = crypto.randomUUID();
      try {
        // Browsers send no preflight for an upgrade: this check is all that keeps other pages out.
        allowOrigin(request, services.origins);
        if (!await admit(ports, from.address ?? "unknown")) throw new KontractError("RATE_LIMITED");
        return null;
      } catch (error) {
        return failureResponse(reportFailure(ports.log, error, requestId));
      }
    },
    async openSocket(socket, { address, request, persist, saved }): Promise<SocketSession> {
      const ray = await services.ray.get();
      const dispatch = ray.dispatch(services, {
        request,
        url: new URL(request.url),
        requestId: crypto.randomUUID(),
        address,
        origin: request.headers.get("origin"),
        cookieCaller: null,
        cookies: [],
      });
      return persist !== undefined && saved !== undefined
        ? await ray.server.restoreSocket(socket, dispatch, persist, saved)
        : ray.server.socket(socket, dispatch, persist);
    },
    async fetch(request, from = {}): Promise<Response> {
      const requestId = crypto.randomUUID();
      const cookies: string[] = [];
      let headers: Readonly<Record<string, string>> = {};
      let response: Response;
      const url = requestUrl(request);
      try {
        if (url === null) throw noHost();
        const allowed = allowOrigin(request, services.origins, services.rest.methods);
        headers = allowed.headers;
        const incoming: Incoming = {
          request,
          url,
          requestId,
          address: from.address ?? "unknown",
          origin: allowed.origin,
          cookieCaller: null,
          cookies,
        };
        response = allowed.preflight
          ? new Response(null, { status: 204 })
          : await answer(services, incoming, json);
      } catch (error) {
        const path = url?.pathname ?? "";
        const failure = reportFailure(ports.log, error, requestId, {
          path: services.rest.written(path),
        });
        const isRest = services.rest.has(path) || services.rest.beside(path);
        response = isRest ? restFailure(services, failure) : failureResponse(failure);
      }
      for (const cookie of cookies) response.headers.append("set-cookie", cookie);
      return withHeaders(response, { "x-request-id": requestId, ...headers });
    },
  };
}

async function answer(services: Services, incoming: Incoming, json: boolean): Promise<Response> {
  const { request, url } = incoming;
  const { pathname } = url;
  if (pathname === "/health") return await answerHealth(services, incoming);
  if (pathname === RAY_PATH) {
    services.addresses.set(request, incoming.address);
    // Before the first byte of the answer: its head may bring new cookies.
    const cookieCaller = await sealedCookieCaller(services, incoming);
    const { server, dispatch } = await services.ray.get();
    return await server.handle(request, dispatch(services, { ...incoming, cookieCaller }));
  }
  if (pathname === KEY_SET_PATH) return answerKeySet(services, request);
  if (pathname === "/events") {
    return await (await import("./event_surface.ts")).answerEvents(services, incoming);
  }
  if (pathname.startsWith("/rpc/") && json) {
    return await answerRpc(services, incoming, nameIn(pathname, "/rpc/"));
  }
  if (pathname.startsWith("/auth/")) {
    const { answerAuth } = await import("./auth_surface.ts");
    return await answerAuth(services, incoming, nameIn(pathname, "/auth/"));
  }
  const rest = await answerRest(services, incoming);
  if (rest !== null) return rest;
  throw new KontractError("NOT_FOUND");
}

function nameIn(pathname: string, prefix: string): string {
  const name = pathname.slice(prefix.length);
  if (!/^[\w$.-]{1,128}$/.test(name)) throw new KontractError("ROUTE_NOT_FOUND");
  return name;
}

/** Public, and authentic by its signature alone. */
function answerKeySet({ ports }: Services, request: Request): Response {
  if (request.method !== "GET") throw methodNotAllowed(["GET"]);
  const set = ports.secret("KONTRACT_KEY_SET");
  if (set === undefined || set === "") throw new KontractError("NOT_FOUND");
  return new Response(set, {
    headers: { "content-type": "text/plain", "cache-control": "no-store" },
  });
}

async function answerHealth(services: Services, { request, url }: Incoming): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw methodNotAllowed(["GET", "HEAD"]);
  }
  if (url.searchParams.has("database")) {
    try {
      await services.ports.database.execute("ping", []);
    } catch (cause) {
      throw new KontractError("DATABASE_UNAVAILABLE", undefined, { cause });
    }
  }
  const { app, build } = services.app;
  return jsonResponse(200, { status: "ok", app, build });
}

/** Handshakes of one address in a minute: each costs a key agreement. */
const HANDSHAKES = 600;

async function admit({ shared }: Ports, address: string): Promise<boolean> {
  if (address === "unknown") return true; // the host cannot tell: one bucket for all would lock all out
  return (await shared.rateLimit(`h:${addressSubject(address)}`, HANDSHAKES, 60_000)).allowed;
}

function createServices(app: AppDefinition, ports: Ports, options: GatewayOptions): Services {
  const { clock, secrets, shared } = ports;
  const now = (): number => clock.now();
  const engine = lazyEngine(app, ports);
  const sessions: SessionCache = new SessionCache({
    engine,
    databaseToken: (subject) => auth.databaseToken(subject),
    clock,
    shareOpening: options.shareOpening ?? true,
  });
  const store = createAuthStore({ engine, sessions, clock });
  const logged: AuditHook = ({ type, at: _at, ...event }) => ports.log.info(`auth_${type}`, event);
  const auth: KontractAuth = createAuthService({
    ...options.auth,
    audit: (event) => {
      const { type, tenant, owner } = event;
      if (type === "groups_changed" && owner !== undefined) sessions.dropOwner(tenant, owner);
      hearAudit(options.auth?.audit ?? logged, event, ports);
    },
    secrets,
    store,
    limiter: (key, limit, windowMs) => shared.rateLimit(key, limit, windowMs),
    clock: now,
    background: (work) => ports.background(work),
  });
  const gate: TenantGate = new TenantGate({
    tenantOf: options.tenantOf ?? (() => null),
    exists: (tenant) => hasTenant(store, tenant),
    shared,
    clock,
  });
  const tenantsAdmin = tenantAdmin({
    database: ports.database,
    sessions,
    forget: (tenant) => gate.forget(tenant),
  });
  const grants = new TopicGrants(secrets, clock);
  const addresses = new WeakMap<Request, string>();
  const streams = new OpenStreams();
  return {
    app,
    ports,
    engine,
    auth,
    sessions,
    routes: new RouteTable(app),
    rest: new RestRouter(app.routes),
    runner: new CallRunner({
      engine,
      sessions,
      streams,
      grants,
      ports,
      auth,
      tenants: tenantsAdmin,
    }),
    streams,
    grants,
    sealer: createResumeSealer(secrets),
    ray: lazySealed(app, ports, addresses, options),
    peers: new PeerWatch(),
    addresses,
    maintenance: new Maintenance({ ...ports, sessions, auth }),
    origins: options.origins ?? [],
    maxBody: options.maxBody ?? MAX_JSON,
    bodyPace: options.bodyPace ?? BODY_PACE,
    http: options.http ?? {},
    tenants: gate,
    tenantAdmin: tenantsAdmin,
  };
}

/** The storage engine, loaded by the first who has something to do with the database. */
function lazyEngine(app: AppDefinition, { database, clock }: Ports): StorageEngine {
  const storage = new Lazy<StorageEngine>(async () => {
    const [{ storageEngine }, { AUTH_TABLES }] = await Promise.all([
      import("../storage/engine.ts"),
      import("../auth/tables.ts"),
    ]);
    const own = new Set(AUTH_TABLES.map((table) => table.name));
    return () =>
      storageEngine({
        database,
        tables: [...AUTH_TABLES, ...app.tables.filter((table) => !own.has(table.name))],
        ...(app.types === undefined ? {} : { types: app.types }),
        ...(app.execs === undefined ? {} : { execs: app.execs }),
        now: () => clock.now(),
      });
  });
  return {
    openSession: async (token) => await (await storage.get()).openSession(token),
    checkSession: async (session) => await (await storage.get()).checkSession(session),
    run: async (options, body) => await (await storage.get()).run(options, body),
    revokeFamily: async (system, family, until) =>
      await (await storage.get()).revokeFamily(system, family, until),
    changes: async (options) => await (await storage.get()).changes(options),
  };
}

/** The sealed channel, loaded by the first who opens it. */
function lazySealed(
  app: AppDefinition,
  ports: Ports,
  addresses: WeakMap<Request, string>,
  options: GatewayOptions,
): Lazy<Sealed> {
  const { secrets, epochs, clock, log } = ports;
  const limits = resolveLimits(options.limits);
  const { bodyPace: pace = BODY_PACE } = options;
  return new Lazy(async () => {
    const [{ createRaystreamServer }, { rayDispatch }] = await Promise.all([
      import("../protocol/server.ts"),
      import("./ray_surface.ts"),
    ]);
    return () => ({
      dispatch: rayDispatch,
      server: createRaystreamServer({
        app: app.app,
        secrets,
        epochs,
        clock,
        limits,
        pace,
        admit: (request) => admit(ports, addresses.get(request) ?? "unknown"),
        // Anybody can send noise: what is refused by rule is one short line, without a stack.
        onFailure: (error) =>
          log.info(
            "raystream_refused",
            error instanceof KontractError ? { code: error.code, why: error.message } : { error },
          ),
      }),
    });
  });
}

/** A hook is the app's code: what it throws, now or later, must not fail the sign-in it hears of. */
function hearAudit(hook: AuditHook, event: AuditEvent, { log, background }: Ports): void {
  const failed = (error: unknown): void => log.error("audit_failed", { error, type: event.type });
  try {
    const heard: unknown = hook(event);
    if (heard instanceof Promise) background(heard.catch(failed));
  } catch (error) {
    failed(error);
  }
}

function withHeaders(response: Response, headers: Readonly<Record<string, string>>): Response {
  for (const [name, value] of Object.entries(headers)) {
    if (!response.headers.has(name)) response.headers.set(name, value);
  }
  return response;
}
