/** The lock's promise: a number once given means the same thing for ever. */
import assert from "node:assert/strict";
import {
  EMPTY_LOCK,
  formatLock,
  Lock,
  LockError,
  type LockFile,
  parseLock,
  removeRoute,
  renameRoute,
} from "./lock.ts";

function step(old: LockFile, use: (lock: Lock) => void): LockFile {
  const lock = new Lock(old);
  use(lock);
  return parseLock(formatLock(lock.finish()));
}

Deno.test("routes get numbers from 1000, and keep them whatever else comes", () => {
  const first = step(EMPTY_LOCK, (lock) => ["b", "a"].forEach((name) => lock.op(name)));
  assert.deepEqual(first.routes, { a: 1001, b: 1000 });
  const second = step(first, (lock) => ["c", "a", "b"].forEach((name) => lock.op(name)));
  assert.deepEqual(second.routes, { a: 1001, b: 1000, c: 1002 });
});

Deno.test("the order of fields means nothing, and new ones come after old ones", () => {
  const first = step(EMPTY_LOCK, (lock) => {
    assert.deepEqual(lock.ids("User", ["id", "name"], 0), [0, 1]);
  });
  step(first, (lock) => assert.deepEqual(lock.ids("User", ["age", "name", "id"], 0), [2, 1, 0]));
});

Deno.test("the id of a removed field is never used again, even by a field of that name", () => {
  const first = step(EMPTY_LOCK, (lock) => lock.ids("User", ["id", "name"], 0));
  const second = step(first, (lock) => lock.ids("User", ["id"], 0));
  assert.deepEqual(second.ids.User, { ids: { id: 0 }, retired: [1] });
  step(second, (lock) => assert.deepEqual(lock.ids("User", ["id", "name"], 0), [0, 2]));
});

Deno.test("a renamed route keeps its number, and a removed one takes its number along", () => {
  const first = step(EMPTY_LOCK, (lock) => ["a", "b"].forEach((name) => lock.op(name)));
  assert.deepEqual(renameRoute(first, "a", "c").routes, { b: 1001, c: 1000 });
  const removed = removeRoute(first, "b");
  assert.deepEqual(removed.retiredRoutes, { 1001: "b" });
  const next = step(removed, (lock) => ["a", "b"].forEach((name) => lock.op(name)));
  assert.deepEqual(next.routes, { a: 1000, b: 1002 });
  assert.throws(() => renameRoute(first, "x", "y"), LockError);
  assert.throws(() => renameRoute(first, "a", "b"), LockError);
  assert.throws(() => removeRoute(first, "x"), LockError);
});

Deno.test("a route that is gone from the source is named", () => {
  const first = step(EMPTY_LOCK, (lock) => ["a", "b"].forEach((name) => lock.op(name)));
  const lock = new Lock(first);
  lock.op("b");
  assert.deepEqual(lock.vanished(), ["a"]);
});

Deno.test("the text of a lock is its JSON with ordered keys, whatever of the one before it goes on", () => {
  const ordered = (value: unknown): unknown =>
    typeof value !== "object" || value === null || Array.isArray(value) ? value : Object
      .fromEntries(
        Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([k, v]) => [k, ordered(v)]),
      );
  const edits: readonly (readonly (readonly [owner: string, keys: readonly string[]])[])[] = [
    [],
    [["B", ["y", "x"]], ['"a\n', ["\n"]], ["__proto__", ["z"]]],
    [["B", ["x", "y"]], ['"a\n', ["\n", "new"]]],
    [["B", ["x"]], ["A", []]],
    [["B", ["x"]], ["A", []], ['"a\n', ["new"]]],
  ];
  let last = EMPTY_LOCK;
  for (const owners of edits) {
    const lock = new Lock(last);
    lock.op(`route${owners.length}`);
    for (const [owner, keys] of owners) lock.ids(owner, keys, 0);
    last = lock.finish();
    assert.equal(formatLock(last), `${JSON.stringify(ordered(last), null, 2)}\n`);
    assert.equal(formatLock(parseLock(formatLock(last))), formatLock(last));
  }
});

Deno.test("names such as __proto__ and constructor are names like any other", () => {
  const names = ["__proto__", "constructor", "toString"];
  const first = step(EMPTY_LOCK, (lock) => {
    assert.deepEqual(lock.ids("__proto__", names, 0), [0, 1, 2]);
  });
  step(first, (lock) => assert.deepEqual(lock.ids("__proto__", names.toReversed(), 0), [2, 1, 0]));
});

Deno.test("two types of one name keep their numbers when a third comes before them", () => {
  const first = step(EMPTY_LOCK, (lock) => {
    assert.equal(lock.typeName("Item", "src/b.ts", () => true), "Item");
    assert.equal(lock.typeName("Item", "src/c.ts", () => true), "Item2");
  });
  step(first, (lock) => {
    assert.equal(lock.typeName("Item", "src/a.ts", () => true), "Item3");
    assert.equal(lock.typeName("Item", "src/b.ts", () => true), "Item");
    assert.equal(lock.typeName("Item", "src/c.ts", () => true), "Item2");
  });
});

Deno.test("a type that moved to another module keeps its name and so its numbers", () => {
  const first = step(EMPTY_LOCK, (lock) => {
    assert.equal(lock.typeName("Item", "src/b.ts", () => true), "Item");
  });
  step(first, (lock) => assert.equal(lock.typeName("Item", "src/z.ts", () => false), "Item"));
});

Deno.test("a route that came and went while one wrote code is retired without a question", () => {
  const first = step(EMPTY_LOCK, (lock) => ["a", "createUse"].forEach((name) => lock.op(name)));
  const lock = new Lock(first, new Set(["createUse"]));
  ["a", "createUser"].forEach((name) => lock.op(name));
  assert.deepEqual(lock.vanished(), []);
  const next = lock.finish();
  assert.deepEqual(next.routes, { a: 1000, createUser: 1002 });
  assert.deepEqual(next.retiredRoutes, { 1001: "createUse" });
});

Deno.test("a lock that is none is refused with what is wrong, and nothing of it is used", () => {
  const lockWith = (change: object): string => JSON.stringify({ ...EMPTY_LOCK, ...change });
  const cases: readonly (readonly [text: string, message: RegExp])[] = [
    ["", /not JSON/],
    ["<<<<<<< HEAD\n", /conflict marks/],
    ["[]", /version is not 1/],
    [lockWith({ version: 2 }), /version is not 1/],
    ...[null, [], { a: -1 }, { a: 1.5 }, { a: "1" }].map((routes) =>
      [lockWith({ routes }), /'routes' must be/] as const
    ),
    ...[[], { A: null }, { A: { ids: { a: "1" }, retired: [] } }, {
      A: { ids: {}, retired: [1.5] },
    }]
      .map((ids) => [lockWith({ ids }), /'ids' must be/] as const),
    [lockWith({ names: [] }), /must be objects/],
    [lockWith({ retiredRoutes: 5 }), /must be objects/],
    [lockWith({ routes: { a: 1000, b: 1000 } }), /same number/],
    [lockWith({ routes: { a: 1000 }, retiredRoutes: { 1000: "b" } }), /same number/],
  ];
  for (const [text, message] of cases) {
    assert.throws(
      () => parseLock(text),
      (error) => error instanceof LockError && message.test(error.message),
      text,
    );
  }
});
