import assert from "node:assert/strict";
import { EMPTY, utf8 } from "./bytes.ts";
import { createHttpTransport } from "./client.ts";
import { outerFailure } from "./frames.ts";
import { afterGivingUp, BODY_PACE, endingWith, readStart } from "./request_body.ts";
import { RAY_CONTENT_TYPE } from "./server.ts";
import { makeServer, serveGateway } from "./testing/gateway.ts";

const LIMIT = 1 << 20;
const never = (): Promise<never> => Promise.reject(new Error("Nothing must run."));

/** A request whose body is what the test sends. */
function upload(length?: number): {
  readonly request: Request;
  readonly send: (bytes: number) => void;
  readonly end: () => void;
  readonly told: Promise<void>;
} {
  const told = Promise.withResolvers<void>();
  let sender: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => void (sender = controller),
    cancel: () => told.resolve(),
  });
  const headers: HeadersInit = { "content-type": RAY_CONTENT_TYPE };
  if (length !== undefined) headers["content-length"] = String(length);
  return {
    request: new Request("http://app.test/raystream", { method: "POST", headers, body }),
    send: (bytes) => sender.enqueue(new Uint8Array(bytes)),
    end: () => sender.close(),
    told: told.promise,
  };
}

/** Timers that go off when the test says so. */
class Clock implements Disposable {
  readonly #real = { set: globalThis.setTimeout, clear: globalThis.clearTimeout };
  readonly #running = new Map<number, { readonly due: number; readonly run: () => void }>();
  #now = 0;
  #next = 1;

  constructor() {
    const set = (run: () => void, due: number): number => {
      this.#running.set(this.#next, { due: this.#now + due, run });
      return this.#next++;
    };
    Object.assign(globalThis, {
      setTimeout: set,
      clearTimeout: (id: number) => this.#running.delete(id),
    });
  }

  get running(): number {
    return this.#running.size;
  }

