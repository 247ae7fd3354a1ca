/**
 * Kontract: functions marked with `@backend` run on the server and are called like local ones;
 * storage looks like objects and is PostgreSQL.
 *
 * @example
 * ```ts
 * import { backend, ctx } from "@kontract/kontract";
 * export class Greetings {
 *   @backend({ readOnly: true })
 *   static hello(name: string): Promise<string> {
 *     return Promise.resolve(`Hello, ${name}; you are ${ctx.owner}.`);
 *   }
 * }
 * ```
 *
 * @module
 */
export * from "./runtime/registry.ts";
export {
  backend,
  type BackendContext,
  type BackendDecorator,
  type BackendFunction,
  type BackendOptions,
  type Bits,
  type ClassIndexDecorator,
  type FieldIndexDecorator,
  index,
  type IndexOptions,
  perm,
  perms,
  primkey,
  table,
  type TableOptions,
} from "./runtime/decorators.ts";
export {
  type BaseContext,
  type Context,
  ctx,
  type Env,
  env,
  type EnvEvents,
  type EnvStorage,
  secret,
  type TopicGrantOptions,
} from "./runtime/env.ts";
export type { EnvAuth, EnvAuthAdmin } from "./runtime/env_auth.ts";
export type { Credentials, EnvAccount, Registration } from "./runtime/env_account.ts";
export type { Me } from "./auth/account.ts";
export type { CredentialChange } from "./auth/change_credentials.ts";
export type { SessionTokens } from "./auth/contract.ts";
export type { HttpFailure, HttpFailureAnswer, HttpOptions } from "./runtime/http_options.ts";
export type { EnvTenants, TenantInfo } from "./runtime/env_tenants.ts";
export {
  defineMiddleware,
  type Middleware,
  type MiddlewareFilter,
  type MiddlewareHandler,
  type Next,
} from "./runtime/middleware.ts";
export {
  defineServer,
  type ServerAuthOptions,
  type ServerDefinition,
  type ServerEnvironment,
  type ServerFactory,
  type ServerOptions,
} from "./runtime/server_options.ts";
export type { AuditEvent, AuditHook, AuditType } from "./auth/audit.ts";
export type { Limit, LimitName, Limits } from "./auth/limits.ts";
export type { AuthMail, AuthMailer, AuthMailKind } from "./auth/mail.ts";
export type { AuthLifetimes } from "./auth/options.ts";
export type { PasswordScheme, ScryptCost } from "./auth/password/mod.ts";
export type { OriginList } from "./runtime/origins.ts";
export {
  cors,
  type CorsOptions,
  rateLimit,
  type RateLimitOptions,
  requireAuth,
  requireGroup,
  timing,
} from "./runtime/middleware/mod.ts";
export { HttpResp, type HttpRespOptions } from "./runtime/response.ts";
export type { RateLimitResult, SharedSetOptions, SharedStore } from "./runtime/shared_store.ts";
export type {
  Comparison,
  ExecValue,
  FieldFilter,
  FieldPath,
  Filter,
  NestedPath,
  NewRow,
  Ordered,
  Page,
  Query,
  Scalar,
  StorageOperations,
  Table,
  TableMeta,
} from "./storage/types.ts";
export type {
  Branded,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  width as brandWidth,
} from "./runtime/brands.ts";
export {
  type CodeInfo,
  ERROR_CODES,
  type ErrorCode,
  isErrorCode,
  KontractError,
  type KontractErrorOptions,
} from "./_internal/errors.ts";
export {
  ConflictError,
  ForbiddenError,
  type NamedErrorOptions,
  NotFoundError,
  PermissionError,
  RateLimitedError,
  UnauthorizedError,
  ValidationError,
} from "./_internal/error_classes.ts";
export { AppError, type AppErrorOptions } from "./_internal/app_error.ts";
export type {
  Migration,
  MigrationContext,
  MigrationRow,
  RowChange,
} from "./storage/migrate/migration.ts";
