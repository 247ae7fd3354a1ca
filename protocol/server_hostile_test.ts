import assert from "node:assert/strict";
import { type Bytes, concat, randomBytes, utf8 } from "./bytes.ts";
import { type PlainRequest, readAnswer, type SealedRequest, sealRequest } from "./client_body.ts";
import { type ClientSession, initiate, type Pin, readSession } from "./client_handshake.ts";
import { loadProvider } from "./crypto/select.ts";
import { FrameType, outerFailure } from "./frames.ts";
import { RayTransport } from "./hello.ts";
import { encodePrefix, requestKey } from "./message_keys.ts";
import { MessageSealer, type RayMessage } from "./message_state.ts";
import { type Dispatch, SYSTEM_OPS } from "./rpc.ts";
import { RAY_CONTENT_TYPE, type RaystreamServer } from "./server.ts";
import { makeServer, memoryEpochs } from "./testing/gateway.ts";
import { hex } from "./testing/vectors.ts";

const crypto = await loadProvider();

const never: Dispatch = () => {
  throw new Error("a hostile request reached the dispatcher");
};
const echo: Dispatch = (call) =>
  Promise.resolve({ kind: "value", payload: new Uint8Array(call.payload) });

async function post(
  server: RaystreamServer,
  body: Uint8Array,
  dispatch: Dispatch = never,
): Promise<{ status: number; body: Bytes }> {
  const request = new Request("http://test/raystream", {
    method: "POST",
    headers: { "content-type": RAY_CONTENT_TYPE },
    body: new Uint8Array(body),
  });
  const response = await server.handle(request, dispatch);
  return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
}

async function refused(server: RaystreamServer, body: Uint8Array, what: string): Promise<void> {
  assert.deepEqual(await post(server, body), { status: 400, body: outerFailure() }, what);
}

async function pinOf(server: RaystreamServer): Promise<Pin> {
  const key = (await server.keys()).keys[0];
  assert.ok(key !== undefined);
  return { kid: key.kid, publicKey: key.pair.publicKey };
}

async function open(server: RaystreamServer): Promise<ClientSession> {
  const initiated = await initiate(crypto, await pinOf(server), RayTransport.HTTP, "test-app");
  const { status, body } = await post(server, initiated.init);
  assert.equal(status, 200);
  return await readSession(crypto, initiated, body);
}

function request(payload = "payload"): PlainRequest {
  const calls = [{ op: 1000, payload: utf8(payload) }];
  return { token: "token", calls, lane: randomBytes(8), reqno: 7n };
}

async function read(sealed: SealedRequest, answer: Bytes): Promise<RayMessage[]> {
  const opened = async (response: Response): Promise<RayMessage[]> =>
    (await Array.fromAsync(readAnswer(sealed.answer(), response))).flat();
  const headers = { "content-length": `${answer.length}` };
  const whole = await opened(new Response(answer, { headers }));
  // Byte by byte it must come to the same.
  const chunks = ReadableStream.from(Array.from(answer, (byte) => new Uint8Array([byte])));
  assert.deepEqual(await opened(new Response(chunks)), whole);
  return whole;
}

function flip(bytes: Uint8Array, bit: number): Bytes {
  const changed = new Uint8Array(bytes);
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
}

Deno.test("every flipped bit of an INIT is refused, header, hello and Noise alike", async () => {
  const server = makeServer();
  const { init } = await initiate(crypto, await pinOf(server), RayTransport.HTTP, "test-app");
  for (let bit = 0; bit < init.length * 8; bit++) await refused(server, flip(init, bit), `${bit}`);
  assert.equal((await post(server, init)).status, 200, "unchanged it is fine");
});

Deno.test("an INIT cut or lengthened anywhere is refused", async () => {
  const server = makeServer();
  const { init } = await initiate(crypto, await pinOf(server), RayTransport.HTTP, "test-app");
  for (let length = 0; length < init.length; length++) {
    await refused(server, init.subarray(0, length), `${length} bytes`);
  }
  await refused(server, concat(init, new Uint8Array(1)), "one more");
  await refused(server, concat(init, init), "twice");
  await refused(server, concat(init, new Uint8Array(5000)), "over 4 KiB");
});

