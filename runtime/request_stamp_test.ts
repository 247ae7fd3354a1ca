/** What is stored under a request's identity is for that request alone, over real database and raystream. */
import assert from "node:assert/strict";
import { KontractError } from "../_internal/errors.ts";
import { AUTH_TABLES } from "../auth/tables.ts";
import { decodeValue, encodeValue } from "../protocol/codec/mod.ts";
import { createHttpTransport, SYSTEM_OPS } from "../protocol/client.ts";
import { readAnswer } from "../protocol/client_body.ts";
import { EMPTY } from "../protocol/bytes.ts";
import { FrameType } from "../protocol/frames.ts";
import { HttpChannel } from "../protocol/http_channel.ts";
import { deriveServerKeys } from "../protocol/server_keys.ts";
import { decodeWireError } from "../protocol/wire_error.ts";
import { postgresDatabase } from "../storage/postgres_database.ts";
import type { Table, TableMeta } from "../storage/types.ts";
import { testDatabase } from "../tests/postgres.ts";
import type { AppDefinition } from "./app.ts";
import { denoPorts } from "./deno/ports.ts";
import { env } from "./env.ts";
import { createGateway } from "./gateway.ts";
import { type Note, NOTES, notesApp } from "./testing/notes_app.ts";

const notes = (): Table<Note, TableMeta> =>
  (env.storage as unknown as { readonly notes: Table<Note, TableMeta> }).notes;
const put = (id: string, text: string): Promise<Note> =>
  notes().set(id, { id, text, author: "me" });
const text = async (id: string): Promise<string | null> => (await notes().get(id))?.text ?? null;

/** Takes from the balance, in a part of its own. */
const take = (amount: number): Promise<number> =>
  env.storage.transaction(async () => {
    await put("balance", String(Number(await text("balance")) - amount));
    return amount;
  });

/** Fails the call that asks for it, once. */
let failing = false;
function failOnce(): void {
  if (!failing) return;
  failing = false;
  throw new KontractError("FORBIDDEN");
}

const SPECS = {
  put: { types: ["string", "string"], body: put },
  read: { meta: { readOnly: true }, types: ["string"], body: text },
  rename: {
    types: ["string"],
    body: (name: string) =>
      env.storage.transaction(async () => {
        await put("name", name);
        return name;
      }),
  },
  pay: {
    types: ["string"],
    body: async (to: string) => {
      const amount = await take(100);
      await put(`credit-${to}`, String(amount));
      return amount;
    },
  },
  buy: {
    types: ["string"],
    body: async (price: string) => {
      const paid = await take(Number(price));
      failOnce();
      await put("owned", `${price} for ${paid}`);
      return paid;
    },
  },
  /** The second argument is streamed. */
  pour: {
    types: ["string"],
    body: async (to: string, prices: AsyncIterable<number>) => {
      const paid: number[] = [];
      for await (const price of prices) {
        paid.push(await take(price));
        failOnce();
      }
      await put(to, paid.join());
      return paid;
    },
  },
} as const;

function app(): AppDefinition {
  const made = notesApp(SPECS);
  const inputs = [{ at: 1, readable: false, decode: decodeValue }];
  return {
    ...made,
    routes: made.routes.map((route) => route.name === "pour" ? { ...route, inputs: 1 } : route),
    modules: made.modules.map((load) => async () => {
      const { routes } = await load();
      return { routes: { ...routes, pour: { ...routes.pour!, inputs } } };
    }),
  };
}

