import assert from "node:assert/strict";
import type { ClientSettings } from "./settings.ts";
import { AppError } from "../../_internal/app_error.ts";
import {
  ConflictError,
  errorFrom,
  UnauthorizedError,
  ValidationError,
} from "../../_internal/error_classes.ts";
import { KontractError } from "../../_internal/errors.ts";
import { keyId } from "../../_internal/keys.ts";
import { fromBase64Url } from "../../protocol/bytes.ts";
import { decodeValue, encodeValue } from "../../protocol/codec/value.ts";
import { generateRoot, signKeySet } from "../../protocol/key_set.ts";
import { createHttpTransport } from "../../protocol/http_transport.ts";
import { KEY_SET_PATH } from "../../protocol/paths.ts";
import { createSocketTransport } from "../../protocol/socket_transport.ts";
import { until } from "../../tests/until.ts";
import { type ClientStorage, memoryStorage } from "./session_storage.ts";
import { route, TestServer } from "./testing/server.ts";

// How long an early renewal may hold calls up.
const PATIENCE_MS = 1000;

const echo = route("echo", 1000);
const read = route("read", 1001, { readOnly: true });

function withEcho(): TestServer {
  const server = new TestServer();
  server.handlers.set(echo.op, (args) => args);
  server.handlers.set(read.op, (_args, _call, owner) => owner);
  return server;
}

/** Key of the session in the storage. */
const STORED = "kontract/test/http://gateway.test";

/** Has the stored session be so many milliseconds older. */
async function age(storage: ClientStorage, milliseconds: number): Promise<void> {
  const stored = JSON.parse(String(await storage.get(STORED)));
  stored.receivedAt -= milliseconds;
  stored.expiresAt -= milliseconds;
  await storage.set(STORED, JSON.stringify(stored));
}

Deno.test("nothing is sent before the first call, and the first calls share one anonymous session", async () => {
  const server = withEcho();
  const client = await server.client();
  assert.equal(server.requests.length, 0);
  const owners = await Promise.all([1, 2, 3].map(() => client.call(read, [])));
  assert.equal(new Set(owners).size, 1);
  assert.deepEqual(server.authCalls, ["anonymous"]);
  assert.deepEqual(await client.call(echo, ["a", 1, null]), ["a", 1, null]);
  client.close();
});

Deno.test("calls made in one tick share one body, the first as all later ones", async () => {
  const server = withEcho();
  const client = await server.client();
  const together = async (): Promise<number> => {
    const before = server.requests.length;
    const five = [1, 2, 3, 4, 5].map((n) => client.call(n % 2 === 0 ? read : echo, [n]));
    await Promise.all(five);
    return server.requests.length - before;
  };
  assert.equal(await together(), 3, "a handshake, the visitor's session, the calls");
  assert.equal(await together(), 1);
  const before = server.requests.length;
  for (let n = 0; n < 3; n++) await client.call(echo, [n]);
  assert.equal(server.requests.length - before, 3, "one after the other they have a body each");
  client.close();
});

Deno.test("an expired session is renewed once for all calls that met it", async () => {
  const server = withEcho();
  const client = await server.client();
  const before = await client.call(read, []);
  server.expire();
  const results = await Promise.all([client.call(read, []), client.call(echo, [1])]);
  assert.deepEqual(results, [before, [1]]);
  assert.deepEqual(server.authCalls, ["anonymous", "refresh"]);
  client.close();
});

Deno.test("a session is renewed before it ends, without a refused call", async () => {
  const server = withEcho();
  const storage = memoryStorage();
  const client = await server.client({ storage });
  const owner = await client.call(read, []);
  await age(storage, server.lifetime * 0.9);
  assert.equal(await client.call(read, []), owner);
  assert.deepEqual(server.authCalls, ["anonymous", "refresh"]);
  client.close();
});

Deno.test("a clock that is ahead by nearly a token's life does not have every call renew first", async () => {
  const server = withEcho();
  // What is left of a quarter of an hour, to a clock that is ahead.
  server.lifetime = 30_000;
  const client = await server.client();
  const { now } = Date;
  try {
    for (let n = 0; n < 3; n += 1) {
      await client.call(read, []);
      const later = now() + (n + 1) * 29_000;
      Date.now = () => later;
    }
  } finally {
    Date.now = now;
  }
  assert.deepEqual(server.authCalls, ["anonymous"]);
  client.close();
});

