/**
 * The notes app on a Deno server with a database of its own, for tests.
 *
 * @module
 */
import { AUTH_TABLES } from "../../auth/tables.ts";
import type { SessionTokens } from "../../auth/contract.ts";
import { type TestDatabase, testDatabase } from "../../tests/postgres.ts";
import type { AppDefinition } from "../app.ts";
import { createServer, type KontractServer, type ServerOptions } from "../deno/mod.ts";
import { NOTES, NOTES_APP } from "./notes_app.ts";

/** Origin that requests are made for. */
export const ORIGIN = "http://app.test";

/** Answer of a plain JSON call. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The result, or undefined. */
  readonly result: unknown;
  /** Code of the error, or null. */
  readonly code: string | null;
}

/** A running server. */
export interface NotesServer {
  readonly database: TestDatabase;
  readonly server: KontractServer;
  readonly log: string[];
  /** Sends one request; a body makes it a POST of JSON. */
  send(path: string, init?: RequestInit & { readonly json?: unknown }): Promise<Response>;
  /** A new anonymous session. */
  visitor(headers?: Record<string, string>): Promise<SessionTokens>;
  /** Calls a function as somebody. */
  call(who: SessionTokens, name: string, ...args: unknown[]): Promise<Answer>;
  /** A further gateway on the same database, ended with this one. */
  another(): KontractServer;
}

/** Runs `body` with a server of the notes app, or of another one over its table. */
export async function withNotes(
  body: (notes: NotesServer) => Promise<void>,
  options: ServerOptions = {},
  app: AppDefinition = NOTES_APP,
): Promise<void> {
  const database = await testDatabase([...AUTH_TABLES, NOTES]);
  const log: string[] = [];
  const settings: Record<string, string> = {
    DATABASE_URL: database.gatewayUrl,
    KONTRACT_SECRET: database.secrets.map((secret) => secret.toBase64({ alphabet: "base64url" }))
      .join(","),
  };
  const servers: KontractServer[] = [];
  const another = (): KontractServer => {
    const made = createServer(app, {
      env: (name) => settings[name],
      public: null,
      logSink: (_level, line) => log.push(line),
      ...options,
    });
    servers.push(made);
    return made;
  };
  const server = another();
  const send: NotesServer["send"] = (path, { json, ...init } = {}) =>
    server.fetch(
      new Request(`${ORIGIN}${path}`, {
        ...init,
        ...(json === undefined ? {} : { method: "POST", body: JSON.stringify(json) }),
      }),
    );
  try {
    await body({
      database,
      server,
      log,
      send,
      another,
      visitor: async (headers = {}) =>
        await (await send("/auth/anonymous", { method: "POST", headers })).json(),
      call: async (who, name, ...args) =>
        await readAnswer(
          await send(`/rpc/${name}`, {
            json: args,
            headers: { authorization: `Bearer ${who.access}` },
          }),
        ),
    });
  } finally {
    for (const one of servers) await one.close();
    await database.close();
  }
}

/** Reads a plain JSON answer to its end. */
export async function readAnswer(response: Response): Promise<Answer> {
  const { status, headers } = response;
  const text = await response.text();
  const { result, error } = (text === "" ? {} : JSON.parse(text)) as {
    result?: unknown;
    error?: { code: string };
  };
  return { status, headers, result, code: error?.code ?? null };
}
