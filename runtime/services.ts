/**
 * Everything a gateway works with, put together once.
 *
 * @module
 */
import type { Principal } from "../auth/contract.ts";
import type { KontractAuth } from "../auth/service.ts";
import type { ResumeSealer } from "../events/mod.ts";
import type { Lazy } from "../_internal/lazy.ts";
import type { Dispatch, PeerWatch, RaystreamServer } from "../protocol/mod.ts";
import type { BodyPace } from "../protocol/request_body.ts";
import type { StorageEngine } from "../storage/contract.ts";
import type { AppDefinition } from "./app.ts";
import type { CallRunner } from "./call_runner.ts";
import type { HttpOptions } from "./http_options.ts";
import type { Maintenance } from "./maintenance.ts";
import type { OpenStreams } from "./open_streams.ts";
import type { OriginList } from "./origins.ts";
import type { Ports } from "./ports.ts";
import type { RestRouter } from "./rest_router.ts";
import type { RouteTable } from "./routes.ts";
import type { SessionCache } from "./session_cache.ts";
import type { TenantAdmin } from "./env_tenants.ts";
import type { TenantGate } from "./tenants.ts";
import type { TopicGrants } from "./topic_grants.ts";

/** The parts of a running gateway. */
export interface Services {
  readonly app: AppDefinition;
  readonly ports: Ports;
  readonly engine: StorageEngine;
  readonly auth: KontractAuth;
  readonly sessions: SessionCache;
  readonly routes: RouteTable;
  /** Addresses of plain REST. */
  readonly rest: RestRouter;
  readonly runner: CallRunner;
  readonly grants: TopicGrants;
  readonly sealer: ResumeSealer;
  readonly streams: OpenStreams;
  readonly ray: Lazy<Sealed>;
  /** Tells when the sender of a request has gone. */
  readonly peers: PeerWatch;
  /** Client address of each request that is being answered by raystream. */
  readonly addresses: WeakMap<Request, string>;
  readonly maintenance: Maintenance;
  readonly origins: OriginList;
  /** Bytes of a JSON body. */
  readonly maxBody: number;
  /** How fast bodies must come. */
  readonly bodyPace: BodyPace;
  /** What the app chose for plain HTTP. */
  readonly http: HttpOptions;
  readonly tenants: TenantGate;
  readonly tenantAdmin: TenantAdmin;
}

/** The sealed channel: its server, and what answers the calls of one request. */
export interface Sealed {
  readonly server: RaystreamServer;
  dispatch(services: Services, incoming: Incoming): Dispatch;
}

/** One request on its way through. */
export interface Incoming {
  readonly request: Request;
  readonly url: URL;
  readonly requestId: string;
  /** Client address, or "unknown". */
  readonly address: string;
  /** Allowed origin, or null. */
  readonly origin: string | null;
  /** Who the request's cookies say is calling; null where it is not in cookie mode. */
  readonly cookieCaller: (() => Principal) | null;
  /** `Set-Cookie` values that leave with the answer, whatever it is. */
  readonly cookies: string[];
}
