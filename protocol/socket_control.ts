/**
 * Control on a WebSocket: RPC_CALL frames on stream 0, and the numbers in CREDIT frames.
 *
 * NUMBER says which identity the next call has, for exactly-once: `lane[8] ‖ reqno u64`; every call begun
 * after it takes the next number. A client sends it first, and again before it repeats a call from an
 * earlier connection under its old number.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, toBase64Url, viewOf } from "./bytes.ts";
import { SYSTEM_OPS } from "./rpc.ts";

/** Ops of stream 0. */
export const ControlOp = {
  /** Payload: the session token in UTF-8, empty for none; holds for later calls. */
  AUTHENTICATE: SYSTEM_OPS.AUTHENTICATE,
  /** Payload: lane and number of the next call. */
  NUMBER: 3,
} as const;

/** Element bytes that a server may send on a stream before the first CREDIT. */
export const INITIAL_CREDIT = 256 << 10;

/** What an element of an answer costs of it. */
export function costOf(element: Uint8Array): number {
  return Math.max(1, element.length);
}

/** The payload of NUMBER. */
export function encodeNumber(lane: Uint8Array, reqno: bigint): Bytes {
  const out = new Uint8Array(16);
  out.set(lane);
  viewOf(out).setBigUint64(8, reqno, true);
  return out;
}

/** Reads it back. Throws `RAY_PROTOCOL`. */
export function decodeNumber(payload: Uint8Array): { lane: string; reqno: bigint } {
  if (payload.length !== 16) throw new KontractError("RAY_PROTOCOL");
  return {
    lane: toBase64Url(payload.subarray(0, 8)),
    reqno: viewOf(payload).getBigUint64(8, true),
  };
}

/** The payload of CREDIT: bytes, u32; its op is the argument, where a server grants it. */
export function encodeCredit(bytes: number): Bytes {
  const out = new Uint8Array(4);
  viewOf(out).setUint32(0, bytes, true);
  return out;
}

/** Reads it back. Throws `RAY_PROTOCOL`. */
export function decodeCredit(payload: Uint8Array): number {
  if (payload.length !== 4) throw new KontractError("RAY_PROTOCOL");
  return viewOf(payload).getUint32(0, true);
}

/** Bytes that may still be sent; waits where there are none. */
export class CreditGate {
  #credit = INITIAL_CREDIT;
  #waiting: (() => void) | undefined;

  /** More may be sent. Throws `RAY_PROTOCOL` for more than anyone could hold. */
  grant(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > 2 ** 31) throw new KontractError("RAY_PROTOCOL");
    if (this.#credit > 0) this.#waiting?.();
  }

  /** Resolves when something may be sent, or at once after `signal` is aborted; then `bytes` are spent. */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#credit <= 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener("abort", done);
          resolve();
        };
        this.#waiting = done;
        signal.addEventListener("abort", done);
      });
      this.#waiting = undefined;
    }
    this.#credit -= bytes;
  }
}
