/**
 * The one address of `start` and `dev`: static files, then the app on whatever host runs it now.
 *
 * States: *waiting* (requests are held), *serving* an upstream, *failed* with a problem to show. A swap
 * goes waiting → drained → serving: no request is lost, since new ones are held and running ones are let
 * finish; event streams and WebSockets have no end to wait for and are cut, and their clients resume.
 *
 * @module
 */
import { dirname } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { PeerWatch } from "../../protocol/peer_watch.ts";
import { breakOff } from "../../runtime/deno/unread_body.ts";
import { hushSignalNotice } from "../../runtime/deno/signal_notice.ts";
import { requestUrl } from "../../runtime/request_url.ts";
import { type Problem, problemResponse } from "./problem_page.ts";
import { isWebSocket, passOn, passOnWebSocket, type Upstream } from "./proxy.ts";
import { RELOAD_PATH, ReloadFeed } from "./reload.ts";
import { servePage } from "./static_files.ts";

/** How to listen. */
export interface FrontOptions {
  readonly hostname: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Folder of the built front end. */
  readonly publicFolder: string;
  /** True: pages reload themselves after a rebuild. */
  readonly reload: boolean;
}

/** Tells the app's requests from those for the front end's pages, by path and `Accept`. */
type IsApp = (pathname: string, accept: string | null) => boolean;

type State =
  | { readonly kind: "waiting"; readonly released: PromiseWithResolvers<void> }
  | {
    readonly kind: "serving";
    readonly upstream: Upstream;
    readonly isApp: IsApp;
  }
  | { readonly kind: "failed"; readonly problem: Problem };

/** A request is held this long at most; then the visitor is told to come back. */
const HOLD_MS = 60_000;
/** Running requests get this long to finish before a swap goes ahead without them. */
const DRAIN_MS = 10_000;

/** Running requests get this long to finish when the server ends; then they are told so. */
const CLOSE_MS = 1000;
/** Streams without an end, and whoever does not read, get this much more. */
const CUT_MS = 500;
/** An answer that Deno calls completed may still be on its way to the socket. */
const FLUSH_MS = 50;

const STARTING: Problem = {
  code: "OVERLOADED",
  status: 503,
  title: "Kontract is still starting",
  detail: "Try again in a moment.",
};

const STOPPING: Problem = {
  code: "OVERLOADED",
  status: 503,
  title: "The app is being stopped",
  detail: "This request was not carried out.",
};

const ENDING: Problem = {
  code: "OUTCOME_UNKNOWN",
  status: 503,
  title: "The app is being stopped",
  detail: "Whether this request was carried out is not known.",
};

const NO_METHOD: Problem = {
  code: "METHOD_NOT_ALLOWED",
  status: 405,
  title: "This method is not served",
  detail: "",
};

const NO_HOST: Problem = {
  code: "BAD_REQUEST",
  status: 400,
  title: "The Host header names no host.",
  detail: "",
};

const UNREACHABLE: Problem = {
  code: "NETWORK",
  status: 502,
  title: "The app did not answer",
  detail: "Its process ended or broke off the request. The terminal may say why.",
};

/** The server in front. */
export class Front {
  readonly #options: FrontOptions;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #feed = new ReloadFeed();
  readonly #peers = new PeerWatch();
  readonly #aborted = new AbortController();
  readonly #ending = Promise.withResolvers<null>();
  #state: State = { kind: "waiting", released: Promise.withResolvers() };
  #client: Deno.HttpClient | null = null;
  /** Requests that were admitted and whose answers have not been taken. */
  #running = 0;
  readonly #idle = new Set<() => void>();

  /**
   * Listens; requests are held until {@link Front.serve} or {@link Front.fail}.
   *
   * @throws {KontractError} `PORT_IN_USE`
   */
  constructor(options: FrontOptions) {
    this.#options = options;
    hushSignalNotice();
    try {
      this.#server = Deno.serve({
        hostname: options.hostname,
        port: options.port,
        signal: this.#aborted.signal,
        onListen: () => {},
        onError: () => new Response("Internal error\n", { status: 500 }),
      }, async (request, info) => breakOff(request, await this.#handle(request, info)));
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      throw new KontractError(
        "PORT_IN_USE",
        `Port ${options.port} is taken. Stop what uses it, or choose another one: --port N ` +
          "(0 picks a free one).",
      );
    }
  }

  /** Where it listens. */
  get url(): string {
    return `http://${this.#options.hostname}:${this.#server.addr.port}`;
  }

  /** Holds new requests and resolves when the running ones have finished. */
  async hold(): Promise<void> {
    if (this.#state.kind !== "waiting") {
      this.#state = { kind: "waiting", released: Promise.withResolvers() };
    }
    await this.#drained(DRAIN_MS);
  }

