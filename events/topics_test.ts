import assert from "node:assert/strict";
import { TopicHub } from "./topics.ts";

Deno.test("a follower reads every message of its topic once and in order", async () => {
  const hub = new TopicHub();
  const feed = hub.feed("acme", "news");
  let { position } = await feed.changes({ after: null, limit: 10 });
  for (let n = 0; n < 5; n += 1) {
    hub.publish("acme", "news", { n });
    hub.publish("acme", "other", { n });
  }
  const seen: unknown[] = [];
  for (let more = true; more;) {
    const batch = await feed.changes({ after: position, limit: 2 });
    assert.equal(batch.reset, false);
    seen.push(...batch.changes.map((change) => change.data));
    ({ position, more } = batch);
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4].map((n) => ({ n })));
});

Deno.test("tenants never meet in a topic of the same name", async () => {
  const hub = new TopicHub();
  const feed = hub.feed("acme", "news");
  const { position } = await feed.changes({ after: null, limit: 10 });
  hub.publish("other", "news", "secret");
  assert.deepEqual((await feed.changes({ after: position, limit: 10 })).changes, []);
});

Deno.test("a position that history does not reach, or of another hub, is a reset", async () => {
  const hub = new TopicHub({ history: 2, topics: 2 });
  const feed = hub.feed("t", "news");
  const { position } = await feed.changes({ after: null, limit: 10 });
  for (let n = 0; n < 3; n += 1) hub.publish("t", "news", n);
  assert.equal((await feed.changes({ after: position, limit: 10 })).reset, true);
  const foreign = await new TopicHub().feed("t", "news").changes({ after: null, limit: 1 });
  for (const after of [foreign.position, "", "x", "9", `${position}9`]) {
    assert.equal((await feed.changes({ after, limit: 10 })).reset, true, after);
  }
  const now = await feed.changes({ after: null, limit: 10 });
  for (const name of ["a", "b", "c"]) hub.publish("t", name, 1); // pushes 'news' out
  assert.equal((await feed.changes({ after: now.position, limit: 10 })).reset, true);
});

Deno.test("a message that is not plain JSON, too large or of a bad name is refused", () => {
  const hub = new TopicHub({ message: 10 });
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  assert.throws(() => hub.publish("t", "n", cyclic), { code: "VALIDATION" });
  assert.throws(() => hub.publish("t", "n", 1n), { code: "VALIDATION" });
  assert.throws(() => hub.publish("t", "n", () => 1), { code: "VALIDATION" });
  assert.throws(() => hub.publish("t", "n", "x".repeat(10)), { code: "TOO_LARGE" });
  for (const name of ["", "a b", "x".repeat(129), "-a", "a\n"]) {
    assert.throws(() => hub.publish("t", name, 1), { code: "VALIDATION" });
  }
});

Deno.test("a message later changed by its sender arrives as it was sent", async () => {
  const hub = new TopicHub();
  const feed = hub.feed("t", "n");
  const { position } = await feed.changes({ after: null, limit: 1 });
  const data = { list: [1] };
  hub.publish("t", "n", data);
  data.list.push(2);
  const { changes } = await feed.changes({ after: position, limit: 1 });
  assert.deepEqual(changes[0]?.data, { list: [1] });
});

Deno.test("a wake ends the wait, and so does the signal, leaving no timer behind", async () => {
  const hub = new TopicHub();
  const topic = hub.follow("t", "n");
  const waiting = topic.next(3_600_000, new AbortController().signal);
  hub.publish("t", "n", 1);
  await waiting;
  const gone = new AbortController();
  let woken = false;
  const second = topic.next(3_600_000, gone.signal).then(() => woken = true);
  hub.publish("t", "other", 1);
  hub.publish("other", "n", 1);
  await Promise.resolve();
  assert.equal(woken, false, "another topic's message wakes nobody here");
  gone.abort();
  await second;
  await topic.next(3_600_000, gone.signal);
});
