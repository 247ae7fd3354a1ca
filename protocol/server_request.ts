/**
 * An HTTP request body, opened: prefix, ticket, frames, calls. Everything is read before anything runs,
 * except for a single call whose streamed arguments are longer than a message: they are read as it goes.
 *
 * Frames are an optional AUTHENTICATE (stream 0, op 0), then the calls in order on streams 1, 3, 5, …;
 * the last frame carries END, so a body cut at a frame's edge is refused too.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { BodyInputs } from "./body_inputs.ts";
import { BodyOpener } from "./body_opener.ts";
import { type Bytes, toBase64Url } from "./bytes.ts";
import type { Symmetric } from "./crypto/provider.ts";
import { FrameType } from "./frames.ts";
import { bodyLimit, MAX_TOKEN, type RayLimits } from "./limits.ts";
import { readPrefix, requestKey, requestNumber } from "./message_keys.ts";
import type { RayMessage } from "./message_state.ts";
import type { PacedReader } from "./request_body.ts";
import { SYSTEM_OPS } from "./rpc.ts";
import type { TicketBox } from "./tickets.ts";

/** One call of a body. */
export interface OpenedCall {
  readonly stream: number;
  readonly op: number;
  readonly reqno: bigint;
  readonly payload: Uint8Array;
  /** Its streamed arguments. */
  readonly inputs: BodyInputs;
}

/** A body that is authentic and whole, or the authentic start of one whose streamed arguments go on. */
export interface OpenedRequest {
  readonly token: string | null;
  readonly lane: string;
  readonly calls: readonly OpenedCall[];
  /** For the answer's key. */
  readonly rms: Bytes;
  readonly prefixHash: Bytes;
}

/** What has come of a body. */
export interface RequestStart {
  /** At least {@link MAX_PREFIX} bytes, or the whole body. */
  readonly head: Uint8Array;
  readonly others: readonly Uint8Array[];
  /** Reads on; null where the body has ended. */
  readonly rest: PacedReader | null;
}

/** Opens a body. Throws `RAY_TICKET`, `RAY_PROTOCOL`, `TOO_LARGE`; the caller makes them look alike. */
export async function openRequest(
  crypto: Symmetric,
  tickets: TicketBox,
  limits: RayLimits,
  { head, others, rest: more }: RequestStart,
): Promise<OpenedRequest> {
  const { prefix, length } = readPrefix(head);
  const ticket = await tickets.open(prefix.ticket);
  if (ticket === null) throw new KontractError("RAY_TICKET");
  const prefixHash = crypto.sha256(head.subarray(0, length));
  const opener = new BodyOpener(crypto, requestKey(crypto, ticket.rms, prefixHash), limits);
  const messages = opener.push(head.subarray(length));
  let read = head.length;
  for (const chunk of others) {
    messages.push(...opener.push(chunk));
    read += chunk.length;
  }
  const rest = more && await readOn(more, read, { opener, messages, limits });
  const [first, ...behind] = messages;
  const token = first?.stream === 0 ? readToken(first) : null;
  const calls = openCalls(first?.stream === 0 ? behind : messages, prefix.reqno);
  if (calls.length === 0 || calls.length > limits.streams) throw new KontractError("RAY_PROTOCOL");
  if (rest === null) {
    opener.finish();
    const large = calls.length > 1 && sizeOf(messages) > limits.message + MAX_TOKEN;
    if (large) throw new KontractError("TOO_LARGE");
    if (calls.some(({ inputs }) => inputs.unfinished)) throw new KontractError("RAY_PROTOCOL");
  } else if (calls.length > 1 || opener.ended) {
    throw new KontractError("TOO_LARGE");
  } else calls[0]!.inputs.readOn({ reader: rest.letGo(), opener, most: limits.reassembly });
  return { token, lane: toBase64Url(prefix.lane), calls, rms: ticket.rms, prefixHash };
}

interface Opening {
  readonly opener: BodyOpener;
  readonly messages: RayMessage[];
  readonly limits: RayLimits;
}

/**
 * Reads a body on to its end, or until elements of its first call have come: the function may take the others
 * as they come. Null at the end.
 */
async function readOn(
  rest: PacedReader,
  length: number,
  { opener, messages, limits }: Opening,
): Promise<PacedReader | null> {
  for (let read = length; read <= bodyLimit(limits);) {
    const last = messages.at(-1);
    if (!opener.ended && last?.stream === 1 && last.type !== FrameType.RPC_CALL) break;
    const { done, value } = await rest.read();
    if (done) return null;
    messages.push(...opener.push(value));
    read += value.length;
  }
  return rest;
}

/** Calls in order, each followed by the elements and ends of its streamed arguments. */
function openCalls(messages: readonly RayMessage[], first: bigint): OpenedCall[] {
  const calls: OpenedCall[] = [];
  for (const message of messages) {
    const { type, stream, op, payload } = message;
    const last = calls.at(-1);
    if (type !== FrameType.RPC_CALL) {
      if (last === undefined) throw new KontractError("RAY_PROTOCOL");
      last.inputs.push(message);
      continue;
    }
    const k = calls.length;
    if (stream !== 2 * k + 1 || last?.inputs.unfinished) throw new KontractError("RAY_PROTOCOL");
    const inputs = new BodyInputs(stream);
    calls.push({ stream, op, payload, inputs, reqno: requestNumber(first, k) });
  }
  return calls;
}

function sizeOf(messages: readonly RayMessage[]): number {
  return messages.reduce((sum, { payload }) => sum + payload.length, 0);
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