Deno.test({
  name: "an answer that is stored under an identity is for the request that made it",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const database = await testDatabase([...AUTH_TABLES, NOTES]);
    const connection = postgresDatabase({ url: database.gatewayUrl });
    const { secrets } = database;
    const ports = denoPorts({
      database: connection,
      secrets,
      secret: () => undefined,
      logSink: () => {},
    });
    const definition = app();
    const gateway = createGateway(definition, ports);
    const options = {
      url: "http://app.test",
      app: "notes",
      pins: (await deriveServerKeys(secrets)).pins,
      fetch: (input: RequestInfo | URL, init?: RequestInit) =>
        gateway.fetch(new Request(input, init)),
    };
    const transport = createHttpTransport(options);
    const { access: token } = decodeValue(
      await transport.call(SYSTEM_OPS.AUTH, encodeValue(["anonymous", null]), {
        token: null,
        mutation: true,
      }),
    ) as { access: string };
    transport.close();
    const channel = new HttpChannel(options, new AbortController().signal);
    const lane = crypto.getRandomValues(new Uint8Array(8));
    let numbers = 0n;
    /** Calls under a number of the test's choice: the result, or the code of the error. */
    const ray = async (
      name: string,
      args: readonly unknown[],
      reqno: bigint = ++numbers,
      streamed?: readonly unknown[],
    ): Promise<unknown> => {
      const { op } = definition.routes.find((route) => route.name === name)!;
      const inputs = streamed && [
        ...streamed.map((element) => {
          return { type: FrameType.EVENT, op: 0, payload: encodeValue(element) };
        }),
        { type: FrameType.RPC_RESPONSE, op: 0, payload: EMPTY },
      ];
      const posted = await channel.post(
        { token, lane, reqno, calls: [{ op, payload: encodeValue(args), inputs }] },
        new AbortController().signal,
      );
      const [message] = (await Array.fromAsync(readAnswer(posted.opener, posted.response))).flat();
      return message!.type === FrameType.RPC_ERROR
        ? decodeWireError(message!.payload).code
        : decodeValue(message!.payload);
    };
    const json = async (name: string, args: readonly unknown[], key: string): Promise<unknown> => {
      const response = await gateway.fetch(
        new Request(`${options.url}/rpc/${name}`, {
          method: "POST",
          body: JSON.stringify(args),
          headers: { authorization: `Bearer ${token}`, "idempotency-key": key },
        }),
      );
      const answer = await response.json();
      return answer.error?.code ?? answer.result;
    };
    const balance = (): Promise<unknown> => ray("read", ["balance"]);
    const reset = async (): Promise<void> => {
      await ray("put", ["balance", "0"]);
      await ray("put", ["owned", "nothing"]);
    };
    try {
      await t.step("a part is not answered with what another function's part gave", async () => {
        await reset();
        const number = ++numbers;
        assert.equal(await ray("rename", ["1000000"], number), "1000000");
        assert.equal(await ray("pay", ["me"], number), "REPLAY");
        assert.equal(await ray("read", ["credit-me"]), null);
        assert.equal(await balance(), "0");
        assert.equal(await ray("rename", ["1000000"], number), "1000000");
      });

      await t.step("nor with what the same function's part gave to other arguments", async () => {
        const number = ++numbers;
        const sealed = (args: string[]): Promise<unknown> => ray("buy", args, number);
        const keyed = (args: string[]): Promise<unknown> => json("buy", args, "key");
        for (const call of [sealed, keyed]) {
          await reset();
          failing = true;
          assert.equal(await call(["1"]), "FORBIDDEN");
          assert.equal(await call(["1000"]), "REPLAY");
          assert.equal(await balance(), "-1");
          assert.equal(await ray("read", ["owned"]), "nothing");
          assert.equal(await call(["1"]), 1, "the request itself goes on where it stopped");
          assert.equal(await balance(), "-1");
          assert.equal(await ray("read", ["owned"]), "1 for 1");
        }
      });

      await t.step("nor with what it gave to other elements of a streamed argument", async () => {
        await reset();
        const number = ++numbers;
        failing = true;
        assert.equal(await ray("pour", ["glass"], number, [1, 2]), "FORBIDDEN");
        assert.equal(await ray("pour", ["glass"], number, [1000, 2]), "REPLAY");
        assert.equal(await ray("read", ["glass"]), null);
        assert.deepEqual(await ray("pour", ["glass"], number, [1, 2]), [1, 2]);
        assert.equal(await balance(), "-3");
        assert.deepEqual(await ray("pour", ["glass"], number, [1, 2]), [1, 2]);
        assert.equal(await balance(), "-3");
      });

      await t.step(
        "a number stands for one call: its repeat is answered, another refused",
        async () => {
          const number = ++numbers;
          const first = await ray("put", ["a", "first"], number);
          assert.deepEqual(await ray("put", ["a", "first"], number), first);
          assert.equal(await ray("put", ["a", "other"], number), "REPLAY");
          assert.equal(await ray("buy", ["first"], number), "REPLAY");
          assert.equal(await ray("read", ["a"]), "first");
        },
      );
    } finally {
      await connection.close();
      await database.close();
    }
  },
});
