import assert from "node:assert/strict";
import type { EnvAccount } from "./env_account.ts";
import { CallContext, loadContext, streamOf } from "./context.ts";
import { ctx, env, secret } from "./env.ts";
import type { SharedState } from "./ports.ts";

await loadContext();

function call(owner: string): CallContext {
  const rows = { get: (id: string): Promise<string> => Promise.resolve(`${owner}:${id}`) };
  return new CallContext({
    route: "test",
    requestId: "r",
    owner,
    tenant: "main",
    isAnonymous: true,
    isGuest: false,
    ugroups: [],
    signal: new AbortController().signal,
    deadline: 0,
    request: { origin: null, address: "unknown", sealed: false, headers: null },
    storage: { rows },
    shared: {} as SharedState,
    auth: null,
    account: {} as EnvAccount,
    runUnit: null,
    tenants: null,
    readOnly: false,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    checkMessage: (_topic, data) => data,
    confirm: () => Promise.resolve([]),
    grantTopic: (topic) => Promise.resolve(topic),
    secret: (name) => name === "KNOWN" ? "value" : undefined,
  });
}

type Rows = { readonly get: (id: string) => Promise<string> };
const rows = (): Rows => (env.storage as unknown as { readonly rows: Rows }).rows;
const code = (expected: string) => (error: Error): boolean =>
  (error as { code?: unknown }).code === expected;

Deno.test("outside a call env and ctx say what to do", () => {
  assert.throws(
    () => ctx.owner,
    (error: Error) => code("CONTEXT_MISSING")(error) && error.message.includes("@backend"),
  );
  assert.throws(() => rows().get("1"), code("CONTEXT_MISSING"));
  assert.throws(() => secret("KNOWN"), code("CONTEXT_MISSING"));
  assert.doesNotThrow(() => rows(), "naming a table asks for nothing yet");
});

Deno.test("calls that run side by side never see each other", async () => {
  const owners = await Promise.all(["a", "b", "c"].map((owner) =>
    call(owner).run(async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return [ctx.owner, await rows().get("1")];
    })
  ));
  assert.deepEqual(owners, [["a", "a:1"], ["b", "b:1"], ["c", "c:1"]]);
});

Deno.test("a kept handle asks on behalf of whoever uses it", async () => {
  const kept = call("a").run(() => rows());
  assert.equal(await call("b").run(() => kept.get("1")), "b:1");
});

Deno.test("after its end a call's context is closed", async () => {
  const ended = call("a");
  const late = Promise.withResolvers<void>();
  const work = ended.run(async () => {
    await late.promise;
    return ctx.owner;
  });
  ended.end();
  late.resolve();
  await assert.rejects(work, code("CONTEXT_ENDED"));
});

Deno.test("a generator runs in its call's context, whoever pulls it", async () => {
  const mine = call("a");
  let cleaned = "";
  const elements = streamOf(
    mine,
    mine.run(() =>
      (async function* () {
        try {
          yield ctx.owner;
          await new Promise((resolve) => setTimeout(resolve, 1));
          yield await rows().get("2");
          yield "never";
        } finally {
          cleaned = ctx.owner;
        }
      })()
    ),
  );
  const seen: unknown[] = [];
  await call("puller").run(async () => {
    for await (const element of elements) {
      seen.push(element);
      if (seen.length === 2) break;
    }
  });
  assert.deepEqual(seen, ["a", "a:2"]);
  assert.equal(cleaned, "a", "its finally ran, in its own context");
});

Deno.test("a stream's pull and cancel run in its call's context", async () => {
  const mine = call("a");
  const seen: unknown[] = [];
  let cancelled = "";
  const stream = mine.run(() =>
    new ReadableStream<string>({
      pull: (controller) => controller.enqueue(ctx.owner),
      cancel: () => {
        cancelled = ctx.owner;
      },
    }, { highWaterMark: 0 })
  );
  const elements = streamOf(mine, stream);
  await call("puller").run(async () => {
    for await (const element of elements) {
      seen.push(element);
      if (seen.length === 3) break;
    }
  });
  assert.deepEqual([seen, cancelled], [["a", "a", "a"], "a"]);
});

Deno.test("what is no stream is refused where a stream is declared", () => {
  for (const value of [null, undefined, 7, "text", [1], {}]) {
    assert.throws(() => streamOf(call("a"), value), code("VALIDATION"));
  }
});

Deno.test("ctx.memo makes a value once per call and forgets failures", async () => {
  let made = 0;
  const mine = call("a");
  await mine.run(async () => {
    const make = (): Promise<number> => Promise.resolve(++made);
    assert.deepEqual(await Promise.all([ctx.memo("k", make), ctx.memo("k", make)]), [1, 1]);
    const fail = (): Promise<never> => Promise.reject(new Error("once"));
    await assert.rejects(ctx.memo("f", fail));
    assert.equal(await ctx.memo("f", () => Promise.resolve("now")), "now");
  });
  assert.equal(await call("b").run(() => ctx.memo("k", () => Promise.resolve(++made))), 2);
});

Deno.test("middleware adds to ctx, and cannot change who is calling", () => {
  const mine = call("a");
  mine.run(() => {
    const open = ctx as unknown as Record<string, unknown>;
    open.user = { name: "Ada" };
    assert.deepEqual(open.user, { name: "Ada" });
    assert.throws(() => open.owner = "b", code("CONFIG"));
    assert.equal(ctx.owner, "a");
  });
  call("b").run(() => assert.equal((ctx as unknown as Record<string, unknown>).user, undefined));
});

Deno.test("Kontract's own tables and unknown ones are out of reach", () => {
  call("a").run(() => {
    const storage = env.storage as unknown as Record<string, Rows>;
    assert.throws(() => storage._users!.get("1"), code("CONFIG"));
    assert.throws(() => storage.nothing!.get("1"), code("CONFIG"));
    assert.throws(() => storage.rows = rows(), code("CONFIG"));
  });
});

Deno.test("env.storage and ctx are no places to keep things, and a table does what a table does", async () => {
  const storage = env.storage as unknown as Record<string, Record<string, () => unknown>>;
  await call("a").run(async () => {
    const table = storage.rows as unknown as (() => unknown) & (new () => unknown);
    const changes: readonly (() => unknown)[] = [
      () => Object.assign(storage, { rows: 1 }),
      () => Reflect.deleteProperty(storage, "rows"),
      () => Object.assign(table, { get: 1 }),
      () => Reflect.deleteProperty(table, "get"),
      () => new table(),
      () => storage.rows!.drop!(),
      () => Object.assign(ctx, { owner: "b" }),
      () => Object.assign(ctx, { [Symbol("x")]: 1 }),
    ];
    for (const [n, change] of changes.entries()) {
      assert.throws(change, code("CONFIG"), `change ${n}`);
    }
    const own = ctx as unknown as Record<string, unknown>;
    own.added = 5;
    assert.ok("added" in own && "owner" in own && !("none" in own));
    delete own.added;
    assert.deepEqual([own.added, "added" in own], [undefined, false]);
    // Awaiting one of them by mistake is harmless.
    assert.equal(await Promise.resolve(storage.rows), storage.rows);
    assert.equal(await Promise.resolve(ctx), ctx);
  });
});

Deno.test("a secret is the deployment's; one that is not set names itself and how to set it", () => {
  call("a").run(() => {
    assert.equal(secret("KNOWN"), "value");
    assert.throws(
      () => secret("OTHER"),
      (error: Error) =>
        code("CONFIG")(error) && /'OTHER'.*environment.*wrangler/.test(error.message),
    );
  });
});
