import assert from "node:assert/strict";
import { type ErrorCode, KontractError } from "../_internal/errors.ts";
import { until } from "../tests/until.ts";
import { utf8 } from "./bytes.ts";
import { createHttpTransport } from "./http_transport.ts";
import type { Dispatch, RpcCall } from "./rpc.ts";
import { RAY_CONTENT_TYPE } from "./server.ts";
import { createSocketTransport } from "./socket_transport.ts";
import { memoryEpochs, serveGateway, type TestGateway } from "./testing/gateway.ts";

const READ = { token: null, mutation: false } as const;
const WRITE = { token: null, mutation: true } as const;

const echo: Dispatch = (call) =>
  Promise.resolve({ kind: "value", payload: new Uint8Array(call.payload) });

function connect(gateway: TestGateway, send: typeof fetch = fetch) {
  const { url, pins } = gateway;
  return createHttpTransport({ url, app: "test-app", pins, fetch: send });
}

const withCode = (code: ErrorCode) => (error: unknown): boolean => {
  assert.ok(error instanceof KontractError, `no KontractError: ${error}`);
  assert.equal(error.code, code);
  return true;
};

/** A fetch whose answers to messages (not handshakes) pass through `change`, once per entry. */
function tampering(
  change: (body: Uint8Array<ArrayBuffer>) => BodyInit,
  times = Infinity,
): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    const isMessage = init?.body instanceof Uint8Array && init.body[1] === 0x40;
    if (!isMessage || times-- <= 0) return response;
    const body = new Uint8Array(await response.arrayBuffer());
    return new Response(change(body), { status: response.status, headers: response.headers });
  };
}

Deno.test("a cut answer to a mutation is asked for again under its number, then it is unknown", async () => {
  const seen: RpcCall[] = [];
  await using gateway = await serveGateway((call) => {
    seen.push(call);
    return echo(call);
  });
  for (const length of [0, 10, 16, 40, 57]) {
    seen.length = 0;
    const transport = connect(gateway, tampering((body) => body.slice(0, length)));
    await assert.rejects(
      transport.call(1000, utf8("payload of some length"), WRITE),
      withCode("OUTCOME_UNKNOWN"),
    );
    transport.close();
    assert.equal(seen.length, 3);
    assert.equal(new Set(seen.map((call) => `${call.lane} ${call.reqno}`)).size, 1);
  }
  const once = connect(gateway, tampering((body) => body.slice(0, 20), 1));
  assert.deepEqual(await once.call(1000, utf8("x"), WRITE), utf8("x"));
  once.close();
});

Deno.test("Kontract's own operations, which no number protects, are not sent again", async () => {
  const seen: RpcCall[] = [];
  await using gateway = await serveGateway((call) => {
    seen.push(call);
    return echo(call);
  });
  const resets: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (init?.body instanceof Uint8Array && init.body[1] !== 0x40) return response;
    await response.body?.cancel();
    throw new TypeError("connection reset");
  };
  for (const network of [tampering((body) => body.slice(0, 20)), resets]) {
    seen.length = 0;
    const transport = connect(gateway, network);
    await assert.rejects(transport.call(1, utf8("x"), WRITE), withCode("OUTCOME_UNKNOWN"));
    transport.close();
    assert.equal(seen.length, 1);
  }
});

Deno.test("what may be sent once takes no retry from the calls beside it", async () => {
  const seen: number[] = [];
  await using gateway = await serveGateway((call) => {
    seen.push(call.op);
    return echo(call);
  });
  const lost = new Set<string>();
  const transport = connect(gateway, async (input, init) => {
    const response = await fetch(input, init);
    const body = init?.body as Uint8Array;
    const name = String(body);
    if (body[1] !== 0x40 || lost.has(name)) return response;
    lost.add(name);
    await response.body?.cancel();
    throw new TypeError("connection reset");
  });
  const [before, once, after] = [1000, 1, 1001].map((op) => transport.call(op, utf8("x"), WRITE));
  await assert.rejects(once!, withCode("OUTCOME_UNKNOWN"));
  assert.deepEqual(await Promise.all([before, after]), [utf8("x"), utf8("x")]);
  assert.deepEqual(seen.sort(), [1, 1000, 1000, 1001, 1001]);
  assert.equal(lost.size, 2, "those that may be sent again share a body");
  transport.close();
});