Deno.test("a clock that jumps ahead or back during a session costs a renewal at most, and no call", async () => {
  const server = withEcho();
  const client = await server.client();
  const { now } = Date;
  try {
    const owner = await client.call(read, []);
    for (const jump of [60_000 * 14, -60_000 * 14, 86_400_000 * 400, -86_400_000 * 4000]) {
      const renewals = server.authCalls.length;
      Date.now = () => now() + jump;
      for (let n = 0; n < 3; n += 1) assert.equal(await client.call(read, []), owner);
      server.expire();
      assert.equal(await client.call(read, []), owner);
      assert.ok(server.authCalls.length - renewals <= 2, server.authCalls.join());
    }
  } finally {
    Date.now = now;
  }
  client.close();
});

Deno.test("while an early renewal is refused, calls go on with the token at hand", async () => {
  const server = withEcho();
  const storage = memoryStorage();
  const client = await server.client({ storage });
  const owner = await client.call(read, []);
  await age(storage, server.lifetime * 0.9);
  const troubles = ["RATE_LIMITED", "INTERNAL", "DEADLINE_EXCEEDED", "SCHEMA_MISMATCH"] as const;
  for (const code of troubles) {
    server.trouble = code;
    assert.equal(await client.call(read, []), owner, code);
  }
  server.trouble = null;
  assert.equal(await client.call(read, []), owner);
  assert.equal(server.authCalls.length, 1 + troubles.length + 1);
  client.close();
});

/** A client whose session is so much of its life old, at a server whose answer to refreshing waits. */
async function hanging(share: number) {
  const server = withEcho();
  const answering = Promise.withResolvers<void>();
  server.refreshing = answering.promise;
  const storage = memoryStorage();
  const client = await server.client({ storage, timeout: 20_000 });
  const owner = await client.call(read, []);
  await age(storage, server.lifetime * share);
  return { server, client, storage, owner, answering };
}

