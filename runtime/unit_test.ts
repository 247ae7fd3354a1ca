/** `env.storage.transaction`: what a part of a call promises, over a real database. */
import assert from "node:assert/strict";
import { AUTH_TABLES } from "../auth/tables.ts";
import type { Table, TableMeta } from "../storage/types.ts";
import { postgresDatabase } from "../storage/postgres_database.ts";
import { testDatabase } from "../tests/postgres.ts";
import { denoPorts } from "./deno/ports.ts";
import { KontractError } from "../_internal/errors.ts";
import type { CallOptions } from "../storage/contract.ts";
import { env } from "./env.ts";
import { createGateway } from "./gateway.ts";
import { NOTES, notesApp } from "./testing/notes_app.ts";
import { unitRunner } from "./unit.ts";

interface Note {
  id: string;
  text: string;
  author: string;
}

const notes = (): Table<Note, TableMeta> =>
  (env.storage as unknown as { readonly notes: Table<Note, TableMeta> }).notes;
const put = (id: string, text: string): Promise<Note> =>
  notes().set(id, { id, text, author: "me" });
const text = async (id: string): Promise<string | null> => (await notes().get(id))?.text ?? null;

/** What happens once, in the middle of a call. */
let meanwhile: (() => Promise<unknown>) | null = null;
async function once(): Promise<void> {
  const work = meanwhile;
  meanwhile = null;
  await work?.();
}

/** How often the parts of a call ran. */
let parts = 0;
let calls = 0;

const APP = notesApp({
  put: { types: ["string", "string"], body: put },
  read: { meta: { readOnly: true }, types: ["string"], body: text },
  chunks: {
    types: ["number"],
    body: async (n: number) => {
      calls++;
      const sums: number[] = [];
      for (let i = 0; i < n; i++) {
        sums.push(
          await env.storage.transaction(async () => {
            parts++;
            const before = Number(await text("sum") ?? 0);
            await put("sum", String(before + 1));
            return before + 1;
          }),
        );
      }
      await once();
      return sums;
    },
  },
  failLater: {
    types: [],
    body: async () => {
      await put("outer", "lost");
      await env.storage.transaction(() => put("kept", "stays"));
      throw new KontractError("NOT_FOUND");
    },
  },
  failInside: {
    types: [],
    body: async () => {
      await put("outer2", "stays");
      return await env.storage.transaction(async () => {
        await put("inner2", "lost");
        throw new KontractError("FORBIDDEN");
      }).catch((error: KontractError) => error.code);
    },
  },
  views: {
    types: [],
    body: async () => {
      await put("mine", "buffered");
      const before = await text("seen");
      const inside = await env.storage.transaction(async () => {
        const found = [await text("mine"), await text("seen")];
        await put("seen", "new");
        return found;
      });
      return [before, ...inside, await text("seen"), await text("mine")];
    },
  },
  conflicting: {
    types: [],
    body: async () => {
      calls++;
      return await env.storage.transaction(async () => {
        parts++;
        const before = await text("raced");
        await once();
        await put("raced", `${before}+`);
        return before;
      });
    },
  },
  rerun: {
    types: [],
    body: async () => {
      calls++;
      const before = await text("outside");
      const part = await env.storage.transaction(async () => {
        parts++;
        await put("part", String(parts));
        return { at: new Date(0), parts };
      });
      await once();
      await put("outside", `${before}+`);
      return [part.at instanceof Date, part.parts];
    },
  },
  nested: {
    types: [],
    body: () =>
      env.storage.transaction(() => env.storage.transaction(() => put("deep", "x")).then(() => 1)),
  },
  notAwaited: {
    types: [],
    body: () => {
      void env.storage.transaction(() => put("loose", "stored"));
      return "done";
    },
  },
  readOnly: {
    meta: { readOnly: true },
    types: [],
    body: async () => {
      const before = await text("fresh");
      await once();
      const seen = await env.storage.transaction(() => text("fresh"));
      const write = await env.storage.transaction(() => put("fresh", "no"))
        .catch((error: KontractError) => error.code);
      return [before, seen, await text("fresh"), write];
    },
  },
  emitLater: {
    types: ["string"],
    body: async (ending: string) => {
      env.events.emit("news", "call");
      await env.storage.transaction(async () => {
        await once();
        env.events.emit("news", "part");
        await put("told", ending);
      });
      await env.storage.transaction(() => env.events.emit("news", "part that wrote nothing"));
      if (ending === "fail") throw new KontractError("NOT_FOUND");
    },
  },
  emitRerun: {
    types: [],
    body: async () => {
      const before = await text("outside");
      await env.storage.transaction(async () => {
        await put("told", "x");
        env.events.emit("news", "part");
      });
      await env.storage.transaction(() => env.events.emit("news", "part that wrote nothing"));
      await once();
      await put("outside", `${before}+`);
    },
  },
  emitRaced: {
    types: [],
    body: () =>
      env.storage.transaction(async () => {
        const before = await text("raced");
        env.events.emit("news", before);
        await once();
        await put("raced", `${before}+`);
      }),
  },
  notPlain: { types: [], body: () => env.storage.transaction(() => () => 1) },
});

