/**
 * A built app on Cloudflare Workers: `export default createWorker(app)`, and the Durable Object classes
 * that its bindings name.
 *
 * Bindings: `SESSION`, `KVC`, `CHANGE_HUB`, `DB_POOL` (Durable Objects `SessionDO`, `KvcDO`,
 * `ChangeHubDO`, `DbPoolDO`, all SQLite-backed), `HYPERDRIVE` and `ASSETS` where there are any. Secrets:
 * `KONTRACT_SECRET`, `DATABASE_URL` (not with Hyperdrive). Variables: `KONTRACT_ORIGINS`,
 * `KONTRACT_DATABASE`, `KONTRACT_POOL_SHARDS`.
 *
 * @module
 */
export { createWorker, type KontractWorker, type WorkerOptions } from "./worker.ts";
export { prepareGateway, warmUp } from "./warm_up.ts";
export { SessionDO } from "./session_do.ts";
export { KvcDO } from "./kvc_do.ts";
export { ChangeHubDO } from "./change_hub_do.ts";
export { DbPoolDO } from "./db_pool_do.ts";
export type {
  ExecutionContext,
  Fetcher,
  HyperdriveBinding,
  ObjectId,
  ObjectNamespace,
  ObjectSocket,
  ObjectSql,
  ObjectState,
  ObjectStorage,
  ObjectStub,
  WorkerEnv,
} from "./platform.ts";
export type { AppDefinition, RouteCode, RouteEntry, RouteInput, RouteModule } from "../app.ts";
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
export type * from "../../_internal/manifest.ts";
export type * from "../../_internal/shape.ts";
export type { GatewayOptions } from "../gateway.ts";
export type { OriginList } from "../origins.ts";
export type * from "../server_options.ts";
