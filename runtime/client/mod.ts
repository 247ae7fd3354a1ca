/**
 * The client runtime: what the generated client module is made of. Runs in browsers, Deno, Node and
 * workerd; holds no server code and no TypeScript at run time.
 *
 * ```ts ignore
 * import { client, sign } from "@/client"; // generated
 *
 * await sign("Ada", "Hello!");
 * for await (const event of client.subscribe("entries")) console.log(event.type, event.key);
 * ```
 *
 * @module
 */
export {
  ERROR_CODES,
  type ErrorCode,
  KontractError,
  type KontractErrorOptions,
} from "../../_internal/errors.ts";
export {
  ConflictError,
  ForbiddenError,
  type NamedErrorOptions,
  NotFoundError,
  PermissionError,
  RateLimitedError,
  UnauthorizedError,
  ValidationError,
} from "../../_internal/error_classes.ts";
export { AppError, type AppErrorOptions } from "../../_internal/app_error.ts";
export type { EventType, ServerEvent } from "../../events/event.ts";
export type {
  SerialMemory,
  Transport,
  TransportCallOptions,
  TransportOptions,
} from "../../protocol/transport.ts";
export type { ClientAuth, Credentials, Me, Registration, SessionInfo } from "./auth.ts";
export { type Client, type ClientOptions, createClient } from "./client.ts";
export type { ClientSettings } from "./settings.ts";
export {
  cookieSession,
  type SessionCarrier,
  type SessionGateway,
  type SessionMode,
} from "./cookie_session.ts";
export type { ClientError, ErrorClasses } from "./failure.ts";
export type { LiveListener, LiveResult, ReadOnlyFunction } from "./live.ts";
export { ResultCache } from "./result_cache.ts";
export type { ClientCallOptions, ClientInput, ClientRoute } from "./route.ts";
export type { SessionState } from "./session.ts";
export { type ClientStorage, memoryStorage } from "./session_storage.ts";
export type {
  ClientEvent,
  SubscribeOptions,
  Subscription,
  SubscriptionStatus,
} from "./subscription.ts";
