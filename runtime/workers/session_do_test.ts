import assert from "node:assert/strict";
import { encodeValue } from "../../protocol/codec/mod.ts";
import { NOTES_APP } from "../testing/notes_app.ts";
import type { ObjectSocket, ObjectState, WorkerEnv } from "./platform.ts";
import { SessionDO } from "./session_do.ts";
import { createWorker } from "./worker.ts";

/** A socket that had a session before its object slept, and what was saved of it. */
function asleep(saved: Uint8Array | null) {
  const closed: (number | undefined)[] = [];
  const socket: ObjectSocket = {
    send: () => assert.fail("Nothing may be sent."),
    close: (code) => void closed.push(code),
    serializeAttachment: () => {},
    deserializeAttachment: () => ({
      ...{ url: "https://app.test/raystream", origin: null, address: "192.0.2.1" },
      started: true,
    }),
  };
  const rows = saved === null ? [] : [{ saved: saved.slice().buffer }];
  const exec = (sql: string) => ({ toArray: () => sql.startsWith("select") ? rows : [] });
  const state = {
    storage: { sql: { exec }, transactionSync: (body: () => unknown) => body() },
    acceptWebSocket: () => {},
    getWebSockets: () => [socket],
    waitUntil: () => {},
  } as unknown as ObjectState;
  return { socket, state, closed };
}

Deno.test("a socket whose saved state is gone or unreadable is closed when its object wakes, never silent", async () => {
  createWorker(NOTES_APP);
  const missing = {} as unknown as WorkerEnv;
  const env = {
    ...{ SESSION: {}, KVC: {}, CHANGE_HUB: {}, DB_POOL: {} },
    DATABASE_URL: "postgres://gateway:pw@127.0.0.1:1/none",
    KONTRACT_SECRET: new Uint8Array(32).fill(7).toBase64({ alphabet: "base64url" }),
  } as unknown as WorkerEnv;
  const { error } = console;
  const printed: string[] = [];
  console.error = (line: string) => void printed.push(line);
  try {
    for (
      const [saved, given] of [
        [null, missing],
        [null, env],
        [Uint8Array.of(1, 2, 3), env],
        [encodeValue({ of: "another build" }), env],
      ] as const
    ) {
      const { socket, state, closed } = asleep(saved);
      const object = new SessionDO(state, given);
      await object.webSocketMessage(socket, new ArrayBuffer(40));
      assert.equal(closed.length, 1);
      assert.equal(closed[0], 4401);
      await object.webSocketClose();
    }
  } finally {
    console.error = error;
  }
  assert.equal(printed.length, 3, "what could not be read, and a Worker without its bindings");
});
