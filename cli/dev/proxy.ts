/**
 * Passes one request on to the host behind the front, and its answer back, both as streams.
 *
 * The `Host` header is kept, so the app sees the address the visitor used (origin checks depend on it).
 * Hop-by-hop headers end here. A visitor who goes away aborts the request behind; a host that goes away
 * breaks the stream, which a client tells from an end.
 *
 * @module
 */
import { DROPPED_BYTES, leaveRest, type RestReader } from "../../protocol/request_body.ts";
import { RAY_CONTENT_TYPE } from "../../protocol/server.ts";

/** A host's address and the connections to it. A new generation gets new connections. */
export interface Upstream {
  /** Origin, `http://127.0.0.1:PORT`. */
  readonly origin: string;
  readonly client: Deno.HttpClient;
  /** True: the client's requests go to the app itself, whatever host their URL names. */
  readonly direct: boolean;
}

/** Who is asking. */
export interface Visitor {
  readonly address: string;
  /** Aborted when the visitor has gone before the answer began. */
  readonly gone: AbortSignal;
}

/** Deno's constructor takes headers; the DOM's types, which this repository also uses, do not know. */
export const HeadedWebSocket = WebSocket as unknown as new (
  url: string,
  options: { readonly headers: HeadersInit; readonly protocols?: string[] },
) => WebSocket;

const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/** True for a request that wants to become a WebSocket. */
export function isWebSocket(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** Sends the request on. Rejects where the host is unreachable. */
export async function passOn(
  upstream: Upstream,
  request: Request,
  visitor: Visitor,
): Promise<Response> {
  const headers = endToEnd(request, visitor);
  headers.set("accept-encoding", "identity");
  const url = upstream.direct ? request.url : target(upstream, request, "http");
  const response = await fetch(url, {
    method: request.method,
    headers,
    body: isBounded(request) ? request.body : handOn(request, request.body!),
    redirect: "manual",
    signal: visitor.gone,
    client: upstream.client,
  });
  if (request.body !== null && isBounded(request)) {
    leaveRest(request, await isTooSlow(response) ? DRIPPING : null);
  }
  const out = new Headers(response.headers);
  for (const name of HOP_BY_HOP) out.delete(name);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers: out });
}

/**
 * True for a body that may be read to its end, whatever is answered. Deno passes it on itself, which costs a third, and
 * with its length, which a stream has not.
 */
function isBounded(request: Request): boolean {
  const length = Number(request.headers.get("content-length") ?? "NaN");
  return request.body === null || length <= DROPPED_BYTES;
}

/** True for the gateway's word that a body came too slowly. An app may answer 408 to one that it has read. */
async function isTooSlow(response: Response): Promise<boolean> {
  if (response.status !== 408) return false;
  // A sealed call's own errors are sealed.
  if (response.headers.get("content-type") === RAY_CONTENT_TYPE) return true;
  const answer = await response.clone().json().catch(() => null);
  return answer?.error?.code === "TOO_SLOW";
}

/** Of a body that Deno passes on itself nobody can read the rest: who was too slow with it is taken to go on so. */
const DRIPPING: RestReader = {
  read: () => Promise.resolve({ done: false, value: Uint8Array.of(0) }),
  cancel: () => Promise.resolve(),
};

/**
 * The body of `request` for the host behind, whose answer may come before all of it has been read: then what
 * is left of it is ours to end, see `unreadRest`.
 */
function handOn(
  request: Request,
  body: ReadableStream<Uint8Array>,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let reading: Promise<unknown> | undefined;
  let isTaken = false;
  leaveRest(request, {
    async read(): Promise<ReadableStreamReadResult<Uint8Array>> {
      isTaken = true;
      // Two that read at once would leave one read pending where the body is cancelled.
      await reading;
      return await reader.read();
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      const next = reading = reader.read();
      const { done, value } = await next;
      // The host has answered: what it would be given now had gaps.
      if (isTaken) return controller.error(new Error("The request has been answered."));
      if (!done) return controller.enqueue(value);
      leaveRest(request, null);
      controller.close();
    },
  }, { highWaterMark: 0 });
}