Deno.test({
  name: "a part of a call that is a transaction of its own",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const database = await testDatabase([...AUTH_TABLES, NOTES]);
    const connection = postgresDatabase({ url: database.gatewayUrl });
    const ports = denoPorts({
      database: connection,
      secrets: database.secrets,
      secret: () => undefined,
      logSink: () => {},
    });
    const sent: unknown[] = [];
    const topics: typeof ports.topics = {
      ...ports.topics,
      publish: (_tenant, _topic, messages) => void sent.push(...messages),
    };
    const gateway = createGateway(APP, { ...ports, topics });
    let token = "";
    const send = async (path: string, body: unknown, key?: string): Promise<unknown> => {
      const response = await gateway.fetch(
        new Request(`http://app.test${path}`, {
          method: "POST",
          body: JSON.stringify(body),
          headers: {
            ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
            ...(key === undefined ? {} : { "idempotency-key": key }),
          },
        }),
      );
      return await response.json();
    };
    const call = async (
      name: string,
      args: readonly unknown[] = [],
      key?: string,
    ): Promise<unknown> => {
      calls = parts = 0;
      const answer = await send(`/rpc/${name}`, args, key) as { readonly result?: unknown };
      return "result" in answer ? answer.result : answer;
    };
    const code = (answer: unknown): unknown =>
      (answer as { error?: { code?: unknown } }).error?.code;
    const other = (name: string, args: readonly unknown[]) => (): Promise<unknown> =>
      send(`/rpc/${name}`, args);
    try {
      token = (await send("/auth/anonymous", null) as { access: string }).access;

      await t.step("each part commits by itself, in its own snapshot", async () => {
        assert.deepEqual(await call("chunks", [3]), [1, 2, 3]);
        assert.equal(await call("read", ["sum"]), "3");
      });

      await t.step(
        "what a part committed stays when the call fails, and the call's own writes go",
        async () => {
          assert.equal(code(await call("failLater")), "NOT_FOUND");
          assert.equal(await call("read", ["kept"]), "stays");
          assert.equal(await call("read", ["outer"]), null);
        },
      );

      await t.step("a part that throws writes nothing, and the call may go on", async () => {
        assert.equal(await call("failInside"), "FORBIDDEN");
        assert.equal(await call("read", ["inner2"]), null);
        assert.equal(await call("read", ["outer2"]), "stays");
      });

      await t.step(
        "a part does not see the call's buffered writes; a call that read what its part changed is run again",
        async () => {
          await call("put", ["seen", "old"]);
          assert.deepEqual(await call("views"), ["new", null, "old", "new", "buffered"]);
          assert.equal(await call("read", ["seen"]), "new");
        },
      );

      await t.step("a conflict in a part runs the part again and not the call", async () => {
        await call("put", ["raced", "a"]);
        meanwhile = other("put", ["raced", "b"]);
        assert.equal(await call("conflicting"), "b");
        assert.deepEqual([calls, parts], [1, 2]);
        assert.equal(await call("read", ["raced"]), "b+");
      });

      await t.step("a call that is run again does not run its parts again", async () => {
        await call("put", ["outside", "a"]);
        meanwhile = other("put", ["outside", "b"]);
        assert.deepEqual(await call("rerun"), [true, 1]);
        assert.equal(calls, 2);
        assert.equal(await call("read", ["part"]), "1");
        assert.equal(await call("read", ["outside"]), "b+");
      });

      await t.step(
        "a request that is sent again applies its parts once, and goes on where it stopped",
        async () => {
          await call("put", ["sum", "0"]);
          meanwhile = () => Promise.reject(new KontractError("OVERLOADED"));
          assert.equal(code(await call("chunks", [2], "again")), "OVERLOADED");
          assert.equal(await call("read", ["sum"]), "2");
          assert.deepEqual(await call("chunks", [2], "again"), [1, 2]);
          assert.equal(await call("read", ["sum"]), "2");
          assert.deepEqual(await call("chunks", [2], "another"), [3, 4]);
        },
      );

      await t.step("a part that nobody awaits is waited for", async () => {
        assert.equal(await call("notAwaited"), "done");
        assert.equal(await call("read", ["loose"]), "stored");
      });

      await t.step(
        "in a read-only function a part is a fresh snapshot, and writes nothing",
        async () => {
          await call("put", ["fresh", "old"]);
          meanwhile = other("put", ["fresh", "new"]);
          assert.deepEqual(await call("readOnly"), ["old", "new", "old", "PERMISSION_DENIED"]);
        },
      );

      await t.step(
        "a part's messages go out once, with its commit, whatever becomes of the call",
        async () => {
          const told = async (...call: Parameters<typeof send>): Promise<unknown[]> => {
            await send(...call);
            return sent.splice(0);
          };
          const silent = "part that wrote nothing";
          sent.length = 0;
          assert.deepEqual(await told("/rpc/emitLater", ["go on"]), ["part", "call", silent]);
          assert.deepEqual(await told("/rpc/emitLater", ["fail"], "told"), ["part"]);
          assert.deepEqual(await told("/rpc/emitLater", ["fail"], "told"), []);
          meanwhile = () => Promise.reject(new KontractError("FORBIDDEN"));
          assert.deepEqual(await told("/rpc/emitLater", ["go on"]), []);

          meanwhile = other("put", ["outside", "c"]);
          assert.deepEqual(await told("/rpc/emitRerun", []), ["part", silent]);

          await call("put", ["raced", "a"]);
          meanwhile = other("put", ["raced", "b"]);
          assert.deepEqual(await told("/rpc/emitRaced", []), ["b"]);
        },
      );

      await t.step("parts are not nested, and their results are plain data", async () => {
        assert.equal(code(await call("nested")), "VALIDATION");
        assert.equal(await call("read", ["deep"]), null);
        assert.equal(code(await call("notPlain")), "VALIDATION");
      });
    } finally {
      await connection.close();
      await database.close();
    }
  },
});

Deno.test("a part whose commit was answered by an earlier run wakes followers and says nothing again", async () => {
  const told: unknown[] = [];
  const engine = {
    async run(
      _: CallOptions,
      body: (transaction: { storage: Record<string, unknown> }) => Promise<Uint8Array>,
    ) {
      const answer = await body({ storage: {} });
      const feeds = ["notes"];
      return { answer, replayed: true, wrote: false, feeds, attempts: 1 };
    },
  };
  const runUnit = unitRunner(engine, { effect: null, readOnly: false } as CallOptions, {
    retry: 0,
    stamp: null,
    onCommit: (...all) => told.push(all),
  });
  await runUnit(
    1,
    () =>
      Promise.resolve({ answer: new Uint8Array(), emitted: [{ topic: "t", data: "said before" }] }),
  );
  assert.deepEqual(told, [[["notes"], []]]);
});