Deno.test("a busy server is asked again after a pause, under the same number, and not forever", async () => {
  const seen: RpcCall[] = [];
  await using gateway = await serveGateway((call) => {
    seen.push(call);
    if (call.op === 1000 && seen.length > 2) return echo(call);
    return Promise.resolve({ kind: "error", error: { code: "OVERLOADED", message: "Busy." } });
  });
  const transport = connect(gateway);
  assert.deepEqual(await transport.call(1000, utf8("x"), WRITE), utf8("x"));
  assert.equal(seen.length, 3);
  assert.equal(new Set(seen.map((call) => call.reqno)).size, 1);
  await assert.rejects(transport.call(1001, utf8("x"), READ), withCode("OVERLOADED"));
  assert.equal(seen.length, 6);
  const abort = new AbortController();
  const left = transport.call(1001, utf8("x"), { ...READ, signal: abort.signal });
  await until(() => seen.length >= 7);
  abort.abort();
  await assert.rejects(left, withCode("CANCELLED"));
  transport.close();
});

Deno.test("a gateway that can give no ticket yet is asked again after a pause, whatever the call", async () => {
  // Not even Kontract's own operations are lost: what never left can be sent.
  const streamed = { ...WRITE, inputs: [ReadableStream.from([utf8("y")])] };
  for (const [op, how] of [[1000, READ], [1000, WRITE], [1, WRITE], [1000, streamed]] as const) {
    const epochs = memoryEpochs();
    let refusals = 2;
    const random = (epoch: number) => refusals-- > 0 ? Promise.resolve(null) : epochs.random(epoch);
    await using gateway = await serveGateway(echo, { epochs: { random } });
    const transport = connect(gateway);
    assert.deepEqual(await transport.call(op, utf8("x"), how), utf8("x"));
    transport.close();
    assert.equal(gateway.requests.length, 4, "three handshakes and the call");
  }
});

Deno.test("a cut answer to a read is asked for once more, then it is NETWORK", async () => {
  await using gateway = await serveGateway(echo);
  const once = connect(gateway, tampering((body) => body.slice(0, 20), 1));
  assert.deepEqual(await once.call(1000, utf8("x"), READ), utf8("x"));
  once.close();
  const always = connect(gateway, tampering((body) => body.slice(0, 20)));
  await assert.rejects(always.call(1000, utf8("x"), READ), withCode("NETWORK"));
  always.close();
});

Deno.test("a changed answer is RAY_PROTOCOL for a read and unknown for a mutation", async () => {
  await using gateway = await serveGateway(echo);
  const change = (body: Uint8Array<ArrayBuffer>): BodyInit => {
    body[body.length - 1] = (body[body.length - 1] ?? 0) ^ 1;
    return body;
  };
  const transport = connect(gateway, tampering(change));
  await assert.rejects(transport.call(1000, utf8("x"), READ), withCode("RAY_PROTOCOL"));
  await assert.rejects(transport.call(1000, utf8("x"), WRITE), withCode("OUTCOME_UNKNOWN"));
  await assert.rejects(
    Array.fromAsync(transport.stream(1000, utf8("x"), READ)),
    withCode("RAY_PROTOCOL"),
  );
  transport.close();
});

Deno.test("where no answer comes the same bytes are sent again, under the same number", async () => {
  const bodies: Uint8Array[] = [];
  let broken = 2;
  await using gateway = await serveGateway(echo);
  const flaky: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    assert.ok(init?.body instanceof Uint8Array);
    if (init.body[1] !== 0x40) return response;
    bodies.push(new Uint8Array(init.body));
    if (broken-- <= 0) return response;
    await response.body?.cancel();
    throw new TypeError("connection reset");
  };
  const transport = connect(gateway, flaky);
  assert.deepEqual(await transport.call(1000, utf8("x"), WRITE), utf8("x"));
  assert.equal(bodies.length, 3);
  assert.deepEqual(bodies[0], bodies[1]);
  assert.deepEqual(bodies[0], bodies[2]);
  broken = Infinity;
  await assert.rejects(transport.call(1000, utf8("x"), WRITE), withCode("OUTCOME_UNKNOWN"));
  await assert.rejects(transport.call(1000, utf8("x"), READ), withCode("NETWORK"));
  transport.close();
});

