/**
 * Reads the body of a request: up to a limit and not one chunk further, and only while it keeps a pace. Who
 * sends slower holds memory and a connection for nothing; an honest link of two kilobytes a second is quick
 * enough.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** What is read at most of a body that nobody wants any more: more than is on the way while the answer travels. */
export const DROPPED_BYTES = 64 << 20;
/** How long. */
export const DROPPED_MS = 10_000;

/** So many bytes of a body, or its end, must come in so many milliseconds, over and over. */
export interface BodyPace {
  /** How much must come. */
  readonly bytes: number;
  /** In what time. */
  readonly milliseconds: number;
}

/** The pace where nothing else is said. */
export const BODY_PACE: BodyPace = { bytes: 64 << 10, milliseconds: 30_000 };

/** How a body is read. */
export interface BodyRules {
  /** Bytes that it may have. */
  readonly limit: number;
  /** Bytes after which its reader looks at it before it goes on; `limit` where missing. */
  readonly start?: number;
  readonly pace: BodyPace;
}

/** A body, or its start where it is longer than its reader takes at once. */
export interface BodyStart {
  /** In order, as they came. */
  readonly chunks: readonly Uint8Array[];
  /** Reads on; null where the body has ended. */
  readonly rest: PacedReader | null;
}

/** A body that was given up because it was too slow. */
interface GivenUp {
  /** What its sender does next: true where it ends the body or goes, false where it goes on. */
  readonly next: Promise<boolean>;
  readonly pace: BodyPace;
}

const GIVEN_UP = new WeakMap<Request, GivenUp>();

/**
 * Null unless the body of `request` was given up. Then resolves with what its sender does next: true where it
 * ends the body, goes, or does nothing for as long again; false where it goes on, the body has been cancelled then.
 */
export function afterGivingUp(request: Request): Promise<boolean> | null {
  const given = GIVEN_UP.get(request);
  if (given === undefined) return null;
  return new Promise((resolve) => {
    // Who waits for the answer's end before it does anything would wait for ever.
    const timer = setTimeout(() => resolve(true), given.pace.milliseconds);
    void given.next.then((isOver) => {
      clearTimeout(timer);
      resolve(isOver);
    });
  });
}

/**
 * Bytes of a request's body up to the chunk that goes beyond the rules' start.
 *
 * @throws {KontractError} `TOO_LARGE` where the length it tells is more than the limit, `TOO_SLOW`
 */
export async function readStart(
  request: Request,
  { limit, start = limit, pace }: BodyRules,
): Promise<BodyStart> {
  const claimed = Number(request.headers.get("content-length") ?? "NaN");
  // What follows is the host's to end: it may have to be read for the refusal to arrive.
  if (claimed > limit) throw bodyTooLarge(limit);
  // HTTP itself holds a body to its content-length, and one read of all costs less than a reader.
  if (claimed <= Math.min(pace.bytes, start)) {
    const bytes = await inTime(request, request.arrayBuffer(), pace);
    if (bytes.byteLength > limit) throw bodyTooLarge(limit);
    return { chunks: [new Uint8Array(bytes)], rest: null };
  }
  if (request.body === null) return { chunks: [], rest: null };
  const reader = new PacedReader(request, request.body, pace);
  const whole = Number.isInteger(claimed);
  const chunks: Uint8Array[] = [];
  for (let length = 0; whole || length <= start;) {
    const { done, value } = await reader.read();
    if (done) return { chunks, rest: null };
    length += value.length;
    chunks.push(value);
    if (length > limit) break;
  }
  return { chunks, rest: reader };
}

/** What is said of a body that is too long. */
export function bodyTooLarge(limit: number): KontractError {
  return new KontractError("TOO_LARGE", `The body is larger than ${limit} bytes.`);
}

/** Reads a body while it keeps its pace. */
export class PacedReader {
  readonly #request: Request;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #pace: BodyPace;
  readonly #late = Promise.withResolvers<never>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due: number;
  #reading: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;

  /** The clock runs from now on. */
  constructor(request: Request, body: ReadableStream<Uint8Array>, pace: BodyPace) {
    this.#request = request;
    this.#reader = body.getReader();
    this.#pace = pace;
    this.#due = pace.bytes;
    this.#late.promise.catch(() => {});
    this.#start();
  }

  /** The next chunk. @throws {KontractError} `TOO_SLOW`; the body is then given up */
  async read(): Promise<ReadableStreamReadResult<Uint8Array>> {
    try {
      const chunk = await Promise.race([this.#reading = this.#reader.read(), this.#late.promise]);
      if (chunk.done) this.letGo();
      else if ((this.#due -= chunk.value.length) <= 0) this.#start();
      return chunk;
    } catch (error) {
      this.letGo();
      throw error;
    }
  }

  /** Ends the clock: whoever reads on takes the time that it takes. */
  letGo(): ReadableStreamDefaultReader<Uint8Array> {
    clearTimeout(this.#timer);
    return this.#reader;
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#due = this.#pace.bytes;
    this.#timer = setTimeout(() => this.#giveUp(), this.#pace.milliseconds);
  }

  // Deno keeps a connection for ever whose body is cancelled while it is being read.
  #giveUp(): void {
    const next = Promise.resolve(this.#reading).then(async (chunk) => {
      await this.#reader.cancel();
      return chunk?.done === true;
    }).catch(() => true);
    this.#late.reject(tooSlow(this.#request, this.#pace, next));
  }
}

function inTime<T>(request: Request, work: Promise<T>, pace: BodyPace): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(tooSlow(request, pace, work.then(() => true, () => true)));
    }, pace.milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function tooSlow(request: Request, pace: BodyPace, next: Promise<boolean>): KontractError {
  const { bytes, milliseconds } = pace;
  GIVEN_UP.set(request, { next, pace });
  return new KontractError(
    "TOO_SLOW",
    `The body came too slowly: ${bytes} bytes of it, or its end, must come in ${milliseconds} milliseconds.`,
  );
}

/** What reads on in a body. */
export type RestReader = Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel">;

const LEFT = new WeakMap<Request, RestReader | null>();

/** Leaves the rest of a body to its host, see {@link unreadRest}; null where there is none any more. */
export function leaveRest(request: Request, rest: RestReader | null): void {
  LEFT.set(request, rest);
}

/**
 * What nobody has read of the body of an answered request; null for nothing, or where it was given up. It is the
 * host's to read or to end: hosts close a connection on which nobody reads, and an answer that is still on its way
 * is lost with it, or read what comes for ever.
 */
export function unreadRest(request: Request): RestReader | null {
  if (GIVEN_UP.has(request)) return null;
  const left = LEFT.get(request);
  if (left !== undefined) return left;
  const unread = !request.bodyUsed && request.body !== null && !request.body.locked;
  return unread ? request.body.getReader() : null;
}

/** `response`, whose end waits until the sender has ended what is left of its body, or for a bounded while. */
export function endingWith(request: Request, response: Response): Response {
  const rest = response.body === null ? null : unreadRest(request);
  if (rest === null) return response;
  const waiting = new TransformStream<Uint8Array, Uint8Array>({ flush: () => dropRest(rest) });
  return new Response(response.body!.pipeThrough(waiting), response);
}

/** Reads on and drops what comes, within bounds. Never rejects. */
async function dropRest(reader: RestReader): Promise<void> {
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), DROPPED_MS);
  try {
    for (let length = 0; length <= DROPPED_BYTES;) {
      const { done, value } = await reader.read();
      if (done) return;
      length += value.length;
    }
    await reader.cancel();
  } catch {
    // The sender has gone.
  } finally {
    clearTimeout(timer);
  }
}