Deno.test("an early renewal that hangs holds nobody up for its own time: calls go on with the token at hand", async () => {
  const { server, client, owner, answering } = await hanging(0.9);
  const together = [1, 2, 3].map(() => client.call(read, []));
  assert.deepEqual(await Promise.all(together), [owner, owner, owner]);
  // Who comes later does not begin to wait again.
  const { setTimeout } = globalThis;
  try {
    globalThis.setTimeout = ((work: () => void, wait: number) =>
      wait > 0 && wait <= PATIENCE_MS ? 0 : setTimeout(work, wait)) as typeof setTimeout;
    assert.equal(await client.call(read, []), owner);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  assert.deepEqual(server.authCalls, ["anonymous", "refresh"]);
  answering.resolve();
  await client.auth.refresh();
  assert.equal(await client.call(read, []), owner);
  client.close();
});

Deno.test("who signs up or out while a renewal hangs is not undone by its answer", async () => {
  for (const does of ["register", "logout"] as const) {
    const { server, client, storage, answering } = await hanging(0.9);
    const renewing = client.auth.refresh();
    await until(() => server.authCalls.at(-1) === "refresh");
    if (does === "logout") await client.auth.logout();
    else await client.auth.register({ email: "a@b.c", password: "a long password" });
    answering.resolve();
    await renewing;
    const { anonymous, owner } = JSON.parse(String(await storage.get(STORED)));
    assert.equal(anonymous, does === "logout");
    assert.equal(await client.call(read, []), owner);
    client.close();
  }
});

Deno.test("a token that has ended waits for its renewal, as long as that takes", async () => {
  const { server, client, owner, answering } = await hanging(1);
  let settled = false;
  const call = client.call(read, []).finally(() => settled = true);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(settled, false);
  answering.resolve();
  assert.equal(await call, owner);
  assert.deepEqual(server.authCalls, ["anonymous", "refresh"]);
  client.close();
});

Deno.test("what may run twice of auth is asked again where its answer was lost, what may not is not", async () => {
  const server = withEcho();
  let lost = "";
  const network: typeof fetch = async (input, init) => {
    const ran = server.authCalls.length;
    const response = await server.fetch(input, init);
    if (server.authCalls.length === ran || server.authCalls.at(-1) !== lost) return response;
    lost = "";
    throw new TypeError("connection reset");
  };
  const storage = memoryStorage();
  const client = await server.client({ storage, fetch: network });
  lost = "anonymous";
  const owner = await client.call(read, []);
  lost = "refresh";
  await client.auth.refresh();
  assert.equal(await client.call(read, []), owner);
  lost = "register";
  await assert.rejects(client.auth.register({ email: "a@b.test", password: "long enough" }), {
    code: "OUTCOME_UNKNOWN",
  });
  lost = "logout";
  await client.auth.logout();
  assert.deepEqual(server.authCalls, [
    ...["anonymous", "anonymous", "refresh", "refresh", "register", "logout", "logout"],
  ]);
  client.close();
});

Deno.test("a clock that is a year ahead never asks for a renewal of its own", async () => {
  const server = withEcho();
  server.lifetime = -365 * 86_400_000;
  const client = await server.client();
  for (let n = 0; n < 3; n += 1) await client.call(read, []);
  assert.deepEqual(server.authCalls, ["anonymous"]);
  client.close();
});

Deno.test("clients that share a storage share the session, and one renewal serves both", async () => {
  const server = withEcho();
  const storage = memoryStorage();
  const [first, second] = [await server.client({ storage }), await server.client({ storage })];
  const owner = await first.call(read, []);
  assert.equal(await second.call(read, []), owner);
  server.expire();
  assert.equal(await first.call(read, []), owner);
  assert.equal(await second.call(read, []), owner);
  assert.deepEqual(server.authCalls, ["anonymous", "refresh"]);
  first.close();
  second.close();
});

Deno.test("a visitor whose session was ended becomes a new one; a user is told and signed out", async () => {
  const server = withEcho();
  const client = await server.client();
  const states: string[] = [];
  const stop = client.auth.onChange((state) => {
    states.push(state.kind === "none" ? "none" : state.anonymous ? "anonymous" : "user");
  });
  const visitor = await client.call(read, []);
  server.revoked = true;
  server.expire();
  assert.notEqual(await client.call(read, []), visitor);

  server.revoked = false;
  await client.auth.register({ email: "ada@example.com", password: "a long password" });
  assert.equal((await client.auth.me()).anonymous, false);
  server.revoked = true;
  server.expire();
  await assert.rejects(client.call(echo, []), UnauthorizedError);
  assert.deepEqual(await client.auth.state(), { kind: "none" });
  assert.equal(states.at(-1), "none");
  assert.ok(states.includes("user"));
  stop();
  client.close();
});

Deno.test("registering keeps the owner, and logging out ends the session", async () => {
  const server = withEcho();
  const client = await server.client();
  const owner = await client.call(read, []);
  const { session } = await client.auth.register({ email: "a@b.c", password: "a long password" });
  assert.deepEqual(session, { kind: "active", owner, anonymous: false });
  await client.auth.logout();
  await client.auth.logout(); // nothing left to end
  assert.notEqual(await client.call(read, []), owner);
  client.close();
});

Deno.test("a state-changing call that the app refuses with UNAUTHORIZED is not sent again", async () => {
  const server = withEcho();
  let ran = 0;
  server.handlers.set(2000, () => {
    ran += 1;
    throw new UnauthorizedError("Sign up first.");
  });
  const client = await server.client();
  await assert.rejects(client.call(route("post", 2000), []), UnauthorizedError);
  assert.equal(ran, 1);
  client.close();
});

Deno.test("errors arrive as the class that was thrown, with code, message and data", async () => {
  const server = withEcho();
  const client = await server.client();
  const failing = async (thrown: Error): Promise<unknown> => {
    server.handlers.set(2000, () => {
      throw thrown;
    });
    return await client.call(route("fail", 2000), []).catch((error: unknown) => error);
  };
  const conflict = await failing(new ConflictError("Too late.", { data: { key: "k" } }));
  assert.ok(conflict instanceof ConflictError);
  assert.deepEqual([conflict.code, conflict.message, conflict.data], ["CONFLICT", "Too late.", {
    key: "k",
  }]);
  const unique = await failing(errorFrom("UNIQUE_VIOLATION"));
  assert.ok(unique instanceof ConflictError && unique.code === "UNIQUE_VIOLATION");
  assert.ok(await failing(new ValidationError("No.")) instanceof ValidationError);
  const own = await failing(new AppError("ROOM_FULL", "Full.", { data: { seats: 4 } }));
  assert.ok(own instanceof AppError);
  assert.deepEqual([own.code, own.data], ["ROOM_FULL", { seats: 4 }]);
  client.close();
});

Deno.test("no token ever stands in an address, a header or in the open", async () => {
  const server = withEcho();
  const client = await server.client();
  await client.call(echo, ["secret words"]);
  server.expire();
  await client.call(echo, ["secret words"]);
  const seen = JSON.stringify(server.requests);
  assert.ok(server.tokens.length >= 4);
  for (const token of server.tokens) assert.ok(!seen.includes(token));
  assert.ok(!seen.includes("secret words"));
  assert.ok(server.requests.every(({ url }) => !url.includes("?")));
  client.close();
});

Deno.test("a client refuses a server that does not hold the pinned key", async () => {
  const [server, other] = [withEcho(), withEcho()];
  const client = await server.client({ fetch: (input, init) => other.fetch(input, init) });
  await assert.rejects(client.call(echo, []), { code: "RAY_SERVER_KEY" });
  client.close();
});

Deno.test("a set of keys that was replaced before the page was loaded anew is refused", async () => {
  const server = withEcho();
  const { privateKey, pin } = await generateRoot();
  const [key = ""] = await server.pins();
  const kid = await keyId(fromBase64Url(key)!);
  const now = Math.floor(Date.now() / 1000);
  const keys = [{ kid, public: key, not_before: now - 60, not_after: now + 3600 }];
  const network: typeof fetch = async (input, init) =>
    new URL(String(input)).pathname === KEY_SET_PATH
      ? new Response(await signKeySet(privateKey, { serial: 7, keys }))
      : await server.fetch(input, init);
  const open = (storage: ClientStorage) => server.client({ pins: [pin], fetch: network, storage });
  const name = `kontract/serial/${pin}`;

  // As a page finds it that has seen a newer set before.
  const storage = memoryStorage();
  await storage.set(name, "8");
  const refusing = await open(storage);
  await assert.rejects(refusing.call(read, []), { code: "RAY_SERVER_KEY" });
  refusing.close();

  const fresh = memoryStorage();
  const client = await open(fresh);
  await client.call(read, []);
  assert.equal(await fresh.get(name), "7");
  client.close();
});

Deno.test("a call ends by its signal and by its time, whatever the server does", async () => {
  const server = withEcho();
  let released: (() => void) | undefined;
  server.handlers.set(2000, (_args, call) =>
    new Promise((resolve) => {
      released = (): void => resolve(null);
      call.signal.addEventListener("abort", () => resolve(null));
    }));
  const client = await server.client();
  await client.call(echo, []);
  const slow = route("slow", 2000);
  await assert.rejects(
    client.call(slow, [], { timeout: 20 }),
    (error) =>
      error instanceof KontractError &&
      ["DEADLINE_EXCEEDED", "OUTCOME_UNKNOWN"].includes(error.code),
  );
  released?.();
  const controller = new AbortController();
  const call = client.call(slow, [], { signal: controller.signal });
  setTimeout(() => controller.abort(), 5);
  await assert.rejects(call, KontractError);
  released?.();
  await assert.rejects(client.call(echo, [], { signal: AbortSignal.abort() }), {
    code: "CANCELLED",
  });
  client.close();
});

Deno.test("a stream gives its elements in order, renews an expired session, and ends early", async () => {
  const server = withEcho();
  let ended = false;
  server.handlers.set(2000, async function* () {
    try {
      for (let n = 0; n < 1000; n += 1) yield n;
    } finally {
      ended = true;
    }
  });
  const client = await server.client();
  await client.call(echo, []);
  server.expire();
  const seen: unknown[] = [];
  const counting = route("count", 2000, { stream: true, readOnly: true });
  for await (const value of client.stream(counting, [])) {
    seen.push(value);
    if (seen.length === 3) break;
  }
  assert.deepEqual(seen, [0, 1, 2]);
  for (let turn = 0; turn < 50 && !ended; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(ended, "the generator on the server was ended");
  client.close();
});

Deno.test("a streamed argument is read as it comes, and an error of its source ends the call", async () => {
  const server = new TestServer();
  const sum = route("sum", 2001, {
    inputs: [{ at: 1, encode: (value) => encodeValue(value) }],
  });
  server.handlers.set(sum.op, async (args, call) => {
    let total = Number(args[0]);
    for await (const bytes of call.input(0)) total += Number(decodeValue(bytes));
    return total;
  });
  const client = await server.client();
  async function* numbers(fail = false) {
    yield 1;
    if (fail) throw new Error("the disk");
    yield 2;
  }
  assert.equal(await client.call(sum, [10, numbers()]), 13);
  assert.equal(await client.call(sum, [10, ReadableStream.from([5])]), 15);
  await assert.rejects(client.call(sum, [10, numbers(true)]));
  await assert.rejects(client.call(sum, [10, "no source"]), { code: "VALIDATION" });
  client.close();
});

Deno.test("a call whose token is refused once its streamed argument was read never finds it empty", async () => {
  for (
    const [transport, told] of [
      [createHttpTransport, "3"],
      [createSocketTransport, "CONFLICT"],
    ] as const
  ) {
    const server = new TestServer();
    const sum = route("sum", 2001, {
      inputs: [{ at: 0, encode: (value) => encodeValue(value) }],
    });
    const totals: number[] = [];
    server.handlers.set(sum.op, async (_args, call) => {
      let total = 0;
      for await (const bytes of call.input(0)) total += Number(decodeValue(bytes));
      if (totals.push(total) === 1) throw new KontractError("SESSION_EXPIRED");
      return total;
    });
    await using network = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      (request) => request.headers.has("upgrade") ? server.upgrade(request) : server.fetch(request),
    );
    const url = `http://127.0.0.1:${network.addr.port}`;
    const client = await server.client({ url, transport });
    const outcome = await client.call(sum, [ReadableStream.from([1, 2])])
      .then(String, (error: { code: string }) => error.code);
    client.close();
    assert.equal(outcome, told);
    assert.ok(totals.every((total) => total === 3), `${totals}`);
  }
});

Deno.test("progress of several files counts their own bytes: it never goes back, and ends at the size of all", async () => {
  const server = new TestServer();
  const numbers = [0, 1, 2, 3, 4, 5, 6, 7];
  const keep = route("keep", 2001, {
    inputs: numbers.map((at) => ({ at, bytes: true, encode: (value) => encodeValue(value) })),
  });
  server.handlers.set(keep.op, async (_args, call) => {
    const files = await Promise.all(numbers.map((n) => Array.fromAsync(call.input(n))));
    return files.flat().length;
  });
  await using network = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => server.upgrade(request),
  );
  const url = `http://127.0.0.1:${network.addr.port}`;
  const client = await server.client({ url, transport: createSocketTransport });
  const { promise: first, resolve: firstHasLeft } = Promise.withResolvers<void>();
  async function* file(n: number): AsyncGenerator<Uint8Array> {
    // The others all at once.
    if (n > 0) await first;
    for (let piece = 0; piece < 10; piece += 1) yield Uint8Array.of(n);
    if (n === 0) firstHasLeft();
  }
  const told: number[] = [];
  await client.call(keep, numbers.map(file), { onProgress: (sent) => told.push(sent) });
  client.close();
  assert.deepEqual(told, told.toSorted((a, b) => a - b));
  assert.equal(told.at(-1), 80);
});

