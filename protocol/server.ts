/**
 * raystream at the gateway. Over HTTP one POST finishes a handshake, one POST carries calls, and nothing is
 * kept between them; over WebSocket a session lives as long as its socket (`socket_session.ts`).
 *
 * Whatever fails before a body is authentic gets one and the same answer: status 400 and 16 fixed bytes.
 * (408, 413 and 429 depend on nothing but time, length and address.) Whatever fails after it is an RPC_ERROR inside
 * the channel. This layer checks no rights: the dispatcher does, for every call.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, concat, randomBytes, withStart } from "./bytes.ts";
import type { CryptoProvider } from "./crypto/provider.ts";
import { loadProvider } from "./crypto/select.ts";
import { FrameType, outerFailure } from "./frames.ts";
import { RayTransport } from "./hello.ts";
import { bodyLimit, MAX_INIT, type RayLimits, resolveLimits } from "./limits.ts";
import { MAX_PREFIX, responseKey, SALT_LENGTH } from "./message_keys.ts";
import { MessageSealer } from "./message_state.ts";
import { PeerWatch } from "./peer_watch.ts";
import { BODY_PACE, type BodyPace, leaveRest, readStart } from "./request_body.ts";
import { type Dispatch, SYSTEM_OPS } from "./rpc.ts";
import { grantSession, respond } from "./server_handshake.ts";
import { deriveServerKeys, type ServerKeys } from "./server_keys.ts";
import { replyBody, type RunningCall, settle, tooManySubscriptions } from "./server_reply.ts";
import { type OpenedRequest, openRequest } from "./server_request.ts";
import type { RaySocket } from "./socket_link.ts";
import { type SavedSocket, SocketSession, type SocketSessionOptions } from "./socket_session.ts";
import { EPOCH_MS, type EpochStore, TicketBox, type TicketClock } from "./tickets.ts";

/** Media type of every raystream body. */
export const RAY_CONTENT_TYPE = "application/raystream";

/** What a raystream server is made from. */
export interface RaystreamServerOptions {
  /** App id; a hello for another app is refused. */
  readonly app: string;
  /** `KONTRACT_SECRET`, newest first. */
  readonly secrets: readonly Uint8Array[];
  readonly epochs: EpochStore;
  readonly clock: TicketClock;
  readonly limits?: Partial<RayLimits>;
  /** How fast bodies must come; {@link BODY_PACE} where missing. */
  readonly pace?: BodyPace;
  /** The platform's best by default. */
  readonly provider?: CryptoProvider;
  /** Tickets from before this number are refused. */
  readonly authEpoch?: number;
  /** Milliseconds a ticket lives: one hour by default, and at most. */
  readonly ticketLifetime?: number;
  /** False refuses a handshake before any key agreement (429): per-address rate limits go here. */
  readonly admit?: (request: Request) => boolean | Promise<boolean>;
  /** Told the reason of every outer failure: for the log, never for the peer. */
  readonly onFailure?: (error: unknown) => void;
}

/** Stores a hibernating socket's state, before it returns. */
export type PersistSocket = (saved: SavedSocket) => void;

/** A raystream server. */
export interface RaystreamServer {
  /** Answers one POST. Never rejects. What it leaves of the body is the host's to end (`unreadRest`). */
  handle(request: Request, dispatch: Dispatch): Promise<Response>;
  /**
   * A session for one accepted WebSocket: hand it every message with `receive`, and `gone` at the end.
   * Origin and rate limits are checked on the upgrade, by the gateway.
   */
  socket(socket: RaySocket, dispatch: Dispatch, persist?: PersistSocket): SocketSession;
  /** The same after hibernation. */
  restoreSocket(
    socket: RaySocket,
    dispatch: Dispatch,
    persist: PersistSocket,
    saved: SavedSocket,
  ): Promise<SocketSession>;
  /** The static keys; `pins` is what clients are built with. */
  keys(): Promise<ServerKeys>;
}

interface Ready {
  readonly crypto: CryptoProvider;
  readonly keys: ServerKeys;
  readonly tickets: TicketBox;
}

/** Makes a server. Keys are derived on first use, so this may run at module scope. */
export function createRaystreamServer(options: RaystreamServerOptions): RaystreamServer {
  return new HttpServer(options);
}

class HttpServer implements RaystreamServer {
  readonly #options: RaystreamServerOptions;
  readonly #limits: RayLimits;
  readonly #peers = new PeerWatch();
  #ready: Ready | undefined;

  constructor(options: RaystreamServerOptions) {
    if (options.secrets.length === 0) {
      throw new KontractError("CONFIG", "raystream needs at least one secret of KONTRACT_SECRET.");
    }
    this.#options = options;
    this.#limits = resolveLimits(options.limits);
  }

