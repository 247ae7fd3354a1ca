/**
 * Rate limits of auth functions, by address and by account, through an injected limiter (the runtime
 * gives `env.shared`'s buckets).
 *
 * - The account is the e-mail that was *said*, whether or not it exists, so a refusal tells nothing.
 * - Per account there are two limits: a tight one for (account, address), and a wide one for the account
 *   alone, so that a stranger cannot lock somebody out from one address.
 * - E-mail addresses appear in keys as hashes only. IPv6 counts per /64.
 * - Where the host does not know addresses, all callers share one bucket of twenty times the size.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { labelledHash, toHex, utf8 } from "./encoding.ts";

/** Answers whether one more is allowed; `retryAfter` in milliseconds. */
export type AuthLimiter = (
  key: string,
  limit: number,
  windowMs: number,
) => Promise<{ readonly allowed: boolean; readonly retryAfter: number }>;

/** One limit. */
export interface Limit {
  /** Allowed in a window. */
  readonly limit: number;
  /** Length of the window in milliseconds. */
  readonly windowMs: number;
}

/** Name of a limit. */
export type LimitName =
  | "anonymous"
  | "loginAddress"
  | "loginAccountAddress"
  | "loginAccount"
  | "registerAddress"
  | "registerAccount"
  | "mailAddress"
  | "mailAccount"
  | "tokenAddress"
  | "changeOwner"
  | "refreshAddress";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** All limits, with what each bounds. */
export const DEFAULT_LIMITS: Readonly<Record<LimitName, Limit>> = {
  /** Identities made from one address: storage. */
  anonymous: { limit: 60, windowMs: HOUR },
  /** Password guesses from one address over all accounts: spraying, and hashing work. */
  loginAddress: { limit: 50, windowMs: 15 * MINUTE },
  /** Password guesses from one address for one account. */
  loginAccountAddress: { limit: 10, windowMs: 15 * MINUTE },
  /** Password guesses for one account from anywhere: distributed guessing. */
  loginAccount: { limit: 100, windowMs: HOUR },
  /** Registrations and links from one address: hashing work, probing for accounts. */
  registerAddress: { limit: 20, windowMs: HOUR },
  /** Registrations for one e-mail: mail sent to somebody else. */
  registerAccount: { limit: 5, windowMs: HOUR },
  /** Reset and verification mails asked for from one address. */
  mailAddress: { limit: 20, windowMs: HOUR },
  /** Reset and verification mails to one e-mail. */
  mailAccount: { limit: 5, windowMs: HOUR },
  /** Mailed tokens shown from one address: hashing work behind a good token, noise. */
  tokenAddress: { limit: 60, windowMs: HOUR },
  /** Password changes of one owner: guesses with a stolen session. */
  changeOwner: { limit: 10, windowMs: 15 * MINUTE },
  /** Refreshes from one address. */
  refreshAddress: { limit: 600, windowMs: 15 * MINUTE },
};

/** All limits, as configured. */
export type Limits = Readonly<Record<LimitName, Limit>>;

/** A limit and what it counts. */
export type LimitUse = readonly [name: LimitName, subject: string];

/** Counts against limits. */
export class AuthLimits {
  readonly #limiter: AuthLimiter;
  readonly #limits: Limits;

  /** `limits` replaces defaults one by one. */
  constructor(limiter: AuthLimiter, limits: Partial<Limits> = {}) {
    this.#limiter = limiter;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /**
   * Counts one use of each, in this order, up to the first that refuses. So the narrow ones come first: what
   * one address may not do any more must not be counted against an account that others share with it.
   *
   * @throws {KontractError} `RATE_LIMITED`, with `data.retryAfter` in milliseconds
   */
  async spend(tenant: string, uses: readonly LimitUse[]): Promise<void> {
    for (const [name, subject] of uses) {
      const { limit, windowMs } = this.#limits[name];
      const unknown = subject === "unknown";
      const key = `auth:${name}:${tenant}:${subject}`;
      const answer = await this.#limiter(key, unknown ? limit * 20 : limit, windowMs);
      if (answer.allowed) continue;
      throw new KontractError("RATE_LIMITED", "Too many attempts: wait a while and try again.", {
        data: { retryAfter: Math.ceil(answer.retryAfter) },
      });
    }
  }
}

/** What an address counts as: itself, or its /64. */
export function addressSubject(address: string): string {
  if (address.length > 64) return "unknown";
  if (!address.includes(":")) return address;
  const bare = address.split("%")[0]?.toLowerCase() ?? "";
  const mapped =
    /^(?:::|(?:0+:){5})ffff:(?:(\d{1,3}(?:\.\d{1,3}){3})|([\da-f]{1,4}):([\da-f]{1,4}))$/.exec(
      bare,
    );
  if (mapped?.[1] !== undefined) return mapped[1];
  if (mapped !== null) {
    const [high, low] = [mapped[2], mapped[3]].map((part) => Number.parseInt(part ?? "0", 16));
    return [high! >> 8, high! & 255, low! >> 8, low! & 255].join(".");
  }
  const [head = "", tail] = bare.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array(Math.max(0, 8 - left.length - right.length));
  const groups = [...left, ...zeros.fill("0"), ...right].slice(0, 4);
  return groups.map((group) => group.replace(/^0+(?=.)/, "")).join(":") + "::/64";
}

/** What an e-mail counts as; the same value names an account in audit events. */
export async function accountSubject(tenant: string, email: string): Promise<string> {
  const digest = await labelledHash("kontract/1 account", utf8(`${tenant}\0${email}`));
  return toHex(digest.subarray(0, 8));
}
