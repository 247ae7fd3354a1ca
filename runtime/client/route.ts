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
  /** Streamed arguments, where it has any. */
  readonly inputs?: readonly ClientInput[];
  /** Seconds a result may be kept; missing for none. */
  readonly cache?: number;
  /** Reads the files among the arguments; missing where there can be none. */
  readFiles?(args: readonly unknown[]): Promise<void>;
  /** Arguments → bytes; throws `VALIDATION` where one breaks its type. */
  encodeArguments(args: unknown[]): Uint8Array;
  /** Bytes → result, or one element of a stream; throws `RAY_DECODE`. */
  decodeResult(bytes: Uint8Array): unknown;
}

/** A streamed argument. */
export interface ClientInput {
  /** Its place among the arguments. */
  readonly at: number;
  /** True where the elements are bytes that may be cut anywhere. */
  readonly bytes?: boolean;
  /** Reads the files of an element; missing where there can be none. */
  readFiles?(element: unknown): Promise<void>;
  /** One element → bytes; throws `VALIDATION` where it breaks its type. */
  encode(element: unknown): Uint8Array;
}

/** Options of one call. */
export interface ClientCallOptions {
  /** Aborting cancels the call, on the server too. */
  readonly signal?: AbortSignal;
  /**
   * Milliseconds the caller is willing to wait, session included; 30,000 where not said. A call with a
   * streamed argument, and one that answers with a stream, waits as long as the server lets it; where this is
   * said, for a stream until its end.
   */
  readonly timeout?: number;
  /**
   * Told how many bytes of streamed arguments have left, of a file out of its size, of other elements as
   * they were encoded: over a WebSocket a quarter of a megabyte ahead of the function at most.
   */
  onProgress?(sent: number): void;
}
