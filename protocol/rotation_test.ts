import assert from "node:assert/strict";
import { KontractError } from "../_internal/errors.ts";
import { randomBytes, utf8 } from "./bytes.ts";
import { createHttpTransport, openSocketTransport, type Transport } from "./client.ts";
import { createRaystreamServer } from "./mod.ts";
import { memoryEpochs, serveGateway } from "./testing/gateway.ts";
import { echoDispatch, TripOp } from "./testing/round_trips.ts";
import { EPOCH_MS } from "./tickets.ts";

const WRITE = { token: null, mutation: true } as const;

/** Serves one secret list after the other at one address, as restarts with a new environment would. */
async function rotating(first: readonly Uint8Array[], now: () => number = Date.now) {
  const epochs = memoryEpochs();
  const make = (secrets: readonly Uint8Array[]) =>
    createRaystreamServer({ app: "test-app", secrets, epochs, clock: { now } });
  let current = make(first);
  const handshakes: number[] = [];
  const gateway = await serveGateway(echoDispatch, {}, async (request) => {
    const bytes = new Uint8Array(await request.clone().arrayBuffer());
    if (bytes[1] === 1) handshakes.push(bytes.length);
    return await current.handle(request, echoDispatch);
  });
  return {
    ...{ gateway, epochs, handshakes },
    pins: async () => (await current.keys()).pins,
    rotate(secrets: readonly Uint8Array[]): void {
      current = make(secrets);
    },
  };
}

async function works(transport: Transport): Promise<void> {
  const payload = utf8("payload");
  assert.deepEqual(await transport.call(TripOp.ECHO, payload, WRITE), payload);
}

Deno.test("rotation: old clients work while the old secret is listed, tickets too, and then no more", async () => {
  const [old, fresh] = [randomBytes(32), randomBytes(32)];
  const { gateway, rotate, pins, handshakes } = await rotating([old]);
  await using _ = gateway;
  const { url } = gateway;
  const oldPins = await pins();
  const connect = (pinned: readonly string[]): Transport =>
    createHttpTransport({ url, app: "test-app", pins: pinned });
  const running = connect(oldPins);
  await works(running);
  assert.equal(handshakes.length, 1);

  rotate([fresh, old]);
  await works(running);
  assert.equal(handshakes.length, 1, "the ticket of the old secret still opens");
  const both = await pins();
  assert.deepEqual(both.slice(1), oldPins);
  const transports = [connect(oldPins), connect(both), connect(both.slice(0, 1))];
  for (const transport of transports) await works(transport);

  rotate([fresh]);
  const newer = transports[1]!;
  await works(newer); // its ticket was made under the new secret
  const late = connect(oldPins);
  await assert.rejects(
    late.call(TripOp.ECHO, utf8("x"), WRITE),
    (error) => error instanceof KontractError && error.code === "RAY_SERVER_KEY",
  );
  // What pins both finds the new key where the old one is gone.
  const reordered = connect([...oldPins, ...both.slice(0, 1)]);
  await works(reordered);
  for (const each of [running, late, reordered, ...transports]) each.close();
});

Deno.test("rotation over WebSocket: a client with an old pin connects while the old secret is listed", async () => {
  const [old, fresh] = [randomBytes(32), randomBytes(32)];
  await using before = await serveGateway(echoDispatch, { secrets: [old] });
  await using during = await serveGateway(echoDispatch, { secrets: [fresh, old] });
  await using after = await serveGateway(echoDispatch, { secrets: [fresh] });
  const connect = (url: string): Promise<Transport> =>
    openSocketTransport({ url, app: "test-app", pins: before.pins });
  for (const { url } of [before, during]) {
    const transport = await connect(url);
    await works(transport);
    transport.close();
  }
  const late = await connect(after.url);
  await assert.rejects(
    late.call(TripOp.ECHO, utf8("x"), WRITE),
    (error) => error instanceof KontractError && error.code === "RAY_SERVER_KEY",
  );
  late.close();
});

Deno.test("a deleted epoch ends its tickets within half a minute, also those opened before", async () => {
  let now = Math.floor(Date.now() / EPOCH_MS) * EPOCH_MS + 60_000;
  const { gateway, epochs, handshakes, pins } = await rotating([randomBytes(32)], () => now);
  await using _ = gateway;
  const pinned = await pins();
  const transport = createHttpTransport({ url: gateway.url, app: "test-app", pins: pinned });
  await works(transport);
  now += 31_000;
  await works(transport);
  assert.equal(handshakes.length, 1);
  epochs.values.clear();
  now += 31_000;
  await works(transport);
  assert.equal(handshakes.length, 2, "the old ticket no longer opens: a new handshake was needed");
  transport.close();
});
