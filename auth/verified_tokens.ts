/**
 * Tokens whose signature was found good, by their whole text: a visitor sends the same one with every
 * call, and checking it costs a hop to another thread and more than the rest of a small call.
 *
 * Nothing is decided here that could change meanwhile. Time is checked on every use; revocation is the
 * database's to say, as for a token that was checked anew; the keys are fixed for the life of a gateway.
 *
 * @module
 */
import type { Principal } from "./contract.ts";

/** Seconds since the epoch between which a token may be used, skew included. */
export interface TokenWindow {
  readonly from: number;
  /** First second at which it may not. */
  readonly until: number;
}

interface Entry extends TokenWindow {
  readonly principal: Principal;
}

/** About 1 kB each. */
const LIMIT = 4096;

/** A bounded memory of verified tokens; the longest unused goes first. */
export class VerifiedTokens {
  readonly #entries = new Map<string, Entry>();

  /** Who the token speaks for, or null where it must be checked anew. `now` in seconds. */
  get(token: string, now: number): Principal | null {
    const entry = this.#entries.get(token);
    if (entry === undefined) return null;
    this.#entries.delete(token);
    if (now < entry.from || now >= entry.until) return null;
    this.#entries.set(token, entry);
    return entry.principal;
  }

  /** Remembers a token that was just verified. */
  add(token: string, principal: Principal, window: TokenWindow): void {
    this.#entries.set(token, { principal, ...window });
    if (this.#entries.size <= LIMIT) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }
}
