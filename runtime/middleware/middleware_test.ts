import assert from "node:assert/strict";
import type { EnvAccount } from "../env_account.ts";
import { KontractError } from "../../_internal/errors.ts";
import { CallContext, loadContext } from "../context.ts";
import { defineMiddleware, type MiddlewareHandler } from "../middleware.ts";
import { MemoryEntries } from "../shared_entries.ts";
import { SharedStateLogic, sharedStateOver } from "../shared_state.ts";
import { cors, rateLimit, requireAuth, requireGroup, timing } from "./mod.ts";

interface Caller {
  readonly owner?: string;
  readonly anonymous?: boolean;
  readonly groups?: readonly string[];
  readonly origin?: string | null;
  readonly address?: string;
  readonly guest?: boolean;
  /** What the database says now, where it is not what the gateway believes. */
  readonly now?: readonly string[] | Error;
}

const entries = new MemoryEntries();
const logic = new SharedStateLogic({
  durable: entries,
  volatile: entries,
  clock: { now: () => 0 },
  transaction: (body) => body(),
});

await loadContext();

function run(handler: MiddlewareHandler, caller: Caller = {}): {
  readonly call: CallContext;
  readonly result: Promise<unknown>;
} {
  const call = new CallContext({
    route: "r",
    requestId: "q",
    owner: caller.owner ?? "a",
    tenant: "main",
    isAnonymous: caller.anonymous ?? true,
    isGuest: caller.guest ?? false,
    ugroups: caller.groups ?? [],
    signal: new AbortController().signal,
    deadline: 0,
    request: {
      origin: caller.origin ?? null,
      address: caller.address ?? "unknown",
      sealed: false,
      headers: null,
    },
    storage: {},
    shared: sharedStateOver((operation) => logic.run(operation)),
    auth: null,
    account: {} as EnvAccount,
    runUnit: null,
    tenants: null,
    readOnly: false,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    checkMessage: (_topic, data) => data,
    confirm: () =>
      caller.now instanceof Error
        ? Promise.reject(caller.now)
        : Promise.resolve(caller.now ?? caller.groups ?? []),
    grantTopic: (topic) => Promise.resolve(topic),
    secret: () => undefined,
  });
  const { handler: wrapped } = defineMiddleware({}, handler);
  return { call, result: call.run(() => wrapped(() => Promise.resolve("done"))) };
}

const code = (expected: string) => (error: Error): boolean =>
  error instanceof KontractError && error.code === expected;

Deno.test("requireAuth lets only those pass who have signed up", async () => {
  await assert.rejects(run(requireAuth()).result, code("UNAUTHORIZED"));
  assert.equal(await run(requireAuth(), { anonymous: false }).result, "done");
  const ended = { anonymous: false, now: new KontractError("SESSION_REVOKED") };
  await assert.rejects(run(requireAuth(), ended).result, code("SESSION_REVOKED"));
});

Deno.test("requireGroup asks for one of its groups", async () => {
  const handler = requireGroup("admin", "staff");
  await assert.rejects(run(handler, { groups: ["guest"] }).result, code("FORBIDDEN"));
  assert.equal(await run(handler, { groups: ["guest", "staff"] }).result, "done");
  const { call, result } = run(handler, { groups: ["guest"], now: ["staff"] });
  assert.equal(await result, "done", "a group that is new");
  assert.deepEqual(call.ugroups, ["staff"]);
  const gone = run(handler, { groups: ["staff"], now: ["guest"] });
  await assert.rejects(gone.result, code("FORBIDDEN"));
  const ended = run(handler, { groups: ["staff"], now: new KontractError("SESSION_REVOKED") });
  await assert.rejects(ended.result, code("SESSION_REVOKED"));
  assert.throws(() => requireGroup(), code("CONFIG"));
});

Deno.test("cors narrows the pages that may call; other programs pass", async () => {
  const handler = cors({ origins: ["https://a.test"] });
  assert.equal(await run(handler).result, "done");
  assert.equal(await run(handler, { origin: "https://a.test" }).result, "done");
  await assert.rejects(run(handler, { origin: "https://a.test.evil" }).result, code("FORBIDDEN"));
  for (const origin of ["*", "a.test", "https://a.test/", "https://a.test/x", ""]) {
    assert.throws(() => cors({ origins: [origin] }), code("CONFIG"), origin);
  }
});

Deno.test("rateLimit counts by caller and says when to come back", async () => {
  const handler = rateLimit({ limit: 2, windowMs: 1000 });
  assert.equal(await run(handler).result, "done");
  assert.equal(await run(handler).result, "done");
  await assert.rejects(run(handler).result, (error: Error) =>
    code("RATE_LIMITED")(error) &&
    (error as KontractError & { data: { retryAfter: number } }).data.retryAfter === 500);
  assert.equal(await run(handler, { owner: "b" }).result, "done");
  for (const limit of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(() => rateLimit({ limit, windowMs: 1 }), code("VALIDATION"));
    assert.throws(() => rateLimit({ limit: 1, windowMs: limit }), code("VALIDATION"));
  }
});

Deno.test("rateLimit takes the addresses that one visitor can choose from for one", async () => {
  for (const by of ["address", "owner"] as const) {
    const handler = rateLimit({ limit: 2, windowMs: 1000, by, name: `network by ${by}` });
    const from = (address: string): Promise<unknown> =>
      run(handler, { address, guest: true }).result;
    assert.equal(await from("2001:db8::1"), "done");
    assert.equal(await from("2001:DB8:0:0:ffff::2"), "done");
    await assert.rejects(from("2001:db8::3"), code("RATE_LIMITED"));
    assert.equal(await from("2001:db8:0:1::1"), "done");
    assert.equal(await from("192.0.2.1"), "done");
    assert.equal(await from("::ffff:192.0.2.1"), "done");
    await assert.rejects(from("192.0.2.1"), code("RATE_LIMITED"));
    assert.equal(await from("192.0.2.2"), "done");
  }
});

Deno.test("timing sets a header, also where the function throws", async () => {
  const { call, result } = run(timing("my app"));
  await result;
  assert.match(call.headers.get("server-timing") ?? "", /^my_app;dur=\d+\.\d$/);
});

Deno.test("next runs once: a second call of it is an error, none is fine", async () => {
  await assert.rejects(
    run(async (next) => {
      await next();
      return await next();
    }).result,
    code("CONFIG"),
  );
  assert.equal(await run(() => Promise.resolve("instead")).result, "instead");
});
