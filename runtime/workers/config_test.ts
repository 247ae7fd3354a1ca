/** What a Worker is told by its bindings, and what of it cannot be; what it does then: `tests/workers_*_test.ts`. */
import assert from "node:assert/strict";
import { encodeValue } from "../../protocol/codec/mod.ts";
import { SqlError } from "../../storage/database.ts";
import { NOTES_APP } from "../testing/notes_app.ts";
import { pooledDatabase } from "./db_pool_do.ts";
import { answerCall, callObject } from "./object_call.ts";
import type { ObjectNamespace, ObjectStub, WorkerEnv } from "./platform.ts";
import { workerPorts } from "./ports.ts";
import { inScope, RequestScope, scopedDatabase } from "./request_scope.ts";
import { prepareGateway } from "./warm_up.ts";
import { createWorker } from "./worker.ts";

/** A binding whose objects answer with `fetch`. */
function namespace(fetch: ObjectStub["fetch"]): ObjectNamespace {
  const id = { toString: () => "id" };
  return { newUniqueId: () => id, idFromName: () => id, get: () => ({ fetch }) } as ObjectNamespace;
}

const away = namespace(() => Promise.reject(new Error("the object is out of reach")));

const FINE = {
  SESSION: away,
  KVC: away,
  CHANGE_HUB: away,
  DB_POOL: away,
  DATABASE_URL: "postgres://gateway:pw@127.0.0.1:1/none",
  KONTRACT_SECRET: new Uint8Array(32).fill(7).toBase64({ alphabet: "base64url" }),
} as unknown as WorkerEnv;

const withEnv = (change: Readonly<Record<string, unknown>>): WorkerEnv => ({ ...FINE, ...change });

Deno.test("a binding or variable that is missing or wrong is CONFIG, by its name", () => {
  const cases: readonly (readonly [name: string, change: Readonly<Record<string, unknown>>])[] = [
    ...["SESSION", "KVC", "CHANGE_HUB"].map((name) => [name, { [name]: undefined }] as const),
    ["KONTRACT_SECRET", { KONTRACT_SECRET: undefined }],
    ["KONTRACT_SECRET", { KONTRACT_SECRET: "short" }],
    ["DATABASE_URL", { DATABASE_URL: undefined }],
    ["DATABASE_URL", { DATABASE_URL: "" }],
    ["KONTRACT_DATABASE", { KONTRACT_DATABASE: "sqlite" }],
    ["KONTRACT_DATABASE", { KONTRACT_DATABASE: "pool", DB_POOL: undefined }],
    ["KONTRACT_DATABASE", { KONTRACT_DATABASE: "hyperdrive" }],
    ...["0", "65", "1.5", "many"].map((shards) =>
      ["KONTRACT_POOL_SHARDS", { KONTRACT_POOL_SHARDS: shards }] as const
    ),
  ];
  for (const [name, change] of cases) {
    assert.throws(
      () => workerPorts(withEnv(change)),
      (error: Error & { code?: string }) => error.code === "CONFIG" && error.message.includes(name),
      JSON.stringify(change),
    );
  }
});

Deno.test("an app's secrets are its own: Kontract's and bindings are not given out", () => {
  const ports = workerPorts(withEnv({ STRIPE_KEY: "sk" }));
  assert.equal(ports.secret("STRIPE_KEY"), "sk");
  for (const name of ["KONTRACT_SECRET", "DATABASE_URL", "KVC", "NONE"]) {
    assert.equal(ports.secret(name), undefined, name);
  }
});

Deno.test("a Worker with a wrong setting answers an opaque 500, and its log says why, prepared or not", async () => {
  const worker = createWorker(NOTES_APP);
  prepareGateway(withEnv({ KONTRACT_POOL_SHARDS: "many" }));
  const lines: string[] = [];
  const { error } = console;
  console.error = (line: string) => lines.push(line);
  try {
    const context = { waitUntil: () => {}, passThroughOnException: () => {} };
    const env = withEnv({ KONTRACT_POOL_SHARDS: "many" });
    const response = await worker.fetch(new Request("https://app.test/health"), env, context);
    assert.equal(response.status, 500);
    const { error: { code, message } } = await response.json();
    assert.equal(code, "INTERNAL");
    assert.doesNotMatch(message, /SHARDS/);
    assert.match(lines.join("\n"), /KONTRACT_POOL_SHARDS/);
  } finally {
    console.error = error;
  }
});

const failedWith = (sqlstate: string, notSent: boolean) => (error: unknown): boolean =>
  error instanceof SqlError && error.failure.sqlstate === sqlstate &&
  error.failure.notSent === notSent;

Deno.test("statements need a request; each has a connection of its own, which ends with it", async () => {
  let opened = 0, closed = 0;
  const database = scopedDatabase(() => {
    opened++;
    return { execute: () => Promise.resolve([]), close: () => Promise.resolve(void closed++) };
  });
  assert.throws(() => database.execute("ping", []), failedWith("08003", true));
  const work: Promise<unknown>[] = [];
  for (let i = 0; i < 2; i++) {
    const scope = new RequestScope((promise) => work.push(promise));
    await inScope(scope, async () => {
      await database.execute("ping", []);
      await database.execute("ping", []);
    });
    scope.end();
    scope.end();
  }
  await Promise.all(work);
  assert.deepEqual([opened, closed], [2, 2]);
});

Deno.test("a pool that does not answer leaves open whether the statement ran", async () => {
  const failed = namespace(() => Promise.resolve(new Response(null, { status: 500 })));
  for (const pools of [away, failed]) {
    const answer = Promise.resolve(pooledDatabase(pools, 3).execute("ping", []));
    await assert.rejects(answer, failedWith("08006", false));
  }
});

Deno.test("an object answers the calls it has by name, and no others", async () => {
  const methods = { double: (n: unknown) => 2 * Number(n), nothing: () => undefined };
  const stub = { fetch: (request: Request) => answerCall(request, methods) } as ObjectStub;
  assert.equal(await callObject(stub, "double", 4), 8);
  assert.equal(await callObject(stub, "nothing", null), null);
  for (const name of ["constructor", "toString", "", "double/x"]) {
    await assert.rejects(callObject(stub, name, 1), /status 404/, name);
  }
  const body = new Uint8Array(encodeValue(4));
  const put = new Request("https://object.invalid/double", { method: "PUT", body });
  assert.equal((await answerCall(put, methods)).status, 404);
});