Deno.test("every flipped bit of the handshake's answer is refused by the client", async () => {
  const server = makeServer();
  const initiated = await initiate(crypto, await pinOf(server), RayTransport.HTTP, "test-app");
  const { body } = await post(server, initiated.init);
  for (let bit = 0; bit < body.length * 8; bit += 5) {
    // A state is used once, so each try is a handshake of its own with the same flip.
    const own = await initiate(crypto, await pinOf(server), RayTransport.HTTP, "test-app");
    const answer = (await post(server, own.init)).body;
    await assert.rejects(readSession(crypto, own, flip(answer, bit)), `bit ${bit}`);
  }
  await readSession(crypto, initiated, body);
});

Deno.test("low-order ephemeral keys are refused like everything else", async () => {
  const server = makeServer();
  const { init } = await initiate(crypto, await pinOf(server), RayTransport.HTTP, "test-app");
  const points = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ];
  for (const point of points) {
    const changed = new Uint8Array(init);
    changed.set(hex(point), init.length - 48);
    await refused(server, changed, point);
  }
});

Deno.test("every flipped bit of a request is refused before anything runs", async () => {
  const server = makeServer();
  const sealed = sealRequest(crypto, await open(server), request());
  for (let bit = 0; bit < sealed.body.length * 8; bit++) {
    await refused(server, flip(sealed.body, bit), `bit ${bit}`);
  }
  assert.equal((await post(server, sealed.body, echo)).status, 200, "unchanged it is fine");
});

Deno.test("a request cut anywhere, at a frame's edge too, is refused before anything runs", async () => {
  const server = makeServer();
  const session = await open(server);
  const calls = ["a", "b"].map((text) => ({ op: 1000, payload: utf8(text) }));
  const sealed = sealRequest(crypto, session, { ...request(), calls });
  for (let length = 0; length < sealed.body.length; length++) {
    await refused(server, sealed.body.subarray(0, length), `${length} bytes`);
  }
  await refused(server, concat(sealed.body, new Uint8Array(16)), "and something after it");
});

Deno.test("frames in another order, left out, doubled or from another body are refused", async () => {
  const server = makeServer();
  const session = await open(server);
  const calls = ["a", "b", "c"].map((text) => ({ op: 1000, payload: utf8(text) }));
  const plain = { ...request(), token: null, calls };
  const [one, two] = [sealRequest(crypto, session, plain), sealRequest(crypto, session, plain)];
  const size = 16 + 8 + 1 + 16;
  const cut = (body: Bytes): [Bytes, Bytes, Bytes, Bytes] => {
    const start = body.length - 3 * size;
    const part = (k: number): Bytes => body.slice(start + k * size, start + (k + 1) * size);
    return [body.slice(0, start), part(0), part(1), part(2)];
  };
  const [prefix, a, b, c] = cut(one.body);
  const [otherPrefix, otherA] = cut(two.body);
  const stranger = await open(server);
  const [, foreignA] = cut(sealRequest(crypto, stranger, plain).body);
  for (
    const [what, parts] of Object.entries({
      "swapped": [prefix, b, a, c],
      "one left out": [prefix, a, c],
      "the first left out": [prefix, b, c],
      "doubled": [prefix, a, a, b, c],
      "spliced from the same session": [prefix, otherA, b, c],
      "spliced from another session": [prefix, foreignA, b, c],
      "under another body's prefix": [otherPrefix, a, b, c],
    })
  ) await refused(server, concat(...parts), what);
  assert.equal((await post(server, concat(prefix, a, b, c), echo)).status, 200);
});

Deno.test("an answer is refused as a request, and a request as an answer", async () => {
  const server = makeServer();
  const sealed = sealRequest(crypto, await open(server), request());
  const { body } = await post(server, sealed.body, echo);
  await refused(server, body, "answer as request");
  await refused(server, concat(sealed.body.slice(0, 149), body.slice(16)), "answer's frames");
  await assert.rejects(read(sealed, sealed.body));
  await assert.rejects(read(sealed, concat(body.slice(0, 16), sealed.body.slice(149))));
});

Deno.test("every flipped bit and every cut of an answer is noticed by the client", async () => {
  const server = makeServer();
  const sealed = sealRequest(crypto, await open(server), request());
  const { body } = await post(server, sealed.body, echo);
  assert.equal((await read(sealed, body)).length, 1);
  for (let bit = 0; bit < body.length * 8; bit++) {
    await assert.rejects(read(sealed, flip(body, bit)), `bit ${bit}`);
  }
  for (let length = 0; length < body.length; length++) {
    await assert.rejects(read(sealed, body.subarray(0, length) as Bytes), `${length} bytes`);
  }
  await assert.rejects(read(sealed, concat(body, body)));
});