/**
 * Joins two WebSockets. The visitor's handshake is answered only after the host has accepted, so a
 * refusal stays a refusal; the host's status cannot be seen through the WebSocket API and becomes 502.
 *
 * Deno's WebSocket names the host behind in `Host`, whatever it is given. What the visitor asked for goes along
 * in a header: `X-Forwarded-Host` for an app on Deno, miniflare's own for one on workerd.
 */
export async function passOnWebSocket(
  upstream: Upstream,
  request: Request,
  visitor: Visitor,
): Promise<Response> {
  const headers = endToEnd(request, visitor);
  for (const name of [...headers.keys()]) {
    if (name.startsWith("sec-websocket-")) headers.delete(name);
  }
  headers.set("x-forwarded-host", new URL(request.url).host);
  headers.set("mf-original-url", request.url);
  const asked = request.headers.get("sec-websocket-protocol");
  const protocols = asked === null ? [] : asked.split(",").map((name) => name.trim());
  const behind = new HeadedWebSocket(target(upstream, request, "ws"), { headers, protocols });
  behind.binaryType = "arraybuffer";
  const opened = await new Promise<boolean>((resolve) => {
    behind.onopen = () => resolve(true);
    behind.onerror = () => resolve(false);
    behind.onclose = () => resolve(false);
  });
  if (!opened) return new Response("The WebSocket was refused.\n", { status: 502 });
  const waiting: MessageEvent[] = [];
  behind.onmessage = (event) => waiting.push(event);
  const ended = new Promise<CloseEvent>((resolve) => (behind.onclose = resolve));
  // Of a visitor who has gone meanwhile Deno says nothing.
  const late = setTimeout(() => behind.close(), OPENING_MS);
  const { socket, response } = Deno.upgradeWebSocket(
    request,
    behind.protocol === "" ? {} : { protocol: behind.protocol },
  );
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    clearTimeout(late);
    for (const event of waiting) socket.send(event.data);
    join(behind, socket);
    // The host may have closed while the visitor's side was being opened.
    if (behind.readyState === WebSocket.CLOSED) void ended.then((event) => pass(event, socket));
  };
  join(socket, behind);
  return response;
}

/** What the visitor's side of a WebSocket has to open in: its handshake is answered from here. */
const OPENING_MS = 2_000;

/** Bytes that wait for who does not read them, as many as the gateway itself lets wait. */
const MAX_BUFFERED = 32 << 20;

/** What arrives at `from` leaves by `to`, the close included. Nobody can be asked to send less, so who does not read is left. */
function join(from: WebSocket, to: WebSocket): void {
  from.onmessage = (event) => {
    if (to.readyState !== WebSocket.OPEN) return;
    to.send(event.data);
    if (to.bufferedAmount <= MAX_BUFFERED) return;
    from.close();
    to.close();
  };
  from.onclose = (event) => pass(event, to);
  from.onerror = () => to.close();
}

/** 1005 and 1006 say that there was no code; they may not be sent. */
function pass(event: CloseEvent, to: WebSocket): void {
  const sendable = event.code === 1000 || event.code >= 3000;
  if (sendable) to.close(event.code, event.reason);
  else to.close();
}

function endToEnd(request: Request, visitor: Visitor): Headers {
  const headers = new Headers(request.headers);
  for (const name of [...HOP_BY_HOP, "x-forwarded-host"]) headers.delete(name);
  // What they say is believed by miniflare and workerd.
  for (const name of [...headers.keys()]) if (name.startsWith("mf-")) headers.delete(name);
  headers.append("x-forwarded-for", visitor.address);
  headers.set("cf-connecting-ip", visitor.address);
  return headers;
}

function target(upstream: Upstream, request: Request, scheme: "http" | "ws"): string {
  const { pathname, search } = new URL(request.url);
  return `${upstream.origin.replace(/^http/, scheme)}${pathname}${search}`;
}