  /**
   * Serves the app at `origin` from now on, by its `socket` where it has one (see `DevHost`); `isApp` tells its
   * paths from the front end's pages.
   */
  serve(origin: string, isApp: IsApp, socket?: string): void {
    // Connections to a host that is gone must not be used again.
    const client = Deno.createHttpClient({
      http2: false,
      allowHost: true,
      ...(socket === undefined ? {} : { proxy: { transport: "unix", path: socket } }),
    });
    this.#client?.close();
    this.#client = client;
    const upstream = { origin, client, direct: socket !== undefined };
    this.#enter({ kind: "serving", upstream, isApp });
    this.#feed.changed();
  }

  /** Shows a problem from now on. */
  fail(problem: Problem): void {
    this.#enter({ kind: "failed", problem });
    this.#feed.changed();
  }

  /** Ends all connections and the listener. Who still waits is told so first; open pages stay as they are. */
  async close(): Promise<void> {
    this.#enter({ kind: "failed", problem: STOPPING });
    this.#feed.close();
    const timer = setTimeout(() => this.#ending.resolve(null), CLOSE_MS);
    // Those that were held are admitted in this turn.
    await pause(0);
    await this.#drained(CLOSE_MS + CUT_MS);
    clearTimeout(timer);
    await pause(FLUSH_MS);
    // Not `shutdown()`: it waits for streams and WebSockets, and what it waits for cannot be cut any more.
    this.#aborted.abort();
    await this.#server.finished;
    this.#client?.close();
  }

  /** Resolves when no request is running, or after `milliseconds`. */
  #drained(milliseconds: number): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#idle.delete(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#idle.add(done);
    });
  }

  #enter(next: State): void {
    const before = this.#state;
    this.#state = next;
    if (before.kind === "waiting") before.released.resolve();
  }

  async #handle(
    request: Request,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Promise<Response> {
    if (requestUrl(request) === null) return problemResponse(NO_HOST, request);
    if (this.#options.reload && new URL(request.url).pathname === RELOAD_PATH) {
      return this.#feed.follow();
    }
    // Deno's fetch cannot send it on.
    if (request.method === "TRACE") return problemResponse(NO_METHOD, request);
    const state = await this.#admitted();
    const script = this.#options.reload ? this.#feed.script : "";
    if (state === null) return problemResponse(STARTING, request, script);
    const response = state.kind === "failed"
      ? problemResponse(state.problem, request, script)
      : await this.#answer(request, info, state, script);
    return this.#leaving(response, info.completed);
  }

  /** What the app or a file of its front end answers. Never rejects. */
  async #answer(
    request: Request,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
    { upstream, isApp }: Extract<State, { kind: "serving" }>,
    script: string,
  ): Promise<Response> {
    const gone = new AbortController();
    // Who leaves in the middle of the answer cancels its body.
    const unwatch = this.#peers.add(request, () => gone.abort());
    const visitor = { address: info.remoteAddr.hostname, gone: gone.signal };
    try {
      if (isWebSocket(request)) return await passOnWebSocket(upstream, request, visitor);
      const rewrite = script === "" ? undefined : (html: string) => html + script;
      const file = isApp(new URL(request.url).pathname, request.headers.get("accept"))
        ? null
        : await servePage(this.#folderOf(request), request, rewrite);
      const passed = file ?? await Promise.race([
        passOn(upstream, request, visitor),
        this.#ending.promise,
      ]);
      return passed ?? problemResponse(ENDING, request);
    } catch {
      return problemResponse(UNREACHABLE, request, script);
    } finally {
      unwatch();
    }
  }

  /** The REST document lies beside the front end's files: what is deployed does not show it by itself. */
  #folderOf(request: Request): string {
    const { publicFolder } = this.#options;
    return new URL(request.url).pathname === "/openapi.json" ? dirname(publicFolder) : publicFolder;
  }

  /** Waits while held. A request that is let through counts from this very turn. */
  async #admitted(): Promise<Exclude<State, { kind: "waiting" }> | null> {
    const until = Date.now() + HOLD_MS;
    while (this.#state.kind === "waiting") {
      const left = until - Date.now();
      if (left <= 0) return null;
      const timeout = Promise.withResolvers<void>();
      const timer = setTimeout(timeout.resolve, left);
      await Promise.race([this.#state.released.promise, timeout.promise]);
      clearTimeout(timer);
    }
    this.#running++;
    return this.#state;
  }

  /** Counts a request as finished when its answer has been taken, or nobody is there to take it any more. */
  #leaving(response: Response, completed: Promise<void>): Response {
    const finished = (): void => {
      this.#running--;
      if (this.#running === 0) this.#idle.forEach((done) => done());
    };
    const endless = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
    if (endless || response.status === 101) finished();
    else completed.then(finished, finished);
    return response;
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