Deno.test("one POST answered by two servers gives unrelated bytes and lengths that say nothing", async () => {
  const [secrets, epochs] = [[randomBytes(32)], memoryEpochs()];
  const servers = [makeServer({ secrets, epochs }), makeServer({ secrets, epochs })];
  const [first, second] = servers;
  assert.ok(first !== undefined && second !== undefined);
  const sealed = sealRequest(crypto, await open(first), request("same"));
  const answers = [
    await post(first, sealed.body, () => secret("plaintext one")),
    await post(second, sealed.body, () => secret("plaintext two")),
    await post(first, sealed.body, () => secret("plaintext one")),
  ].map(({ body }) => body);
  for (const [i, j] of [[0, 1], [0, 2], [1, 2]] as const) {
    const [a, b] = [answers[i], answers[j]];
    assert.ok(a !== undefined && b !== undefined);
    assert.notDeepEqual(a.slice(0, 16), b.slice(0, 16), "salts differ");
    // Under one key and nonce the XOR of the bodies would be that of the plaintexts: mostly zeros.
    const equal = a.slice(32).filter((byte, at) => byte === b[32 + at]).length;
    assert.ok(equal < 8, `${equal} bytes are equal`);
  }
  for (const answer of answers) assert.equal((await read(sealed, answer)).length, 1);
  assert.deepEqual(
    (await read(sealed, answers[1] as Bytes))[0]?.payload,
    utf8("plaintext two"),
  );

  function secret(text: string): ReturnType<Dispatch> {
    return Promise.resolve({ kind: "value", payload: utf8(text) });
  }
});

Deno.test("a ticket of another deployment, app secret or epoch is refused", async () => {
  const secrets = [randomBytes(32)];
  const [epochs, otherEpochs] = [memoryEpochs(), memoryEpochs()];
  const server = makeServer({ secrets, epochs });
  const sealed = sealRequest(crypto, await open(server), request());
  await refused(makeServer({ epochs }), sealed.body, "another secret");
  await refused(makeServer({ secrets, epochs: otherEpochs }), sealed.body, "another epoch random");
  await refused(makeServer({ secrets, epochs, authEpoch: 1 }), sealed.body, "revoked");
  const both = makeServer({ secrets: [randomBytes(32), ...secrets], epochs });
  assert.equal((await post(both, sealed.body, echo)).status, 200, "a rotated server takes both");
});

Deno.test("a deleted epoch makes its tickets worthless, even with the secret", async () => {
  const [secrets, epochs] = [[randomBytes(32)], memoryEpochs()];
  const sealed = sealRequest(crypto, await open(makeServer({ secrets, epochs })), request());
  epochs.values.clear();
  await refused(makeServer({ secrets, epochs }), sealed.body, "epoch gone");
});

Deno.test("an expired ticket and one from the future are refused", async () => {
  let now = Date.now();
  const [secrets, epochs] = [[randomBytes(32)], memoryEpochs()];
  const server = makeServer({ secrets, epochs, clock: { now: () => now }, ticketLifetime: 60_000 });
  const sealed = sealRequest(crypto, await open(server), request());
  assert.equal((await post(server, sealed.body, echo)).status, 200);
  now += 59_000;
  assert.equal((await post(server, sealed.body, echo)).status, 200);
  now += 2_000;
  await refused(server, sealed.body, "expired");
  now -= 10 * 60_000;
  await refused(server, sealed.body, "issued in the future");
});

