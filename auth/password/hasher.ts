/**
 * Hashing and checking passwords with constant work.
 *
 * Contract
 * - `hash` makes hashes of the configured scheme and cost; `verify` checks any known format.
 * - `verify(null, …)`, for a user who does not exist or has no password, runs exactly one derivation of
 *   the configured cost and answers no, as a wrong password does.
 * - `rehash` in the answer of a good check is true where the stored hash is of another scheme or a lower
 *   cost than configured: the caller stores a new one at this login.
 * - Passwords are compared after NFKC, as UTF-8; more than 1024 bytes is a wrong password.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { equalBytes, randomBytes, utf8 } from "../encoding.ts";
import { formatPasswordHash, parsePasswordHash } from "./format.ts";
import type { PasswordHash } from "./format.ts";
import type { ChainCost } from "./pbkdf2_chain.ts";
import { DEFAULT_CHAIN, MAX_ITERATIONS_PER_CALL, pbkdf2Chain } from "./pbkdf2_chain.ts";
import { platformPrimitive } from "./primitive.ts";
import type { PasswordPrimitive, ScryptCost } from "./primitive.ts";

/** Longest password in bytes of UTF-8 after NFKC: bounds the work a request can ask for. */
export const MAX_PASSWORD_BYTES = 1024;

/** Which scheme new hashes use. */
export type PasswordScheme =
  | {
    readonly scheme: "pbkdf2";
    /** Total iterations; a multiple of 100,000; OWASP's 600,000 where missing. */
    readonly iterations?: number;
  }
  | {
    readonly scheme: "scrypt";
    /** OWASP's `{ logN: 15, r: 8, p: 3 }` (32 MiB) where missing. */
    readonly cost?: ScryptCost;
  };

/** Answer of {@link PasswordHasher.verify}. */
export interface PasswordVerdict {
  readonly ok: boolean;
  /** The password is right and its hash should be made again. */
  readonly rehash: boolean;
  /** The stored text is not a hash this host can check. */
  readonly unsupported: boolean;
}

/** The form in which a password is hashed: NFKC (RFC 8265 profiles agree on it for free text). */
export function normalizePassword(password: string): string {
  return password.normalize("NFKC");
}

/** Makes and checks hashes. */
export class PasswordHasher {
  readonly #primitive: PasswordPrimitive;
  readonly #target: Target;

  /** @throws {KontractError} `CONFIG` for a cost out of range */
  constructor(
    scheme: PasswordScheme = { scheme: "pbkdf2" },
    primitive: PasswordPrimitive = platformPrimitive,
  ) {
    this.#primitive = primitive;
    this.#target = target(scheme);
  }

  /** Hashes a password with a fresh salt. */
  async hash(password: string): Promise<string> {
    const bytes = utf8(normalizePassword(password));
    const salt = randomBytes(16);
    const value = { ...this.#target, salt, hash: new Uint8Array(32) } as PasswordHash;
    return formatPasswordHash({ ...value, hash: await this.#derive(bytes, value) });
  }

  /** Checks a password against a stored hash, or does the same work against none. */
  async verify(stored: string | null, password: string): Promise<PasswordVerdict> {
    const normal = utf8(normalizePassword(password));
    const tooLong = normal.length > MAX_PASSWORD_BYTES;
    const parsed = stored === null ? null : parsePasswordHash(stored);
    const subject = parsed ?? this.#decoy();
    // A password that is too long is cut only to do the same work; the answer is no either way.
    const bytes = normal.subarray(0, MAX_PASSWORD_BYTES);
    let derived: Uint8Array;
    try {
      derived = await this.#derive(bytes, subject);
    } catch {
      // Workers refuse a plain imported hash above their cap: the same work, then no.
      await this.#derive(bytes, this.#decoy());
      return { ok: false, rehash: false, unsupported: true };
    }
    const ok = equalBytes(derived, subject.hash) && parsed !== null && !tooLong;
    return {
      ok,
      rehash: ok && this.#outdated(subject),
      unsupported: stored !== null && parsed === null,
    };
  }

  #outdated(value: PasswordHash): boolean {
    const wanted = this.#target;
    if (value.scheme === "kontract-pbkdf2-sha256" && wanted.scheme === value.scheme) {
      return value.cost.iterations * value.cost.steps < wanted.cost.iterations * wanted.cost.steps;
    }
    if (value.scheme === "scrypt" && wanted.scheme === "scrypt") {
      const { cost } = value;
      return cost.logN < wanted.cost.logN || cost.r < wanted.cost.r ||
        (cost.logN === wanted.cost.logN && cost.p < wanted.cost.p);
    }
    return true;
  }

  #decoy(): PasswordHash {
    return { ...this.#target, salt: new Uint8Array(16), hash: randomBytes(32) } as PasswordHash;
  }

  #derive(password: Uint8Array, value: PasswordHash): Promise<Uint8Array> {
    switch (value.scheme) {
      case "kontract-pbkdf2-sha256":
        return pbkdf2Chain(this.#primitive, password, value.salt, value.cost);
      case "scrypt":
        return this.#primitive.scrypt(password, value.salt, value.cost, value.hash.length);
      case "pbkdf2-sha256":
        return this.#primitive.pbkdf2(password, value.salt, value.iterations, value.hash.length);
    }
  }
}

type Target =
  | { readonly scheme: "kontract-pbkdf2-sha256"; readonly cost: ChainCost }
  | { readonly scheme: "scrypt"; readonly cost: ScryptCost };

function target(scheme: PasswordScheme): Target {
  if (scheme.scheme === "pbkdf2") {
    const total = scheme.iterations ?? DEFAULT_CHAIN.iterations * DEFAULT_CHAIN.steps;
    const steps = total / MAX_ITERATIONS_PER_CALL;
    if (!(Number.isInteger(steps) && steps >= 1 && steps <= 100)) {
      throw new KontractError(
        "CONFIG",
        `PBKDF2 iterations must be a multiple of 100,000 up to 10,000,000: ${total} is not.`,
      );
    }
    return {
      scheme: "kontract-pbkdf2-sha256",
      cost: { iterations: MAX_ITERATIONS_PER_CALL, steps },
    };
  }
  if (scheme.scheme !== "scrypt") {
    throw new KontractError("CONFIG", "The password scheme must be 'pbkdf2' or 'scrypt'.");
  }
  const cost = scheme.cost ?? { logN: 15, r: 8, p: 3 };
  const within = (value: number, low: number, high: number): boolean =>
    Number.isInteger(value) && value >= low && value <= high;
  if (!within(cost.logN, 10, 18) || !within(cost.r, 1, 32) || !within(cost.p, 1, 16)) {
    throw new KontractError("CONFIG", "scrypt's cost must be logN 10–18, r 1–32, p 1–16.");
  }
  return { scheme: "scrypt", cost };
}
