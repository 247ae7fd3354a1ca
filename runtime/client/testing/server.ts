/**
 * A server for the client's tests: the real channel in process, and a dispatcher whose sessions can be
 * expired, revoked and counted at will.
 *
 * @module
 */
import { errorFrom } from "../../../_internal/error_classes.ts";
import { type ErrorCode, KontractError } from "../../../_internal/errors.ts";
import { parseSubscribeRequest, TopicHub } from "../../../events/mod.ts";
import { decodeValue, encodeValue } from "../../../protocol/codec/value.ts";
import { type RpcCall, type RpcReply, SYSTEM_OPS } from "../../../protocol/rpc.ts";
import { createRaystreamServer, type RaystreamServer } from "../../../protocol/server.ts";
import { toWireError } from "../../../protocol/wire_error.ts";
import { createResumeSealer } from "../../resume_sealer.ts";
import { openSubscription } from "../../subscriptions.ts";
import { type Client, type ClientOptions, createClient } from "../client.ts";
import type { ClientRoute } from "../route.ts";

/** A function of the test's own. */
export type Handler = (args: unknown[], call: RpcCall, owner: string) => unknown;

/** A route whose arguments and result are plain values. */
export function route(name: string, op: number, more: Partial<ClientRoute> = {}): ClientRoute {
  return {
    name,
    op,
    readOnly: false,
    stream: false,
    encodeArguments: (args) => encodeValue(args),
    decodeResult: (bytes) => decodeValue(bytes),
    ...more,
  };
}

interface Session {
  readonly owner: string;
  readonly anonymous: boolean;
  readonly refresh: string;
  expired: boolean;
  /** What its refresh token gave: within its grace the same again. */
  successor?: unknown;
}

interface Followed {
  readonly call: number;
  readonly arguments: Uint8Array;
}

/** One gateway with its sessions. */
export class TestServer {
  readonly topics = new TopicHub();
  readonly handlers = new Map<number, Handler>();
  /** Auth functions in the order they ran. */
  readonly authCalls: string[] = [];
  /** Requests as the network saw them. */
  readonly requests: { readonly url: string; readonly headers: string; readonly body: string }[] =
    [];
  /** Access tokens that were handed out. */
  readonly tokens: string[] = [];
  /** Refuses refreshing; what a server does after the family was ended. */
  revoked = false;
  /** What refreshing fails with for now. */
  trouble: ErrorCode | null = null;
  /** What the answer to refreshing waits for. */
  refreshing: Promise<void> = Promise.resolve();
  /** Lifetime of the tokens in milliseconds. */
  lifetime = 900_000;
  readonly #sessions = new Map<string, Session>();
  readonly #secret = crypto.getRandomValues(new Uint8Array(32));
  readonly #random = crypto.getRandomValues(new Uint8Array(32));
  readonly #sealer = createResumeSealer([this.#secret]);
  readonly #ray: RaystreamServer = createRaystreamServer({
    app: "test",
    secrets: [this.#secret],
    epochs: { random: () => Promise.resolve(this.#random) },
    clock: { now: () => Date.now() },
  });
  readonly #open = new Set<AbortController>();
  /** WebSockets accepted so far. */
  readonly sockets: WebSocket[] = [];

  /** The keys that clients pin. */
  async pins(): Promise<readonly string[]> {
    return (await this.#ray.keys()).pins;
  }

  /** A client of this server. */
  async client(settings: Partial<ClientOptions> = {}): Promise<Client> {
    return createClient({
      app: "test",
      build: "b",
      pins: await this.pins(),
      url: "http://gateway.test",
      fetch: (input, init) => this.fetch(input, init),
      ...settings,
    });
  }

  /** The network. */
  async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init);
    const body = new Uint8Array(await request.clone().arrayBuffer());
    this.requests.push({
      url: request.url,
      headers: JSON.stringify([...request.headers]),
      body: new TextDecoder("latin1").decode(body),
    });
    return await this.#ray.handle(request, (call) => this.#dispatch(call));
  }

  /** The network, where a WebSocket may pass. */
  upgrade(request: Request): Response {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.binaryType = "arraybuffer";
    const session = this.#ray.socket(socket, (call) => this.#dispatch(call));
    socket.onmessage = ({ data }) => void session.receive(data);
    socket.onclose = () => session.gone();
    this.sockets.push(socket);
    return response;
  }