Deno.test("client.with: its options hold for the calls made in it, and no longer", async () => {
  const server = withEcho();
  const client = await server.client();
  const gone = AbortSignal.abort();
  const inside = client.with(
    { signal: gone },
    () => client.with({ timeout: 5_000 }, () => client.call(echo, [1])),
  );
  await assert.rejects(inside, { code: "CANCELLED" });
  assert.throws(() =>
    client.with({ signal: gone }, () => {
      throw new Error("thrown in between");
    }), /thrown in between/);
  assert.deepEqual(await client.call(echo, [2]), [2]);
  client.close();
});

Deno.test("an unknown function's stream, and a stored session that is none, are told or passed over", async () => {
  const server = withEcho();
  const storage = memoryStorage();
  const client = await server.client({ storage, routes: {} });
  await assert.rejects(
    async () => await Array.fromAsync(client.stream("toString", [])),
    { code: "ROUTE_NOT_FOUND" },
  );
  for (const stored of ["{", "null", "[]", '{"access":1}', '{"access":"a","refresh":"r"}']) {
    await storage.set("kontract/test/http://gateway.test", stored);
    assert.equal(typeof await client.call(read, []), "string", stored);
  }
  client.close();
});

Deno.test("calls by name reach the named route; an unknown name is ROUTE_NOT_FOUND", async () => {
  const server = withEcho();
  const client = await server.client({ routes: { echo } });
  assert.deepEqual(await client.call("echo", [1]), [1]);
  await assert.rejects(client.call("toString", []), { code: "ROUTE_NOT_FOUND" });
  client.close();
});