Deno.test("a ticket the server no longer takes is renewed, and the call keeps its number", async () => {
  const epochs = memoryEpochs();
  let now = Date.now();
  const seen: RpcCall[] = [];
  await using gateway = await serveGateway((call) => {
    seen.push(call);
    return echo(call);
  }, { epochs, clock: { now: () => now } });
  const transport = connect(gateway);
  await transport.call(1000, utf8("x"), WRITE);
  // The server's clock jumps two hours: the client, whose own clock says nothing, learns it by refusal.
  now += 2 * 3_600_000;
  epochs.values.set(Math.floor(now / 3_600_000), new Uint8Array(32).fill(1));
  assert.deepEqual(await transport.call(1000, utf8("y"), WRITE), utf8("y"));
  const got = await Array.fromAsync([transport.call(1000, utf8("z"), WRITE)]);
  assert.deepEqual(got, [utf8("z")]);
  assert.deepEqual(seen.map((call) => call.reqno), [0n, 1n, 2n]);
  assert.equal(new Set(seen.map((call) => call.lane)).size, 1);
  assert.equal(gateway.requests.length, 2 + 2 + 1 + 1, "one refusal and one more handshake");
  transport.close();
});

Deno.test("a server that refuses every ticket ends in an error, not in a loop", async () => {
  const refusing = { random: (): Promise<Uint8Array | null> => Promise.resolve(fresh()) };
  const fresh = (): Uint8Array => crypto.getRandomValues(new Uint8Array(32));
  let now = Date.now();
  // Every look at the clock is a minute later, so no epoch key is ever the one that sealed.
  await using gateway = await serveGateway(echo, {
    epochs: refusing,
    clock: { now: () => (now += 31_000) },
  });
  const transport = connect(gateway);
  await assert.rejects(transport.call(1000, utf8("x"), READ), withCode("RAY_TICKET"));
  assert.equal(gateway.requests.length, 4, "two handshakes, two refusals");
  await assert.rejects(transport.call(1000, utf8("x"), WRITE), withCode("OUTCOME_UNKNOWN"));
  transport.close();
});

Deno.test("a restarted server with the same secret goes on with old tickets", async () => {
  const [secrets, epochs] = [[crypto.getRandomValues(new Uint8Array(32))], memoryEpochs()];
  const first = await serveGateway(echo, { secrets, epochs });
  const second = await serveGateway(echo, { secrets, epochs });
  let target = first.url;
  const moving: typeof fetch = (_input, init) => fetch(`${target}/raystream`, init);
  const transport = connect(first, moving);
  await transport.call(1000, utf8("x"), WRITE);
  await first[Symbol.asyncDispose]();
  target = second.url;
  assert.deepEqual(await transport.call(1000, utf8("x"), WRITE), utf8("x"));
  assert.equal(second.requests.length, 1, "no new handshake");
  transport.close();
  await second[Symbol.asyncDispose]();
});

Deno.test("an error frame that is no error fails its call instead of leaving it", async () => {
  await using gateway = await serveGateway(() => {
    // Sealed by a gateway that holds the key and writes nonsense: a code that is no text.
    const error = { code: 7, message: "m" } as unknown as { code: string; message: string };
    return Promise.resolve({ kind: "error", error });
  });
  const { url, pins } = gateway;
  for (const make of [createHttpTransport, createSocketTransport]) {
    const transport = make({ url, pins, app: "test-app" });
    await assert.rejects(transport.call(1000, utf8("x"), READ), withCode("RAY_PROTOCOL"));
    await assert.rejects(transport.call(1000, utf8("x"), WRITE), withCode("OUTCOME_UNKNOWN"));
    transport.close();
  }
});

