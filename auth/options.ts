/**
 * What the auth service is made from, with all defaults in one place.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { KEY_LABELS } from "../_internal/keys.ts";
import type { AuditEvent, AuditHook } from "./audit.ts";
import { DatabaseTokenIssuer } from "./database_token.ts";
import { KeyRing } from "./key_ring.ts";
import { AuthLimits } from "./limits.ts";
import type { AuthLimiter, Limits } from "./limits.ts";
import type { AuthMail, AuthMailer } from "./mail.ts";
import { checkAuthOptions } from "./option_check.ts";
import { PasswordHasher } from "./password/mod.ts";
import type { PasswordPolicy, PasswordPrimitive, PasswordScheme } from "./password/mod.ts";
import type { FamilyLifetimes } from "./refresh.ts";
import { SessionTokenIssuer } from "./session_token.ts";
import type { AuthStore } from "./store.ts";

/** Lifetimes in milliseconds. */
export interface AuthLifetimes {
  /** Session token; 15 minutes where missing. */
  readonly access?: number;
  /** End of a signed-in family without a refresh; 14 days where missing. */
  readonly idle?: number;
  /** End of a signed-in family in any case; 90 days where missing. */
  readonly absolute?: number;
  /** As `idle`, for anonymous visitors, who lose their identity with it; 90 days where missing. */
  readonly anonymousIdle?: number;
  /** As `absolute`, for anonymous visitors; 400 days where missing. */
  readonly anonymousAbsolute?: number;
  /** During which a refresh token just replaced is forgiven; 10 seconds where missing, at most 60. */
  readonly grace?: number;
  /** Reset tokens; 30 minutes where missing. */
  readonly reset?: number;
  /** Registration and verification tokens; 24 hours where missing. */
  readonly verify?: number;
}

/** Options of {@link createAuthService}. */
export interface AuthOptions {
  /** `KONTRACT_SECRET`, newest first. */
  readonly secrets: readonly Uint8Array[];
  /** Where accounts and sessions are kept. */
  readonly store: AuthStore;
  /** Counts attempts. */
  readonly limiter: AuthLimiter;
  /** Sends mail; without it resets and verifications are accepted and nothing is sent. */
  readonly mail?: AuthMailer;
  /** Told of sign-ins, refusals and changes; nothing where missing. */
  readonly audit?: AuditHook;
  /** Milliseconds since the epoch; `Date.now` where missing. */
  readonly clock?: () => number;
  /** Keeps the host alive until mail is sent (`waitUntil` on Workers). */
  readonly background?: (work: Promise<unknown>) => void;
  /** In mails, and refused as a password. */
  readonly appName?: string;
  /**
   * `confirmed`: an e-mail is somebody's only after the token mailed to it came back, and registering
   * looks the same whether or not the address has an account. `immediate`: the account exists at once, and a
   * taken address is told. `confirmed` where there is `mail`, `immediate` where there is none.
   */
  readonly registration?: "confirmed" | "immediate";
  /** Scheme and cost of new password hashes; PBKDF2 at 600,000 iterations where missing. */
  readonly password?: PasswordScheme;
  /** Characters; 8 where missing and at least. */
  readonly minPasswordLength?: number;
  /** True judges new passwords by their length alone; false where missing. */
  readonly allowWeakPasswords?: boolean;
  /** Lifetimes that differ from the defaults. */
  readonly lifetimes?: AuthLifetimes;
  /** Replaces default limits one by one. */
  readonly limits?: Partial<Limits>;
  /** `iss` of session tokens; "kontract" where missing. */
  readonly issuer?: string;
  /** Clock skew that is forgiven in session tokens, in seconds; 5 where missing, at most 60. */
  readonly skew?: number;
  /** Slow functions; the platform's own where missing. */
  readonly primitive?: PasswordPrimitive;
}