Deno.test("calls on wrong streams, wrong types and too many of them are refused", async () => {
  const server = makeServer({ limits: { streams: 4 } });
  const session = await open(server);
  const call = (stream: number, type: RayMessage["type"] = FrameType.RPC_CALL): RayMessage => ({
    ...{ type, stream, op: 1000, payload: utf8("x") },
  });
  const body = (...messages: RayMessage[]): Bytes => {
    const salt = randomBytes(16);
    const prefix = encodePrefix({ lane: randomBytes(8), reqno: 0n, salt, ticket: session.ticket });
    const key = requestKey(crypto, session.rms, crypto.sha256(prefix));
    const sealer = new MessageSealer(crypto, key);
    const last = messages.length - 1;
    return concat(prefix, ...messages.map((message, at) => sealer.seal(message, at === last)));
  };
  const auth = { ...call(0), op: 0 };
  await refused(server, body(call(2)), "even stream");
  await refused(server, body(call(3)), "not from 1");
  await refused(server, body(call(1), call(1)), "one stream twice");
  await refused(server, body(call(1), call(5)), "a gap");
  await refused(server, body(auth), "no call");
  await refused(server, body(auth, auth, call(1)), "two tokens");
  await refused(server, body(call(1), auth), "token after a call");
  await refused(server, body(call(0), call(1)), "stream 0 with an app's op");
  await refused(server, body({ ...auth, payload: new Uint8Array([0xff]) }, call(1)), "no UTF-8");
  await refused(server, body({ ...auth, payload: new Uint8Array(9000) }, call(1)), "long token");
  for (const type of Object.values(FrameType)) {
    if (type !== FrameType.RPC_CALL) await refused(server, body(call(1, type)), `type ${type}`);
  }
  await refused(server, body(...[1, 3, 5, 7, 9].map((stream) => call(stream))), "too many");
  assert.equal(
    (await post(server, body(auth, ...[1, 3, 5, 7].map((s) => call(s))), echo)).status,
    200,
  );
});

Deno.test("subscriptions of one body beyond the limit are refused, the others and the calls are not", async () => {
  const server = makeServer({ limits: { subscriptions: 2 } });
  const ops = [SYSTEM_OPS.SUBSCRIBE, 1000, SYSTEM_OPS.SUBSCRIBE, SYSTEM_OPS.SUBSCRIBE, 1000];
  const calls = ops.map((op) => ({ op, payload: utf8("x") }));
  const sealed = sealRequest(crypto, await open(server), { ...request(), calls });
  const { body } = await post(server, sealed.body, echo);
  const answers = sealed.answer().push(body);
  const refused = answers.filter(({ type }) => type === FrameType.RPC_ERROR);
  assert.equal(answers.length, 5);
  assert.deepEqual(refused.map(({ stream }) => stream), [7]);
  assert.match(new TextDecoder().decode(refused[0]!.payload), /"code":"RATE_LIMITED"/);
});

Deno.test("numbers at the end of their range are refused where a batch would run past it", async () => {
  const server = makeServer();
  const session = await open(server);
  const last = 0xffff_ffff_ffff_ffffn;
  const calls = ["a", "b"].map((text) => ({ op: 1000, payload: utf8(text) }));
  const whole = sealRequest(crypto, session, { ...request(), reqno: last - 1n, calls });
  assert.equal((await post(server, whole.body, echo)).status, 200);
  const over = sealRequest(crypto, session, { ...request(), reqno: last, calls });
  await refused(server, over.body, "past the last number");
});

Deno.test("a body over the limit is refused without being read to its end", async () => {
  const server = makeServer({ limits: { message: 10_000 } });
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(10_000));
    },
  });
  const request = new Request("http://test/", {
    method: "POST",
    headers: { "content-type": RAY_CONTENT_TYPE },
    body: endless,
  });
  assert.equal((await server.handle(request, never)).status, 400);
  assert.ok(pulled < 20, `${pulled} chunks were read`);
  const session = await open(server);
  const large = sealRequest(crypto, session, request_(20_000));
  await refusedLarge(large.body);

  function request_(size: number): PlainRequest {
    const calls = [{ op: 1000, payload: new Uint8Array(size) }];
    return { token: null, calls, lane: randomBytes(8), reqno: 0n };
  }
  async function refusedLarge(body: Bytes): Promise<void> {
    assert.deepEqual(await post(server, body), { status: 413, body: outerFailure() });
  }
});

Deno.test("anything that is no raystream POST is refused, and random bytes never run anything", async () => {
  const server = makeServer();
  const get = await server.handle(new Request("http://test/raystream"), never);
  assert.equal(get.status, 405);
  const json = new Request("http://test/", { method: "POST", body: "{}" });
  assert.equal((await server.handle(json, never)).status, 400);
  for (let round = 0; round < 500; round++) {
    const body = randomBytes(round);
    body[0] = round % 3 === 0 ? 1 : body[0] ?? 0;
    body[1] = round % 2 === 0 ? 0x40 : 1;
    await refused(server, body, `round ${round}`);
  }
});

Deno.test("handshakes can be refused by address before any key agreement", async () => {
  const server = makeServer({ admit: () => false });
  const { init } = await initiate(crypto, await pinOf(server), RayTransport.HTTP, "test-app");
  assert.deepEqual(await post(server, init), { status: 429, body: outerFailure() });
});
