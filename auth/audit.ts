/**
 * Audit events: what a security log needs, and nothing that would make the log itself a risk: no
 * password, no token, no e-mail address in clear.
 *
 * @module
 */

/** What happened. Names are stable. */
export type AuditType =
  | "anonymous_created"
  | "registered"
  | "registration_pending"
  | "registration_conflict"
  | "linked"
  | "login_succeeded"
  | "login_failed"
  | "password_rehashed"
  | "password_hash_unsupported"
  | "password_changed"
  | "password_change_failed"
  | "email_changed"
  | "reset_requested"
  | "reset_completed"
  | "verification_requested"
  | "email_verified"
  | "mail_token_refused"
  | "mail_failed"
  | "refreshed"
  | "refresh_repeated"
  | "refresh_reused"
  | "refresh_refused"
  | "logged_out"
  | "session_revoked"
  | "groups_changed"
  | "rate_limited";

/** One event. */
export interface AuditEvent {
  /** What happened. */
  readonly type: AuditType;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Tenant it happened in. */
  readonly tenant: string;
  /** Client address, or "unknown"; "system" for administration. */
  readonly address: string;
  /** Account it is about, where it is known. */
  readonly owner?: string;
  /** Session family it is about. */
  readonly family?: string;
  /** First 16 hex digits of SHA-256 over tenant and normalised e-mail: joins events of one account. */
  readonly account?: string;
  /** One word more, where there is one. */
  readonly detail?: string;
}

/** Receives events; must not throw and is not awaited. */
export type AuditHook = (event: AuditEvent) => void;