  async keys(): Promise<ServerKeys> {
    return (await this.#load()).keys;
  }

  socket(socket: RaySocket, dispatch: Dispatch, persist?: PersistSocket): SocketSession {
    return new SocketSession(this.#socketOptions(socket, dispatch, persist));
  }

  restoreSocket(
    socket: RaySocket,
    dispatch: Dispatch,
    persist: PersistSocket,
    saved: SavedSocket,
  ): Promise<SocketSession> {
    return SocketSession.restore(this.#socketOptions(socket, dispatch, persist), saved);
  }

  #socketOptions(
    socket: RaySocket,
    dispatch: Dispatch,
    persist: PersistSocket | undefined,
  ): SocketSessionOptions {
    const { app, clock, onFailure } = this.#options;
    const ready = (): Promise<Ready> => this.#load();
    const options = { app, clock, ready, socket, dispatch, limits: this.#limits };
    return { ...options, ...(persist && { persist }), ...(onFailure && { onFailure }) };
  }

  async handle(request: Request, dispatch: Dispatch): Promise<Response> {
    try {
      return await this.#answer(request, dispatch);
    } catch (error) {
      this.#options.onFailure?.(error);
      return failure(error);
    }
  }

  async #answer(request: Request, dispatch: Dispatch): Promise<Response> {
    if (request.method !== "POST") throw new KontractError("METHOD_NOT_ALLOWED");
    const type = request.headers.get("content-type");
    if (type !== RAY_CONTENT_TYPE) throw new KontractError("BAD_REQUEST");
    const { pace = BODY_PACE } = this.#options;
    const rules = { limit: bodyLimit(this.#limits), start: this.#limits.message, pace };
    const body = await readStart(request, rules);
    try {
      const ready = await this.#load();
      const [head, ...others] = withStart(body.chunks, MAX_PREFIX);
      if (head[1] === FrameType.HANDSHAKE_INIT) {
        return await this.#handshake(request, ready, concat(head, ...others));
      }
      const start = { head, others, rest: body.rest };
      const opened = await openRequest(ready.crypto, ready.tickets, this.#limits, start);
      return await this.#run(request, ready, opened, dispatch);
    } catch (error) {
      if (body.rest !== null) leaveRest(request, body.rest.letGo());
      throw error;
    }
  }

  async #handshake(request: Request, ready: Ready, body: Bytes): Promise<Response> {
    if (body.length > MAX_INIT) throw new KontractError("RAY_PROTOCOL");
    if (await this.#options.admit?.(request) === false) throw new KontractError("RATE_LIMITED");
    const { app } = this.#options;
    const responder = { crypto: ready.crypto, keys: ready.keys, app, limits: this.#limits };
    const { response, result } = await respond(responder, RayTransport.HTTP, body);
    const session = await grantSession(ready.crypto, ready.tickets, result);
    return answer(200, concat(response, session));
  }

  async #run(
    request: Request,
    ready: Ready,
    opened: OpenedRequest,
    dispatch: Dispatch,
  ): Promise<Response> {
    const abort = new AbortController();
    const unwatch = this.#peers.add(request, () => abort.abort());
    const { lane, token } = opened;
    const { signal } = abort;
    signal.addEventListener("abort", () => {
      for (const { inputs } of opened.calls) inputs.leave();
    }, { once: true });
    let subscriptions = 0;
    const running = opened.calls.map((call): RunningCall => {
      const { stream, op, payload, reqno, inputs } = call;
      const input = (argument: number) => inputs.read(argument, signal);
      const tooMany = op === SYSTEM_OPS.SUBSCRIBE && ++subscriptions > this.#limits.subscriptions;
      const reply = tooMany
        ? Promise.resolve(tooManySubscriptions(this.#limits))
        : settle(dispatch, { op, payload, reqno, lane, token, signal, input });
      return { stream, op, reply };
    });
    const salt = randomBytes(SALT_LENGTH);
    const key = responseKey(ready.crypto, opened.rms, opened.prefixHash, salt);
    const sealer = new MessageSealer(ready.crypto, key);
    const { onFailure } = this.#options;
    const options = { limits: this.#limits, abort, onFailure };
    const body = await replyBody(salt, sealer, running, options).catch((error: unknown) => {
      unwatch();
      throw error;
    });
    // Some hosts abort the signal of a request that was answered in full, too.
    if (body instanceof Uint8Array) unwatch();
    // Only a single call has a body that goes on.
    leaveRest(request, opened.calls[0]?.inputs.rest ?? null);
    return answer(200, body);
  }

  // The outcome is kept, never a pending promise: in Workers a request must not wait for another's work.
  async #load(): Promise<Ready> {
    return this.#ready ??= await this.#prepare();
  }

  async #prepare(): Promise<Ready> {
    const { secrets, epochs, clock, provider, authEpoch = 0 } = this.#options;
    const crypto = provider ?? await loadProvider();
    const keys = await deriveServerKeys(secrets, crypto);
    const named = keys.keys.flatMap(({ kid }, index) => {
      const secret = secrets[index];
      return secret === undefined ? [] : [{ kid, secret }];
    });
    const lifetime = Math.min(this.#options.ticketLifetime ?? EPOCH_MS, EPOCH_MS);
    const tickets = new TicketBox({ crypto, secrets: named, epochs, clock, lifetime, authEpoch });
    return { crypto, keys, tickets };
  }
}

function answer(status: number, body: BodyInit): Response {
  return new Response(body, {
    status,
    headers: { "content-type": RAY_CONTENT_TYPE, "cache-control": "no-store" },
  });
}

// Only what depends on time, length, address or load may differ from 400.
function failure(error: unknown): Response {
  const code = error instanceof KontractError ? error.code : "INTERNAL";
  const status = code === "METHOD_NOT_ALLOWED"
    ? 405
    : code === "TOO_SLOW"
    ? 408
    : code === "TOO_LARGE"
    ? 413
    : code === "RATE_LIMITED"
    ? 429
    : code === "INTERNAL" || code === "OVERLOADED" || code === "DATABASE_UNAVAILABLE"
    ? 503
    : 400;
  return answer(status, outerFailure());
}