Deno.test("behind a proxy that strips or rewrites bodies every call fails typed, and nothing runs that was not sent", async () => {
  const html = new Response("<html>blocked</html>", { headers: { "content-type": "text/html" } });
  type Rewrite = (request: Request, body: Uint8Array<ArrayBuffer>) => BodyInit | null;
  const requests: Record<string, Rewrite> = {
    "strips the request": () => null,
    "cuts the request": (_, body) => body.slice(0, body.length >> 1),
    "adds to the request": (_, body) => new Uint8Array([...body, 0]),
    "reads the request as text": (_, body) => new TextDecoder().decode(body),
  };
  const answers: Record<string, (answer: Response, body: Uint8Array<ArrayBuffer>) => Response> = {
    "strips the answer": (answer) => new Response(null, answer),
    "cuts the answer": (answer, body) => new Response(body.slice(0, -1), answer),
    "adds to the answer": (answer, body) => new Response(new Uint8Array([...body, 0]), answer),
    "reads the answer as text": (answer, body) =>
      new Response(new TextDecoder().decode(body), answer),
    "answers itself": () => html.clone(),
    "changes the type": (_, body) => new Response(body, { headers: { "content-type": "a/b" } }),
  };
  const all = [...Object.keys(requests), ...Object.keys(answers)];
  for (const [what, handshakes] of all.flatMap((one) => [[one, true], [one, false]] as const)) {
    let ran = 0;
    const payloads: string[] = [];
    const dispatch: Dispatch = (call) => {
      ran++;
      payloads.push(new TextDecoder().decode(call.payload));
      return echo(call);
    };
    await using gateway = await serveGateway(dispatch, {}, async (request, next) => {
      const body = new Uint8Array(await request.arrayBuffer());
      if (body[1] === 1 && !handshakes) return await next(new Request(request, { body }));
      const headers = new Headers(request.headers);
      headers.delete("content-length");
      const sent = requests[what]?.(request, body) ?? (what in requests ? null : body);
      const init = { method: "POST", headers, body: sent };
      const answer = await next(new Request(request.url, init));
      const own = new Uint8Array(await answer.arrayBuffer());
      const rewritten = answers[what]?.(answer, own) ?? new Response(own, answer);
      rewritten.headers.delete("content-length");
      return rewritten;
    });
    for (const options of [READ, WRITE]) {
      const transport = connect(gateway);
      const error = await transport.call(1000, utf8("pay"), options).catch((one) => one);
      transport.close();
      assert.ok(error instanceof KontractError, `${what}: ${error}`);
      const codes = ["NETWORK", "RAY_SERVER_KEY", "RAY_TICKET", "RAY_PROTOCOL", "OUTCOME_UNKNOWN"];
      assert.ok(codes.includes(error.code), `${what}: ${error.code}`);
    }
    assert.ok(payloads.every((payload) => payload === "pay"), what);
    if (what in requests) assert.equal(ran, 0, what);
  }
});

Deno.test("a gateway's refusal is told by its status; a proxy's is nobody's word", async () => {
  await using gateway = await serveGateway(echo);
  const own = { "content-type": RAY_CONTENT_TYPE };
  const cases: readonly (readonly [number, Record<string, string>, ErrorCode])[] = [
    [413, own, "TOO_LARGE"],
    [429, own, "RATE_LIMITED"],
    [503, own, "OVERLOADED"],
    [500, own, "RAY_PROTOCOL"],
    [413, {}, "NETWORK"],
    [404, { "content-type": "text/html" }, "NETWORK"],
  ];
  for (const [status, headers, code] of cases) {
    for (const handshakes of [true, false]) {
      let refusing = true;
      const transport = connect(gateway, (input, init) => {
        const isHandshake = init?.body instanceof Uint8Array && init.body[1] !== 0x40;
        return refusing && isHandshake === handshakes
          ? Promise.resolve(new Response("refused", { status, headers }))
          : fetch(input, init);
      });
      await assert.rejects(transport.call(1000, utf8("x"), READ), withCode(code), `${status}`);
      refusing = false;
      assert.deepEqual(await transport.call(1000, utf8("x"), READ), utf8("x"));
      transport.close();
    }
  }
});
