/**
 * `SessionDO`: owner of one client's WebSocket. It hibernates between messages; keys, counters and the
 * token lie in its SQLite, written before a frame leaves (raystream.md, "WebSocket"). Where they are
 * missing after a restart the socket is closed, never guessed at.
 *
 * @module
 */
import { decodeValue, encodeValue } from "../../protocol/codec/mod.ts";
import { CloseCode } from "../../protocol/close_code.ts";
import type { SavedSocket, SocketSession } from "../../protocol/mod.ts";
import type { Gateway } from "../gateway.ts";
import { createLog } from "../log.ts";
import { objectSqlite } from "./object_sqlite.ts";
import type { ObjectSocket, ObjectState, WorkerEnv } from "./platform.ts";
import type { Sqlite } from "../sqlite.ts";
import { inScope, RequestScope } from "./request_scope.ts";
import { workerGateway } from "./worker.ts";

const TABLE = "create table if not exists socket (id integer primary key, saved blob not null)";
const READ = "select saved from socket where id = 1";
const WRITE = `insert into socket (id, saved) values (1, ?)
  on conflict (id) do update set saved = excluded.saved`;
const FORGET = "delete from socket";

/** What the upgrade said; kept with the socket while it hibernates. */
interface Upgrade {
  readonly url: string;
  readonly origin: string | null;
  readonly address: string;
}

/** One WebSocket. */
export class SessionDO {
  readonly #state: ObjectState;
  readonly #env: WorkerEnv;
  readonly #sqlite: Sqlite;
  #session: Promise<SocketSession | null> | null = null;
  #scope: RequestScope | null = null;

  /** Called by the platform. */
  constructor(state: ObjectState, env: WorkerEnv) {
    this.#state = state;
    this.#env = env;
    this.#sqlite = objectSqlite(state.storage);
    this.#sqlite.all(TABLE);
  }

  /** The upgrade. The Worker has checked its origin. */
  fetch(request: Request): Response {
    if (this.#state.getWebSockets().length > 0) return new Response(null, { status: 409 });
    const pair = new (globalThis as unknown as { WebSocketPair: new () => [unknown, ObjectSocket] })
      .WebSocketPair();
    const [client, server] = [pair[0], pair[1]];
    this.#state.acceptWebSocket(server);
    const upgrade: Upgrade = {
      url: request.url,
      origin: request.headers.get("origin"),
      address: request.headers.get("cf-connecting-ip") ?? "unknown",
    };
    server.serializeAttachment(upgrade);
    return new Response(null, { status: 101, webSocket: client } as ResponseInit);
  }

  /** Called by the platform. */
  async webSocketMessage(socket: ObjectSocket, message: ArrayBuffer | string): Promise<void> {
    const session = await this.#open(socket).catch((error: unknown) => {
      // What another build has saved, say. A client would wait for a socket that stays open and silent.
      createLog({ now: () => Date.now() }).error("socket_failed", { error });
      return null;
    });
    if (session === null) return socket.close(CloseCode.RENEW);
    await this.#inScope(() => session.receive(message));
  }

  /** Called by the platform. */
  async webSocketClose(): Promise<void> {
    (await this.#session?.catch(() => null))?.gone();
    this.#forget();
  }

  /** Called by the platform. */
  async webSocketError(): Promise<void> {
    await this.webSocketClose();
  }

  /** Messages that come while the session opens wait for it, in order. */
  #open(socket: ObjectSocket): Promise<SocketSession | null> {
    this.#session ??= this.#inScope(async () =>
      await this.#start(workerGateway(this.#env), socket)
    );
    return this.#session;
  }

  async #start(gateway: Gateway, socket: ObjectSocket): Promise<SocketSession | null> {
    const upgrade = socket.deserializeAttachment() as (Upgrade & { started?: boolean }) | null;
    if (upgrade === null) return null;
    const saved = this.#saved();
    if (upgrade.started === true && saved === null) return null;
    socket.serializeAttachment({ ...upgrade, started: true });
    const { url, origin, address } = upgrade;
    return await gateway.openSocket({
      send: (bytes) => socket.send(bytes),
      close: (code, reason) => socket.close(code, reason),
    }, {
      address,
      request: new Request(url, { headers: origin === null ? {} : { origin } }),
      persist: (state) => {
        this.#sqlite.all(WRITE, encodeValue(state));
      },
      ...(saved === null ? {} : { saved }),
    });
  }

  #saved(): SavedSocket | null {
    const row = this.#sqlite.all(READ)[0];
    if (row === undefined) return null;
    return decodeValue(new Uint8Array(row.saved as ArrayBuffer)) as SavedSocket;
  }

  #forget(): void {
    this.#sqlite.all(FORGET);
    this.#session = null;
    this.#scope?.end();
    this.#scope = null;
  }

  /** All events of one object share what belongs to it: it is one request as far as sockets go. */
  #inScope<T>(body: () => T): T {
    this.#scope ??= new RequestScope((work) => this.#state.waitUntil(work));
    return inScope(this.#scope, body);
  }
}
