/**
 * What every client platform must manage against {@link echoDispatch}, over any transport. Runs in Deno,
 * workerd and Chromium; answers with the names of what failed. For tests only.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { equalBytes } from "../bytes.ts";
import { type Dispatch, SYSTEM_OPS } from "../rpc.ts";
import type { Transport } from "../transport.ts";

/** Ops of {@link echoDispatch}. */
export const TripOp = { ECHO: 1001, STREAM: 1002, FAIL: 1003, IDENTITY: 1004 } as const;

/** Echoes, streams the payload byte by byte, fails with a typed error, tells token and number, or keeps a subscription open. */
export const echoDispatch: Dispatch = (call) => {
  const payload = call.payload.slice();
  switch (call.op) {
    case SYSTEM_OPS.SUBSCRIBE: {
      const elements = (async function* (): AsyncGenerator<Uint8Array, void> {
        yield payload;
        await new Promise((resolve) => call.signal.addEventListener("abort", resolve));
      })();
      return Promise.resolve({ kind: "stream", elements });
    }
    case TripOp.ECHO:
      return Promise.resolve({ kind: "value", payload });
    case TripOp.STREAM: {
      const elements = (async function* (): AsyncGenerator<Uint8Array, void> {
        for (const byte of payload) yield await Promise.resolve(new Uint8Array([byte]));
      })();
      return Promise.resolve({ kind: "stream", elements });
    }
    case TripOp.IDENTITY: {
      const text = `${call.token} ${call.lane.length} ${call.reqno}`;
      return Promise.resolve({ kind: "value", payload: new TextEncoder().encode(text) });
    }
    default: {
      const error = { code: "CONFLICT", message: "Somebody was faster.", data: { at: 3 } };
      return Promise.resolve({ kind: "error", error });
    }
  }
};

/** Runs them all. */
export async function roundTrips(transport: Transport): Promise<readonly string[]> {
  const failures: string[] = [];
  const options = { token: "token-of-a-session", mutation: true };
  const check = async (name: string, work: () => Promise<boolean>): Promise<void> => {
    const passed = await work().catch((error) => (failures.push(`${name}: ${error}`), true));
    if (!passed) failures.push(name);
  };
  for (const length of [0, 1, 1024, 70_000, 1 << 20]) {
    const payload = new Uint8Array(length).map((_, at) => at);
    await check(
      `${length} bytes come back`,
      async () => equalBytes(await transport.call(TripOp.ECHO, payload, options), payload),
    );
  }
  await check("forty calls at once keep their answers apart", async () => {
    const sent = Array.from({ length: 40 }, (_, at) => new Uint8Array([at]));
    const got = await Promise.all(sent.map((each) => transport.call(TripOp.ECHO, each, options)));
    return got.every((bytes, at) => bytes.length === 1 && bytes[0] === at);
  });
  await check("a stream arrives in order and ends", async () => {
    const payload = Uint8Array.from({ length: 200 }, (_, at) => at);
    const got: number[] = [];
    for await (const element of transport.stream(TripOp.STREAM, payload, options)) {
      got.push(...element);
    }
    return got.join() === payload.join();
  });
  await check("token and number arrive inside", async () => {
    const bytes = await transport.call(TripOp.IDENTITY, new Uint8Array(0), options);
    return /^token-of-a-session 11 \d+$/.test(new TextDecoder().decode(bytes));
  });
  await check("an error keeps its code and data", async () => {
    const error = await transport.call(TripOp.FAIL, new Uint8Array(0), options).catch((e) => e);
    return error instanceof KontractError && error.code === "CONFLICT" &&
      JSON.stringify(error.data) === '{"at":3}';
  });
  return failures;
}

/** True where one connection has `most` subscriptions, no more, and room again for one that was left. */
export async function subscriptionsEnd(
  transport: Transport,
  most: number,
  request: Uint8Array = new Uint8Array(1),
  token: string | null = null,
): Promise<boolean> {
  const options = { token, mutation: false };
  const open = async (): Promise<AsyncIterator<Uint8Array>> => {
    const elements = transport.stream(SYSTEM_OPS.SUBSCRIBE, request, options);
    const iterator = elements[Symbol.asyncIterator]();
    await iterator.next();
    return iterator;
  };
  const opened = await Promise.all(Array.from({ length: most }, open));
  const error = await open().catch((error: unknown) => error);
  await opened[0]?.return?.();
  const another = await open();
  for (const each of [...opened, another]) await each.return?.();
  return error instanceof KontractError && error.code === "RATE_LIMITED";
}
