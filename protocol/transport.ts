/**
 * The client side of raystream as the client runtime sees it: sealed calls over some transport.
 *
 * @module
 */

/** Options of one call. */
export interface TransportCallOptions {
  /** Session token; null before there is a session. Sent inside the sealed part only. */
  readonly token: string | null;
  /** True where the call may change state: it is never sent a second time under another identity. */
  readonly mutation: boolean;
  /** Aborting it cancels the call, on the server too. */
  readonly signal?: AbortSignal;
  /** Milliseconds the caller is willing to wait. */
  readonly timeout?: number;
  /**
   * Streamed arguments, encoded element by element, in the order of the function's parameters. Over a
   * WebSocket they are read as the function takes them; over HTTP one after the other, into one body.
   */
  readonly inputs?: readonly AsyncIterable<Uint8Array>[] | undefined;
  /** Told how many bytes of them have left, a window ahead of the function at most. */
  readonly onProgress?: ((sent: number) => void) | undefined;
}

/** A sealed channel to one gateway. */
export interface Transport {
  /** One call, one answer. Rejects with a KontractError (`code` as the server said, `NETWORK`, `OUTCOME_UNKNOWN`, `RAY_SERVER_KEY`, …). */
  call(op: number, payload: Uint8Array, options: TransportCallOptions): Promise<Uint8Array>;
  /** A call whose answer is a stream of elements. Ending the iteration cancels on the server. */
  stream(op: number, payload: Uint8Array, options: TransportCallOptions): AsyncIterable<Uint8Array>;
  /** Ends everything; later calls reject with `CANCELLED`. */
  close(): void;
}

/** The highest serial of a key set that was seen, by the root's pin; 0 for none. */
export interface SerialMemory {
  /** Reads it. */
  get(pin: string): number | Promise<number>;
  /** Stores it. */
  set(pin: string, serial: number): void | Promise<void>;
}

/** What a transport is made from. */
export interface TransportOptions {
  /** Origin of the gateway, e.g. `https://app.example.com`. */
  readonly url: string;
  /** App id: part of the prologue. */
  readonly app: string;
  /**
   * Pinned static keys: 1–3 raw X25519 public keys, base64url. Or one `root.` with the Ed25519 key, base64url,
   * that signs the gateway's key set (`key_set.ts`).
   */
  readonly pins: readonly string[];
  /** Where serials of key sets are remembered, by pin; the memory of the process where missing. */
  readonly serials?: SerialMemory;
  /** `fetch` to use; the platform's by default. */
  readonly fetch?: typeof fetch;
}
