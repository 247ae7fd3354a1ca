/**
 * What a request was, as 32 bytes: its channel, its route and its arguments as they came.
 *
 * An identity for exactly-once is chosen by the client, so an answer that is stored under one carries the
 * stamp of the request it was made for. A repeat has the same stamp; anything else that comes under the same
 * identity gets `REPLAY` and never the answer to another request.
 *
 * @module
 */
import type { createHash } from "node:crypto";
import { KontractError } from "../_internal/errors.ts";

const LENGTH = 32;

let hash: typeof createHash | undefined;

/** The stamp of one request. */
export class RequestStamp {
  /** Of what came with the call itself. */
  readonly whole: Uint8Array;
  readonly #read = new Map<number, Uint8Array>();

  private constructor(whole: Uint8Array) {
    this.whole = whole;
  }

  /** Of a request; the first one loads `node:crypto`. */
  static async of(
    channel: "json" | "raystream",
    route: string,
    content: Uint8Array,
  ): Promise<RequestStamp> {
    hash ??= (await import("node:crypto")).createHash;
    return new RequestStamp(sha256(new TextEncoder().encode(`${channel} ${route}\n`), content));
  }

  /** Takes in one element of the n-th streamed argument. */
  take(argument: number, element: Uint8Array): void {
    this.#read.set(argument, sha256(this.#read.get(argument) ?? this.whole, element));
  }

  /** Of the call and the elements taken in so far: what a part of the call can depend on. */
  soFar(): Uint8Array {
    let stamp = this.whole;
    for (const argument of [...this.#read.keys()].sort((a, b) => a - b)) {
      stamp = sha256(stamp, Uint8Array.of(argument), this.#read.get(argument)!);
    }
    return stamp;
  }
}

/** An answer as it is stored. */
export function stamped(stamp: Uint8Array, answer: Uint8Array): Uint8Array {
  const stored = new Uint8Array(LENGTH + answer.length);
  stored.set(stamp);
  stored.set(answer, LENGTH);
  return stored;
}

/** The answer in what was stored. @throws {KontractError} `REPLAY` where it was stored for another request */
export function unstamped(stamp: Uint8Array, stored: Uint8Array): Uint8Array {
  if (stamp.every((byte, at) => byte === stored[at])) return stored.subarray(LENGTH);
  throw new KontractError(
    "REPLAY",
    "Another request was made with this Idempotency-Key, or with this lane and number.",
  );
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  if (hash === undefined) throw new Error("Invariant: a stamp is made by RequestStamp.of.");
  const sum = hash("sha256");
  for (const part of parts) sum.update(part);
  return new Uint8Array(sum.digest());
}
