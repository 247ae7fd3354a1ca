/**
 * What generated code tells the client of a backend function.
 *
 * @module
 */

/** One backend function, as the compiler describes it to the client. */
export interface ClientRoute {
  /** Public name. */
  readonly name: string;
  /** Numeric id on the wire. */
  readonly op: number;
  /** True: the call changes nothing and may be sent again. */
  readonly readOnly: boolean;
  /** True where the result is a stream. */
  readonly stream: boolean;
  /** Seconds a result may be kept; missing for none. */
  readonly cache?: number;
  /** Arguments → bytes; throws `VALIDATION` where one breaks its type. */
  encodeArguments(args: unknown[]): Uint8Array;
  /** Bytes → result, or one element of a stream; throws `RAY_DECODE`. */
  decodeResult(bytes: Uint8Array): unknown;
}

/** Options of one call. */
export interface ClientCallOptions {
  /** Aborting cancels the call, on the server too. */
  readonly signal?: AbortSignal;
  /** Milliseconds the caller is willing to wait, session included; 30,000 where not said. */
  readonly timeout?: number;
}
