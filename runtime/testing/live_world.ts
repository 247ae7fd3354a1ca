/**
 * Gateways whose functions are followed as server-sent events, for tests.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { TableDef } from "../../_internal/manifest.ts";
import type { SessionTokens } from "../../auth/contract.ts";
import { AUTH_TABLES } from "../../auth/tables.ts";
import { SseParser } from "../../events/mod.ts";
import { type TestDatabase, testDatabase } from "../../tests/postgres.ts";
import type { Gateway } from "../gateway.ts";
import { countedGateway } from "./counted_gateway.ts";
import { notesApp, type Spec } from "./notes_app.ts";
import { type Answer, readAnswer } from "./notes_server.ts";

/** One event of a live query. */
export interface Frame {
  readonly event: string;
  readonly id: string;
  /** Of the function, the error's code, or the row. */
  readonly result: unknown;
}

/** A gateway. */
export interface Side {
  readonly gateway: Gateway;
  /** Statements since they were last looked at. */
  trips(): string[];
  call(who: SessionTokens, name: string, ...args: unknown[]): Promise<Answer>;
  follow(who: SessionTokens, name: string, args?: unknown[], id?: string): Promise<Followed>;
  /** Events of a table, after the event with this id. */
  events(who: SessionTokens, source: string, id?: string): Promise<Followed>;
}

/** Frames of one live query, read one by one. */
export interface Followed {
  next(): Promise<Frame>;
  /** The next value. */
  value(): Promise<unknown>;
  /** Code by which it ends. */
  end(): Promise<unknown>;
  cancel(): Promise<void>;
}

function followed(response: Response): Followed {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new SseParser();
  const frames: Frame[] = [];
  const next = async (): Promise<Frame> => {
    while (frames.length === 0) {
      const { value, done } = await reader.read();
      assert.ok(!done, "the stream has ended");
      for (const { event, lastEventId, data } of parser.push(value)) {
        const { result, code, data: row } = JSON.parse(data) ?? {};
        frames.push({
          event,
          id: lastEventId,
          result: code ?? (result === undefined ? row : result),
        });
      }
    }
    return frames.shift()!;
  };
  return {
    next,
    async value(): Promise<unknown> {
      const { event, result } = await next();
      assert.equal(event, "value", String(result));
      return result;
    },
    async end(): Promise<unknown> {
      const { event, result } = await next();
      assert.equal(event, "closed");
      return result;
    },
    cancel: () => reader.cancel(),
  };
}

/** Two gateways on one database, which wake each other's followers never. */
export interface LiveWorld {
  readonly a: Side;
  /** Another gateway on the same database. */
  readonly b: Side;
  readonly database: TestDatabase;
  visitor(tenant?: string): Promise<SessionTokens>;
  pass(ms: number): void;
}

/** Runs `body` with an app of these functions and tables. */
export async function withLiveWorld(
  specs: Readonly<Record<string, Spec>>,
  tables: readonly TableDef[],
  body: (world: LiveWorld) => Promise<void>,
): Promise<void> {
  const app = { ...notesApp(specs), tables };
  const database = await testDatabase([...AUTH_TABLES, ...tables]);
  const closing: (() => Promise<void>)[] = [];
  let passed = 0;
  const side = (): Side => {
    const { gateway, trips, close } = countedGateway(app, database, () => Date.now() + passed);
    closing.push(close);
    const send = (who: SessionTokens, path: string, init: RequestInit = {}): Promise<Response> => {
      const headers = { authorization: `Bearer ${who.access}`, ...init.headers };
      return gateway.fetch(new Request(`http://app.test${path}`, { ...init, headers }));
    };
    const open = async (
      who: SessionTokens,
      asked: Record<string, string>,
      id?: string,
    ): Promise<Followed> => {
      const headers: Record<string, string> = id === undefined ? {} : { "last-event-id": id };
      const response = await send(who, `/events?${new URLSearchParams(asked)}`, { headers });
      if (response.status === 200) return followed(response);
      throw Object.assign(new Error("refused"), await readAnswer(response));
    };
    return {
      gateway,
      trips,
      call: async (who, name, ...args) => {
        const init = { method: "POST", body: JSON.stringify(args) };
        return await readAnswer(await send(who, `/rpc/${name}`, init));
      },
      follow: (who, name, args = [], id) =>
        open(who, { call: name, arguments: JSON.stringify(args) }, id),
      events: (who, source, id) => open(who, { source }, id),
    };
  };
  const [a, b] = [side(), side()];
  try {
    await body({
      a,
      b,
      database,
      pass: (ms) => passed += ms,
      visitor: async (tenant) => {
        const headers: Record<string, string> = tenant === undefined
          ? {}
          : { "kontract-tenant": tenant };
        const request = new Request("http://app.test/auth/anonymous", { method: "POST", headers });
        return await (await a.gateway.fetch(request)).json();
      },
    });
  } finally {
    for (const close of closing) await close();
    await database.close();
  }
}
