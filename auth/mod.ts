/**
 * Auth: what the gateway, the command line and the tests of other parts use.
 *
 * @module
 */
export { authFunctionOf, createAuthService, sessionTokensOf } from "./service.ts";
export { AUTH_FUNCTIONS } from "./service.ts";
export type { KontractAuth } from "./service.ts";
export type { AuthActor, AuthAdmin, ImportedAccount } from "./admin.ts";
export type { AuthLifetimes, AuthOptions } from "./options.ts";
export type { AuditEvent, AuditHook, AuditType } from "./audit.ts";
export { consoleMailer } from "./mail.ts";
export type { AuthMail, AuthMailer, AuthMailKind } from "./mail.ts";
export { DEFAULT_LIMITS } from "./limits.ts";
export type { AuthLimiter, Limit, LimitName, Limits } from "./limits.ts";
export type { Me, SessionInfo } from "./account.ts";
export type { RegistrationAnswer } from "./registration.ts";
export type { VerificationAnswer } from "./recovery.ts";
export type {
  AuthFunction,
  AuthRequestContext,
  AuthService,
  Principal,
  SessionTokens,
} from "./contract.ts";
export type { AuthRow, AuthStore, AuthTransaction } from "./store.ts";
export { AUTH_TABLES } from "./tables.ts";
export {
  ACCESS_COOKIE,
  clearCookie,
  clearSessionCookies,
  readCookie,
  REFRESH_COOKIE,
  sessionCookies,
  setCookie,
} from "./cookie.ts";
export { decideCsrf } from "./csrf.ts";
export type { CsrfDecision, CsrfRequest } from "./csrf.ts";
export { decideCors, DEFAULT_CORS, normalizeOrigin } from "./cors.ts";
export type { CorsDecision, CorsPolicy, CorsRequest } from "./cors.ts";
