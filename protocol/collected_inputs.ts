/**
 * Streamed arguments over HTTP, one after the other. What fits into a message goes into the call's body as a
 * whole, which can be sent again. What does not is sealed as the body is sent, so no file is ever held;
 * such a body can be sent once.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Bytes } from "./bytes.ts";
import type { InputMessage, PlainRequest } from "./client_body.ts";
import type { RayLimits } from "./limits.ts";
import type { TransportCallOptions } from "./transport.ts";

/** Streamed arguments, ready for the body of their call. */
export interface CollectedInputs {
  /** All of them, or the first. */
  readonly inputs: readonly InputMessage[];
  /** Seals the others. */
  readonly more?: PlainRequest["more"];
  /** True once `more` was asked for: what it gives cannot be had again. */
  begun?: boolean;
  /** The answer is there: ends the body in good order, whatever there is still to send. */
  readonly enough?: () => void;
}

/** What arguments are collected for. */
export interface CollectOptions {
  readonly limits: RayLimits;
  readonly payload: Uint8Array;
  /** Ends the reading. */
  readonly signal: AbortSignal;
  /** Told what a source throws once its body is being sent. */
  readonly fail: (error: unknown) => void;
}

// What a frame adds to an element, its types and the stream of a body's only call; `sealed_frame.ts` and
// `frames.ts` would be chunks of their own here.
const FRAME = 40;
const EVENT = 0x21;
const RPC_RESPONSE = 0x11;
const STREAM = 1;
const EMPTY = new Uint8Array(0);

// A call that is sent again finds what was read: a source can be read once.
const collected = new WeakMap<object, CollectedInputs>();

/**
 * Reads arguments until they end or are more than a message.
 *
 * @throws {KontractError} `TOO_LARGE` where the platform cannot stream what is more, or for one element;
 * `CONFLICT` where they were sent already and cannot be sent again
 * @throws what a source throws
 */
export async function collectInputs(
  { inputs: sources = [], onProgress }: TransportCallOptions,
  { limits, payload, signal, fail }: CollectOptions,
): Promise<CollectedInputs> {
  const known = collected.get(sources);
  if (known?.more !== undefined) throw new KontractError("CONFLICT", SENT);
  if (known !== undefined) return known;
  const messages = readMessages(sources, limits.message, onProgress, signal);
  const inputs: InputMessage[] = [];
  let room = limits.message - payload.length;
  let ended = false;
  while (!ended && room >= 0) {
    const { done, value } = await messages.next();
    ended = done === true;
    if (done === true) break;
    inputs.push(value);
    room -= value.payload.length + FRAME;
  }
  if (!ended && !streamsRequests()) {
    await messages.return();
    const text = `From here a call over HTTP may have ${limits.message} bytes, streams included.`;
    throw new KontractError("TOO_LARGE", text);
  }
  const answered = new AbortController();
  const rest: CollectedInputs["more"] = (head, sealer, leaves) => {
    result.begun = true;
    const seal = (input: InputMessage): Bytes =>
      sealer.seal({ ...input, stream: STREAM }, isLast(input, sources.length));
    return streamBody(head, messages, seal, { signal, answered: answered.signal, fail, leaves });
  };
  const enough = (): void => answered.abort();
  const result: CollectedInputs = ended ? { inputs } : { inputs, more: rest, enough };
  collected.set(sources, result);
  return result;
}

const SENT = "What a streamed argument gave was sent already: call again with a new one.";

function isLast({ type, op }: InputMessage, count: number): boolean {
  return type === RPC_RESPONSE && op === count - 1;
}

interface BodyEvents extends Pick<CollectOptions, "signal" | "fail"> {
  readonly answered: AbortSignal;
  readonly leaves: () => void;
}

/** `head`, then what `seal` makes of each of `messages`, as fast as it is read, until `signal` or `answered`. */
function streamBody(
  head: Bytes,
  messages: AsyncGenerator<InputMessage, void, void>,
  seal: (input: InputMessage) => Bytes,
  { signal, answered, fail, leaves }: BodyEvents,
): ReadableStream<Bytes> {
  let over = false;
  const leave = (): void => {
    over = true;
    messages.return().catch(() => {});
  };
  return new ReadableStream<Bytes>({
    start(controller): void {
      controller.enqueue(head);
      signal.addEventListener("abort", () => {
        controller.error(signal.reason);
        leave();
      }, { once: true });
      answered.addEventListener("abort", () => {
        if (!over) controller.close();
        leave();
      }, { once: true });
    },
    async pull(controller): Promise<void> {
      leaves();
      try {
        const { done, value } = await messages.next();
        if (over) return;
        over = done === true;
        if (over || value === undefined) controller.close();
        else controller.enqueue(seal(value));
      } catch (error) {
        if (!over) fail(error);
        over = true;
        throw error;
      }
    },
    cancel: leave,
  }, { highWaterMark: 0 });
}

// Where streams are not known as bodies they become text, with a type of its own.
function streamsRequests(): boolean {
  try {
    const init = { method: "POST", body: new ReadableStream(), duplex: "half" };
    return !new Request("http://localhost", init).headers.has("content-type");
  } catch {
    return false;
  }
}

/** Elements and ends, one argument after the other. */
async function* readMessages(
  sources: readonly AsyncIterable<Uint8Array>[],
  limit: number,
  onProgress: TransportCallOptions["onProgress"],
  signal: AbortSignal,
): AsyncGenerator<InputMessage, void, void> {
  let sent = 0;
  for (const [op, source] of sources.entries()) {
    for await (const payload of unlessAborted(source, signal)) {
      if (payload.length > limit) {
        throw new KontractError("TOO_LARGE", `An element may have ${limit} bytes at most.`);
      }
      yield { type: EVENT, op, payload };
      onProgress?.(sent += payload.length);
    }
    yield { type: RPC_RESPONSE, op, payload: EMPTY };
  }
}

async function* unlessAborted(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  const leave = (): void => void iterator.return?.()?.catch(() => {});
  signal.addEventListener("abort", leave, { once: true });
  let ended = false;
  try {
    while (!signal.aborted) {
      const { done, value } = await iterator.next();
      ended = done === true;
      if (ended) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", leave);
    if (!ended) leave();
  }
}