  async pass(milliseconds: number): Promise<void> {
    // What has been sent is read before time goes on.
    await new Promise((resolve) => this.#real.set.call(globalThis, resolve as () => void, 0));
    this.#now += milliseconds;
    for (const [id, { due, run }] of this.#running) {
      if (due > this.#now) continue;
      this.#running.delete(id);
      run();
    }
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, { setTimeout: this.#real.set, clearTimeout: this.#real.clear });
  }
}

const rules = { limit: LIMIT, pace: BODY_PACE };
const { bytes: STEP, milliseconds: WINDOW } = BODY_PACE;

for (const length of [undefined, LIMIT]) {
  const kind = length === undefined ? "of unknown length" : "that tells its length";

  Deno.test(`a body ${kind} may take as long as it keeps its pace`, async () => {
    using clock = new Clock();
    const { request, send, end } = upload(length);
    const reading = readStart(request, rules);
    for (let sent = 0; sent < LIMIT; sent += STEP / 2) {
      send(STEP / 2);
      await clock.pass(WINDOW / 2 - 1);
    }
    end();
    const { chunks, rest } = await reading;
    assert.equal(chunks.reduce((sum, { length }) => sum + length, 0), LIMIT);
    assert.equal(rest, null);
    assert.equal(clock.running, 0);
  });

  Deno.test(`a body ${kind} that stops is given up, however much of it has come`, async () => {
    using clock = new Clock();
    const { request, send, told } = upload(length);
    const reading = assert.rejects(readStart(request, rules), { code: "TOO_SLOW" });
    send(LIMIT - 1);
    await clock.pass(WINDOW - 1);
    assert.equal(afterGivingUp(request), null);
    await clock.pass(1);
    await reading;
    send(1);
    await told;
    assert.equal(await afterGivingUp(request), false);
    assert.equal(clock.running, 0);
  });

  Deno.test(`a body ${kind} that drips is given up after one window`, async () => {
    using clock = new Clock();
    const { request, send } = upload(length);
    const reading = assert.rejects(readStart(request, rules), { code: "TOO_SLOW" });
    for (let second = 0; second < WINDOW / 1000; second++) {
      send(1);
      await clock.pass(1000);
    }
    await reading;
  });
}

Deno.test("a short body that tells its length must come within one window", async () => {
  using clock = new Clock();
  const { request, send } = upload(100);
  const reading = assert.rejects(readStart(request, rules), { code: "TOO_SLOW" });
  send(99);
  await clock.pass(WINDOW);
  await reading;
});

Deno.test("a sealed body that is too slow is one outer failure of fixed size", async () => {
  using clock = new Clock();
  const server = makeServer();
  for (const start of [1, LIMIT - 1]) {
    const { request, send } = upload();
    const answered = server.handle(request, never);
    send(start);
    await clock.pass(WINDOW);
    const answer = await answered;
    assert.equal(answer.status, 408);
    assert.deepEqual(new Uint8Array(await answer.arrayBuffer()), outerFailure());
  }
});

Deno.test("an upload of any size goes up over HTTP, about a message's length as well", async () => {
  const message = 100_000;
  await using gateway = await serveGateway(async (call) => {
    let sum = 0;
    for await (const element of call.input(0)) sum += element.length;
    return { kind: "value", payload: utf8(String(sum)) };
  }, { limits: { message } });
  const { url, pins } = gateway;
  const transport = createHttpTransport({ url, pins, app: "test-app" });
  for (let total = message - 20_000; total < message + 100_000; total += 6000) {
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (let left = total; left > 0; left -= 7000) {
        yield await Promise.resolve(new Uint8Array(Math.min(left, 7000)));
      }
    };
    const options = { token: null, mutation: true, inputs: [source()] };
    assert.deepEqual(await transport.call(1000, EMPTY, options), utf8(String(total)));
  }
  transport.close();
});

Deno.test("a function that takes its time with a long upload is not cut off, nor is who sends it little by little", async () => {
  const limits = { message: 100_000 };
  const reads = Promise.withResolvers<void>();
  await using gateway = await serveGateway(async (call) => {
    let sum = 0;
    for await (const element of call.input(0)) {
      if (sum === 0) {
        reads.resolve();
        await new Promise((resolve) => setTimeout(resolve, 1200));
      }
      sum += element.length;
    }
    return { kind: "value", payload: utf8(String(sum)) };
  }, { limits, pace: { bytes: STEP, milliseconds: 1000 } });
  const { url, pins } = gateway;
  const transport = createHttpTransport({ url, pins, app: "test-app" });
  const source = async function* (): AsyncGenerator<Uint8Array> {
    // What makes a body long, at once; then nothing before the function has begun.
    for (let sent = 0; sent < 11; sent++) yield new Uint8Array(10_000);
    await reads.promise;
    for (let sent = 0; sent < 2; sent++) {
      await new Promise((resolve) => setTimeout(resolve, 1200));
      yield new Uint8Array(10);
    }
  };
  const options = { token: null, mutation: true, inputs: [source()] };
  assert.deepEqual(await transport.call(1000, EMPTY, options), utf8("110020"));
  transport.close();
});

Deno.test("a body that nobody wants is dropped within bounds, from however many senders at once", async () => {
  const most = 64 << 20;
  const chunk = new Uint8Array(STEP);
  const senders = Array.from({ length: 64 }, () => {
    const sender = { sent: 0, left: false };
    const body = new ReadableStream<Uint8Array>({
      pull(controller): void {
        controller.enqueue(chunk);
        sender.sent += chunk.length;
      },
      cancel: () => void (sender.left = true),
    });
    return { sender, body };
  });
  const before = Deno.memoryUsage().rss;
  await Promise.all(senders.map(async ({ sender, body }) => {
    assert.deepEqual(await refused(body).bytes(), outerFailure());
    assert.ok(sender.left);
    // One chunk goes beyond, and one is asked for ahead.
    assert.ok(sender.sent > most && sender.sent <= most + 3 * STEP, `${sender.sent}`);
  }));
  assert.ok(Deno.memoryUsage().rss - before < most, "what is dropped is not held");
});

Deno.test("who neither ends a body that nobody wants nor sends on is left after ten seconds", async () => {
  using clock = new Clock();
  let left = false;
  const silent = new ReadableStream<Uint8Array>({ cancel: () => void (left = true) });
  const reader = refused(silent).body!.getReader();
  assert.deepEqual((await reader.read()).value, outerFailure());
  const end = reader.read();
  await clock.pass(9_999);
  assert.equal(left, false);
  await clock.pass(1);
  assert.equal((await end).done, true);
  assert.ok(left);
});

/** The refusal of a request whose body nobody has read. */
function refused(body: ReadableStream<Uint8Array>): Response {
  const request = new Request("http://gateway.test/raystream", { method: "POST", body });
  return endingWith(request, new Response(new Blob([outerFailure()]).stream(), { status: 413 }));
}