Deno.test("without an address the client says how to give one", async () => {
  const server = withEcho();
  const client = await server.client({ url: undefined });
  await assert.rejects(client.call(echo, []), { code: "CONFIG" });
  client.configure({ url: "http://gateway.test/some/path" });
  assert.deepEqual(await client.call(echo, [1]), [1]);
  client.close();
  await assert.rejects(client.call(echo, []), { code: "CANCELLED" });
});

Deno.test("a change of settings keeps the session and whoever listens to it", async () => {
  const server = withEcho();
  const client = await server.client();
  const states: unknown[] = [];
  const stop = client.auth.onChange((state) => states.push(state));
  const owner = await client.call(read, []);
  client.configure({ timeout: 5000 });
  assert.equal(await client.call(read, []), owner);
  assert.deepEqual(server.authCalls, ["anonymous"]);
  await client.auth.register({ email: "a@b.c", password: "a long password" });
  assert.deepEqual(states, [
    { kind: "none" },
    { kind: "active", owner, anonymous: true },
    { kind: "active", owner, anonymous: false },
  ]);
  stop();
  client.configure({ timeout: 6000 });
  await client.auth.logout();
  assert.equal(states.length, 3);
  client.close();
});

Deno.test("a setting that cannot be is refused by name, and nothing is changed", async () => {
  const server = withEcho();
  const client = await server.client();
  const hostile: unknown[] = [null, 7, "", {}, [], NaN, Symbol("x"), "x".repeat(1e6)];
  const refused: [string, readonly unknown[]][] = [
    ["url", [...hostile, "gateway.test", "javascript:alert(1)", "file:///x", "http://"]],
    ["tenant", hostile.filter((value) => typeof value !== "string" || value === "")],
    ["timeout", [...hostile.filter((value) => value !== 7), 0, -1, Infinity, 2 ** 31, "5"]],
    ["fetch", hostile],
    ["session", hostile],
    ["transport", hostile],
    ["storage", [...hostile, { get: () => null }, { get: 1, set: 2 }]],
  ];
  for (const [name, values] of refused) {
    for (const value of values) {
      const settings = { [name]: value } as ClientSettings;
      assert.throws(() => client.configure(settings), { code: "CONFIG" }, `${name}`);
      await assert.rejects(server.client(settings), { code: "CONFIG" });
    }
  }
  for (const timeout of [0, -1, NaN, Infinity, "5" as unknown as number]) {
    await assert.rejects(client.call(echo, [], { timeout }), { code: "CONFIG" });
  }
  assert.deepEqual(await client.call(echo, [1]), [1]);
  client.close();
});
