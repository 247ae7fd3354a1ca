/**
 * One gateway over HTTP, seen from the client: gets a session when one is needed, posts requests, and
 * knows what may be sent again.
 *
 * - No answer at all: the same bytes again, at most twice, with jittered back-off. The request's lane and
 *   number make that harmless: the gateway applies them once. What has no such record is sent once.
 * - An outer failure: the ticket may have expired. A new handshake, then the same request (same lane and
 *   numbers) sealed anew, once. An outer failure is not authentic, so this too relies on the numbers.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import {
  type AnswerOpener,
  type PlainRequest,
  type RequestBody,
  sealRequest,
} from "./client_body.ts";
import { type ClientSession, initiate, readSession, resolvePins } from "./client_handshake.ts";
import type { CryptoProvider } from "./crypto/provider.ts";
import { loadProvider } from "./crypto/select.ts";
import { RayTransport } from "./hello.ts";
import { MAX_INIT } from "./limits.ts";
import { readBody } from "./read_body.ts";
import type { TransportOptions } from "./transport.ts";

const CONTENT_TYPE = "application/raystream";
// Workers refuse what they do not implement.
const BROWSER_ONLY: RequestInit = "credentials" in Request.prototype
  ? { credentials: "omit", cache: "no-store" }
  : {};
// Browsers want to be told that the answer comes after the request.
const STREAMED = { duplex: "half" };
const ATTEMPTS = 3;
const BACKOFF_MS = 100;
const HANDSHAKE_TIMEOUT_MS = 15_000;

/** A posted request whose answer has begun to arrive. */
export interface Posted {
  readonly response: Response;
  readonly opener: AnswerOpener;
}

/** Sessions and posts of one gateway. */
export class HttpChannel {
  readonly #options: TransportOptions;
  readonly #url: string;
  readonly #closed: AbortSignal;
  #crypto: CryptoProvider | undefined;
  #session: Promise<ClientSession> | undefined;

  /** `closed` ends a handshake that is under way. Throws `CONFIG` where the URL is none. */
  constructor(options: TransportOptions, closed: AbortSignal) {
    if (!URL.canParse("/raystream", options.url)) {
      throw new KontractError("CONFIG", "The gateway's url must be an absolute http or https URL.");
    }
    this.#options = options;
    this.#closed = closed;
    this.#url = new URL("/raystream", options.url).href;
  }

  /** The session in use, made on first use and shared by all who ask meanwhile. */
  session(signal: AbortSignal): Promise<ClientSession> {
    return unlessAborted(this.#current(), signal);
  }

  /**
   * Posts `request` until an answer begins.
   *
   * @throws {KontractError} `sent` in its data tells whether the gateway may have seen the request
   */
  async post(request: PlainRequest, signal: AbortSignal): Promise<Posted> {
    let sent = false;
    try {
      for (let renewed = false;; renewed = true) {
        const current = await this.session(signal);
        const used = this.#session;
        const sealed = sealRequest(await this.#provider(), current, request);
        const leave = (): void => void (sent = true);
        const body = request.more?.(sealed.body, sealed.sealer, leave) ?? sealed.body;
        if (request.more === undefined) leave();
        const response = await this.#send(body, signal, request.once);
        if (response.status === 200) return { response, opener: sealed.answer() };
        await response.body?.cancel().catch(() => {});
        if (response.status !== 400) throw statusError(response.status);
        if (renewed || request.more) throw new KontractError("RAY_TICKET");
        if (used !== undefined) this.#forget(used);
      }
    } catch (error) {
      throw new PostError(error, sent);
    }
  }

  async #current(): Promise<ClientSession> {
    const known = this.#session;
    if (known !== undefined) {
      const session = await known;
      if (performance.now() < session.expiresAt) return session;
      this.#forget(known);
    }
    if (this.#session === undefined) {
      const fresh = this.#handshake();
      this.#session = fresh;
      fresh.catch(() => this.#forget(fresh));
    }
    return await this.#session;
  }

  async #provider(): Promise<CryptoProvider> {
    return this.#crypto ??= await loadProvider();
  }

  #forget(session: Promise<ClientSession>): void {
    if (this.#session === session) this.#session = undefined;
  }

  async #handshake(): Promise<ClientSession> {
    const crypto = await this.#provider();
    for (const pin of await resolvePins(crypto, this.#options, this.#closed)) {
      const initiated = await initiate(crypto, pin, RayTransport.HTTP, this.#options.app);
      const signal = AbortSignal.any([this.#closed, AbortSignal.timeout(HANDSHAKE_TIMEOUT_MS)]);
      const response = await this.#send(initiated.init, signal);
      const body = await readBody(response, 2 * MAX_INIT).catch((cause: unknown) => {
        throw new KontractError("NETWORK", undefined, { cause });
      });
      if (response.status === 200) return await readSession(crypto, initiated, body);
      if (response.status !== 400) throw statusError(response.status);
    }
    throw new KontractError("RAY_SERVER_KEY");
  }

  // Resolves only with something that a raystream server may have said.
  async #send(body: RequestBody, signal: AbortSignal, once = false): Promise<Response> {
    const send = this.#options.fetch ?? fetch;
    const stream = body instanceof ReadableStream;
    let failure: unknown;
    for (let attempt = 0; attempt < (stream || once ? 1 : ATTEMPTS); attempt++) {
      if (attempt > 0) await pause(BACKOFF_MS * 2 ** attempt * (0.5 + Math.random()), signal);
      try {
        const response = await send(this.#url, {
          method: "POST",
          headers: { "content-type": CONTENT_TYPE },
          body,
          signal,
          // What a redirect answers is no raystream body, so it is never followed and never believed.
          redirect: "manual",
          ...BROWSER_ONLY,
          ...(stream ? STREAMED : {}),
        });
        if (response.headers.get("content-type") === CONTENT_TYPE) return response;
        await response.body?.cancel().catch(() => {});
        failure = new Error(`status ${response.status} without a raystream body`);
        if (response.status < 500) break;
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        failure = error;
      }
    }
    throw new KontractError("NETWORK", undefined, { cause: failure });
  }
}

/** Why a post failed, and whether its bytes may have reached the gateway. */
export class PostError extends Error {
  /** True where the request may have been run. */
  readonly sent: boolean;

  /** Wraps what was thrown. */
  constructor(cause: unknown, sent: boolean) {
    super("The request was not answered.", { cause });
    this.name = "PostError";
    this.sent = sent;
  }
}

function statusError(status: number): KontractError {
  if (status === 408) return new KontractError("TOO_SLOW");
  if (status === 413) return new KontractError("TOO_LARGE");
  if (status === 429) return new KontractError("RATE_LIMITED");
  if (status === 503) return new KontractError("OVERLOADED");
  return new KontractError("RAY_PROTOCOL", `The gateway answered with status ${status}.`);
}

/** Waits; rejects with the signal's reason. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return unlessAborted(new Promise((resolve) => setTimeout(resolve, milliseconds)), signal);
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
