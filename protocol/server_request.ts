/**
 * An HTTP request body, opened: prefix, ticket, frames, calls. Everything is read before anything runs.
 *
 * Frames are an optional AUTHENTICATE (stream 0, op 0), then the calls in order on streams 1, 3, 5, …;
 * the last frame carries END, so a body cut at a frame's edge is refused too.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { Assembler } from "./assembler.ts";
import { type Bytes, toBase64Url } from "./bytes.ts";
import type { Symmetric } from "./crypto/provider.ts";
import { FrameSplitter, FrameType } from "./frames.ts";
import { MAX_TOKEN, type RayLimits } from "./limits.ts";
import { readPrefix, requestKey, requestNumber } from "./message_keys.ts";
import { MessageOpener, type RayMessage } from "./message_state.ts";
import { SYSTEM_OPS } from "./rpc.ts";
import { MAX_INPUTS, readTwice } from "./socket_input.ts";
import type { TicketBox } from "./tickets.ts";

/** One call of a body. */
export interface OpenedCall {
  readonly stream: number;
  readonly op: number;
  readonly reqno: bigint;
  readonly payload: Uint8Array;
  /** Elements of its streamed arguments. */
  readonly inputs: ReadonlyMap<number, readonly Uint8Array[]>;
}

/** A body that is authentic and whole. */
export interface OpenedRequest {
  readonly token: string | null;
  readonly lane: string;
  readonly calls: readonly OpenedCall[];
  /** For the answer's key. */
  readonly rms: Bytes;
  readonly prefixHash: Bytes;
}

/** Opens `body`. Throws `RAY_TICKET`, `RAY_PROTOCOL`, `TOO_LARGE`; the caller makes them look alike. */
export async function openRequest(
  crypto: Symmetric,
  tickets: TicketBox,
  limits: RayLimits,
  body: Uint8Array,
): Promise<OpenedRequest> {
  const { prefix, length } = readPrefix(body);
  const ticket = await tickets.open(prefix.ticket);
  if (ticket === null) throw new KontractError("RAY_TICKET");
  const prefixHash = crypto.sha256(body.subarray(0, length));
  const messages = openMessages(
    new MessageOpener(crypto, requestKey(crypto, ticket.rms, prefixHash)),
    limits,
    body.subarray(length),
  );
  const [first, ...rest] = messages;
  const token = first?.stream === 0 ? readToken(first) : null;
  const calls = openCalls(first?.stream === 0 ? rest : messages, prefix.reqno);
  if (calls.length === 0 || calls.length > limits.streams) throw new KontractError("RAY_PROTOCOL");
  return { token, lane: toBase64Url(prefix.lane), calls, rms: ticket.rms, prefixHash };
}

/** Calls in order, each followed by the elements and ends of its streamed arguments. */
function openCalls(messages: readonly RayMessage[], first: bigint): OpenedCall[] {
  const calls: OpenedCall[] = [];
  let inputs = new Map<number, Uint8Array[]>();
  let open = new Set<number>();
  for (const { type, stream, op, payload } of messages) {
    if (type === FrameType.RPC_CALL) {
      const k = calls.length;
      if (stream !== 2 * k + 1 || open.size > 0) throw new KontractError("RAY_PROTOCOL");
      inputs = new Map();
      open = new Set();
      calls.push({ stream, op, payload, inputs, reqno: requestNumber(first, k) });
      continue;
    }
    const element = type === FrameType.EVENT;
    const end = type === FrameType.RPC_RESPONSE && payload.length === 0;
    const fits = (element || end) && stream === calls.at(-1)?.stream && op < MAX_INPUTS;
    if (!fits || inputs.has(op) && !open.has(op)) throw new KontractError("RAY_PROTOCOL");
    if (!inputs.has(op)) inputs.set(op, []);
    if (element) inputs.get(op)!.push(payload);
    if (element) open.add(op);
    else open.delete(op);
  }
  if (open.size > 0) throw new KontractError("RAY_PROTOCOL");
  return calls;
}

/** Gives out streamed arguments, each once. */
export function inputsOf(
  { inputs }: OpenedCall,
  signal: AbortSignal,
): (argument: number) => AsyncIterable<Uint8Array> {
  const read = new Set<number>();
  return async function* (argument): AsyncGenerator<Uint8Array, void, void> {
    const elements = inputs.get(argument);
    if (elements === undefined) throw new KontractError("BAD_REQUEST", MISSING_INPUT);
    if (read.has(argument)) throw readTwice();
    read.add(argument);
    for (const element of elements) {
      if (signal.aborted) throw new KontractError("CANCELLED");
      yield await Promise.resolve(element);
    }
  };
}

const MISSING_INPUT = "A streamed argument is missing.";

function openMessages(opener: MessageOpener, limits: RayLimits, bytes: Uint8Array): RayMessage[] {
  const splitter = new FrameSplitter();
  const assembler = new Assembler(limits);
  const messages: RayMessage[] = [];
  let total = 0;
  for (const raw of splitter.push(bytes)) {
    const message = assembler.push(opener.open(raw));
    if (message === null) continue;
    total += message.payload.length;
    if (total > limits.message + MAX_TOKEN) throw new KontractError("TOO_LARGE");
    messages.push(message);
  }
  if (!opener.ended || splitter.unfinished || assembler.unfinished) {
    throw new KontractError("RAY_PROTOCOL");
  }
  return messages;
}

/** The token of an AUTHENTICATE message; null for an empty one. Throws `RAY_PROTOCOL`. */
export function readToken(message: RayMessage): string | null {
  const { type, op, payload } = message;
  if (type !== FrameType.RPC_CALL || op !== SYSTEM_OPS.AUTHENTICATE || payload.length > MAX_TOKEN) {
    throw new KontractError("RAY_PROTOCOL");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(payload) || null;
  } catch {
    throw new KontractError("RAY_PROTOCOL");
  }
}