  /** Makes all access tokens of now expired. */
  expire(): void {
    for (const session of this.#sessions.values()) session.expired = true;
  }

  /** Breaks every running subscription, as a restart does. */
  cut(): void {
    for (const each of this.#open) each.abort(new KontractError("OVERLOADED"));
    this.#open.clear();
  }

  async #dispatch(call: RpcCall): Promise<RpcReply> {
    try {
      if (call.op === SYSTEM_OPS.AUTH) {
        const payload = encodeValue(this.#auth(call));
        if (this.authCalls.at(-1) === "refresh") await this.refreshing;
        return { kind: "value", payload };
      }
      const session = this.#session(call.token);
      if (call.op === SYSTEM_OPS.SUBSCRIBE) {
        const { call: op, arguments: payload } = decodeValue(call.payload) as Partial<Followed>;
        // A handler that gives a stream stands for a function that is followed.
        if (op !== undefined && payload !== undefined) {
          return await this.#dispatch({ ...call, op, payload });
        }
        return { kind: "stream", elements: this.#subscribe(call, session.owner) };
      }
      const handler = this.handlers.get(call.op);
      if (handler === undefined) throw new KontractError("ROUTE_NOT_FOUND");
      const result = await handler(decodeValue(call.payload) as unknown[], call, session.owner);
      if (Symbol.asyncIterator in Object(result)) {
        return { kind: "stream", elements: encoded(result as AsyncIterable<unknown>) };
      }
      return { kind: "value", payload: encodeValue(result) };
    } catch (error) {
      if (error instanceof KontractError) return { kind: "error", error: toWireError(error) };
      const { code, message, data } = error as { code: string; message: string; data?: unknown };
      return { kind: "error", error: { code, message, data } };
    }
  }

  #auth(call: RpcCall): unknown {
    const [name, argument] = decodeValue(call.payload) as [string, Record<string, string> | null];
    this.authCalls.push(name);
    if (name === "anonymous") return this.#issue({ owner: crypto.randomUUID(), anonymous: true });
    if (name === "refresh") {
      if (this.trouble !== null) throw new KontractError(this.trouble);
      const old = [...this.#sessions.values()].find((each) => each.refresh === argument?.refresh);
      if (this.revoked || old === undefined || call.token !== null) {
        throw new KontractError("SESSION_REVOKED");
      }
      return old.successor ??= this.#issue(old);
    }
    // Doing it again is no error.
    if (name === "logout") {
      this.#sessions.delete(call.token ?? "");
      return null;
    }
    const session = this.#session(call.token);
    if (name === "me") return { owner: session.owner, anonymous: session.anonymous };
    if (name === "register") return this.#issue({ owner: session.owner, anonymous: false });
    throw errorFrom("NOT_FOUND", `There is no auth function '${name}'.`);
  }

  #issue({ owner, anonymous }: { owner: string; anonymous: boolean }): unknown {
    const access = `access-${crypto.randomUUID()}`;
    const refresh = `refresh-${crypto.randomUUID()}`;
    this.tokens.push(access, refresh);
    this.#sessions.set(access, { owner, anonymous, refresh, expired: false });
    return { access, refresh, expiresAt: Date.now() + this.lifetime, owner, anonymous };
  }

  #session(token: string | null): Session {
    const session = this.#sessions.get(token ?? "");
    if (session === undefined) throw new KontractError("UNAUTHORIZED");
    if (session.expired) throw new KontractError("SESSION_EXPIRED");
    return session;
  }

  async *#subscribe(call: RpcCall, owner: string): AsyncGenerator<Uint8Array> {
    const cut = new AbortController();
    this.#open.add(cut);
    const { source, resume } = parseSubscribeRequest(decodeValue(call.payload));
    const events = openSubscription({
      engine: {
        changes: () => {
          throw new KontractError("PERMISSION_DENIED", `Table '${source}' may not be read.`);
        },
      },
      session: {
        sid: "",
        owner,
        tenant: "t",
        ugroups: [],
        system: false,
        expiresAt: Infinity,
      },
      changes: { wake: () => undefined, next: () => Promise.resolve() },
      topics: this.topics,
      mayFollow: () => Promise.resolve(Infinity),
      checkAlive: () => Promise.resolve(),
      source,
      resume: resume ?? null,
      sealer: this.#sealer,
      signal: AbortSignal.any([call.signal, cut.signal]),
    });
    for await (const event of events) {
      yield encodeValue(event);
      if (cut.signal.aborted) break;
    }
    if (cut.signal.aborted) throw cut.signal.reason;
  }
}

async function* encoded(values: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const value of values) yield encodeValue(value);
}
