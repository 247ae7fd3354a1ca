import assert from "node:assert/strict";
import { TopicHub } from "../events/mod.ts";
import type { StorageSession } from "../storage/contract.ts";
import { createResumeSealer } from "./resume_sealer.ts";
import { openSubscription, type OpenSubscriptionOptions } from "./subscriptions.ts";

const secret = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

Deno.test("a sealed position opens for its binding only, and hides what it holds", async () => {
  const sealer = createResumeSealer([secret(1)]);
  const token = await sealer.seal("position 42", "alice");
  assert.equal(await sealer.open(token, "alice"), "position 42");
  assert.equal(await sealer.open(token, "bob"), null);
  assert.ok(!atob(token.replaceAll("-", "+").replaceAll("_", "/")).includes("position"));
  assert.notEqual(await sealer.seal("position 42", "alice"), token);
});

Deno.test("a token opens in another process and after a rotation, not after the secret is gone", async () => {
  const token = await createResumeSealer([secret(1)]).seal("p", "b");
  assert.equal(await createResumeSealer([secret(1)]).open(token, "b"), "p");
  assert.equal(await createResumeSealer([secret(2), secret(1)]).open(token, "b"), "p");
  assert.equal(await createResumeSealer([secret(2)]).open(token, "b"), null);
});

Deno.test("a token with any bit flipped, cut short or made up does not open", async () => {
  const sealer = createResumeSealer([secret(1)]);
  const token = Uint8Array.fromBase64(await sealer.seal("p", "b"), { alphabet: "base64url" });
  const text = (bytes: Uint8Array): string => bytes.toBase64({ alphabet: "base64url" });
  assert.equal(await sealer.open(text(token), "b"), "p");
  for (let bit = 0; bit < token.length * 8; bit += 1) {
    const forged = token.slice();
    forged[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(await sealer.open(text(forged), "b"), null, `bit ${bit}`);
  }
  for (let length = 0; length < token.length; length += 1) {
    assert.equal(await sealer.open(text(token.subarray(0, length)), "b"), null);
  }
  for (const made of ["", "x", "ä", "=".repeat(99)]) {
    assert.equal(await sealer.open(made, "b"), null);
  }
});

const session: StorageSession = {
  sid: "s",
  owner: "alice",
  tenant: "t",
  ugroups: [],
  system: false,
  expiresAt: 1000,
};

function overTopics(
  topics: TopicHub | undefined,
  more: Partial<OpenSubscriptionOptions> = {},
): OpenSubscriptionOptions {
  return {
    engine: { changes: () => assert.fail("a topic never reads a table") },
    session,
    changes: { wake: () => undefined, next: () => Promise.resolve() },
    topics,
    source: "topic:news",
    resume: null,
    sealer: createResumeSealer([secret(1)]),
    signal: new AbortController().signal,
    now: () => 0,
    ...more,
  };
}

Deno.test("a topic is followed inside its tenant, and a token of one owner is a reset for another", async () => {
  const topics = new TopicHub();
  const events = openSubscription(overTopics(topics));
  const ready = (await events.next()).value;
  assert.equal(ready?.type, "ready");
  topics.publish("other tenant", "news", "hidden");
  topics.publish("t", "news", "seen");
  const message = (await events.next()).value;
  assert.equal(message?.data, "seen");
  await events.return();

  const mine = openSubscription(overTopics(topics, { resume: message!.id }));
  assert.deepEqual((await mine.next()).value?.data, { resumed: true });
  await mine.return();
  const theirs = openSubscription(
    overTopics(topics, { resume: message!.id, session: { ...session, owner: "bob" } }),
  );
  assert.equal((await theirs.next()).value?.type, "reset");
  await theirs.return();
});

Deno.test("a stream ends with its session", async () => {
  const topics = new TopicHub();
  let now = 0;
  const events = openSubscription(overTopics(topics, { now: () => now }));
  await events.next();
  now = 1000;
  await assert.rejects(events.next(), { code: "SESSION_EXPIRED" });
});

Deno.test("topics are refused where there is no hub or a filter is given", () => {
  assert.throws(() => openSubscription(overTopics(undefined)), { code: "NOT_FOUND" });
  assert.throws(() => openSubscription(overTopics(new TopicHub(), { filter: { a: 1 } })), {
    code: "VALIDATION",
  });
});