/** Everything the flows share. */
export interface AuthParts {
  readonly store: AuthStore;
  readonly limits: AuthLimits;
  readonly sessionTokens: SessionTokenIssuer;
  readonly databaseTokens: DatabaseTokenIssuer;
  readonly hasher: PasswordHasher;
  readonly policy: PasswordPolicy;
  readonly mailTokens: KeyRing;
  readonly registration: "confirmed" | "immediate";
  readonly resetLifetime: number;
  readonly verifyLifetime: number;
  now(): number;
  lifetimes(anonymous: boolean): FamilyLifetimes;
  audit(event: Omit<AuditEvent, "at">): void;
  /** Hands a message over in the background; the caller never waits for it. */
  send(mail: Omit<AuthMail, "appName">): void;
  /** Has the host wait for work that must come to its end, whoever asked for it may have gone. */
  keep(work: Promise<unknown>): void;
}

const DAY = 86_400_000;

/**
 * Fills defaults in and checks them.
 *
 * @throws {KontractError} `CONFIG`
 */
export function resolveAuthOptions(options: AuthOptions): AuthParts {
  checkAuthOptions(options);
  const clock = options.clock ?? Date.now;
  const appName = options.appName ?? "Kontract";
  const times = checkLifetimes(options.lifetimes ?? {});
  const { secrets, mail, audit: hook } = options;
  const registration = options.registration ?? (mail === undefined ? "immediate" : "confirmed");
  if (registration === "confirmed" && mail === undefined) {
    throw new KontractError("CONFIG", "Confirmed registration needs a mail adapter.");
  }
  const access = options.lifetimes?.access;
  const audit = (event: Omit<AuditEvent, "at">): void => hook?.({ ...event, at: clock() });
  return {
    store: options.store,
    limits: new AuthLimits(options.limiter, options.limits),
    sessionTokens: new SessionTokenIssuer({
      secrets,
      clock,
      ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
      ...(options.skew === undefined ? {} : { skew: options.skew }),
      ...(access === undefined ? {} : { lifetime: access }),
    }),
    databaseTokens: new DatabaseTokenIssuer({ secrets, clock }),
    hasher: new PasswordHasher(options.password, options.primitive),
    policy: {
      minLength: options.minPasswordLength ?? 8,
      appName,
      allowWeak: options.allowWeakPasswords ?? false,
    },
    mailTokens: new KeyRing(secrets, KEY_LABELS.mailToken),
    registration,
    resetLifetime: times.reset,
    verifyLifetime: times.verify,
    now: clock,
    lifetimes: (anonymous) => ({
      idle: anonymous ? times.anonymousIdle : times.idle,
      absolute: anonymous ? times.anonymousAbsolute : times.absolute,
      grace: times.grace,
    }),
    audit,
    send: (message) => {
      if (mail === undefined) return;
      const failed = (): void =>
        audit({ type: "mail_failed", tenant: message.tenant, address: "system" });
      const work = Promise.resolve().then(() => mail.send({ ...message, appName })).catch(failed);
      options.background?.(work);
    },
    keep: (work) => options.background?.(work.catch(() => {})),
  };
}

function checkLifetimes(given: AuthLifetimes): Required<Omit<AuthLifetimes, "access">> {
  const times = {
    idle: given.idle ?? 14 * DAY,
    absolute: given.absolute ?? 90 * DAY,
    anonymousIdle: given.anonymousIdle ?? 90 * DAY,
    anonymousAbsolute: given.anonymousAbsolute ?? 400 * DAY,
    grace: given.grace ?? 10_000,
    reset: given.reset ?? 30 * 60_000,
    verify: given.verify ?? DAY,
  };
  for (const [name, value] of Object.entries(times)) {
    if (!(Number.isFinite(value) && value >= 0) || (name === "grace" && value > 60_000)) {
      throw new KontractError(
        "CONFIG",
        `The lifetime '${name}' is out of range: it is ${String(value)}.`,
      );
    }
  }
  return times;
}
