import assert from "node:assert/strict";
import { KontractError } from "../_internal/errors.ts";
import {
  parseSubscribeRequest,
  parseTopicSource,
  TopicHub,
  type TopicSource,
} from "../events/mod.ts";
import type { StorageSession } from "../storage/contract.ts";
import { createResumeSealer } from "./resume_sealer.ts";
import { openSubscription, type OpenSubscriptionOptions } from "./subscriptions.ts";
import { type GrantHolder, TopicGrants } from "./topic_grants.ts";

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
  topics: TopicHub,
  more: Partial<OpenSubscriptionOptions> = {},
): OpenSubscriptionOptions {
  return {
    engine: { changes: () => assert.fail("a topic never reads a table") },
    session,
    changes: { wake: () => undefined, next: () => Promise.resolve() },
    topics,
    mayFollow: () => Promise.resolve(Infinity),
    checkAlive: () => Promise.resolve(),
    source: "topic:news",
    resume: null,
    sealer: createResumeSealer([secret(1)]),
    signal: new AbortController().signal,
    now: () => 0,
    ...more,
  };
}

Deno.test("a topic is followed inside its tenant, and a token is a reset for another owner, tenant or topic", async () => {
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
  const others: Partial<OpenSubscriptionOptions>[] = [
    { session: { ...session, owner: "bob" } },
    { session: { ...session, tenant: "other tenant" } },
    { session: { ...session, tenant: 't","alice', owner: "x" } },
    { source: "topic:other" },
  ];
  for (const other of others) {
    const theirs = openSubscription(overTopics(topics, { resume: message!.id, ...other }));
    assert.equal((await theirs.next()).value?.type, "reset");
    await theirs.return();
  }
});

Deno.test("a stream ends with its session", async () => {
  const topics = new TopicHub();
  let now = 0;
  const events = openSubscription(overTopics(topics, { now: () => now }));
  await events.next();
  now = 1000;
  await assert.rejects(events.next(), { code: "SESSION_EXPIRED" });
});

Deno.test("a topic takes no filter", () => {
  assert.throws(() => openSubscription(overTopics(new TopicHub(), { filter: { a: 1 } })), {
    code: "VALIDATION",
  });
});

Deno.test("a topic is followed only with a grant, and no longer than it lasts", async () => {
  let now = 0;
  const grants = new TopicGrants([secret(1)], { now: () => now });
  const follow = (source: string): ReturnType<typeof openSubscription> =>
    openSubscription(overTopics(topics, {
      source,
      now: () => now,
      mayFollow: (topic) => grants.check(session, topic),
    }));
  const topics = new TopicHub();
  const source = await grants.grant(session, "news", 500);
  const events = follow(source);
  const ready = (await events.next()).value;
  assert.deepEqual([ready?.type, ready?.source], ["ready", "topic:news"]);
  topics.publish("t", "news", 1);
  assert.equal((await events.next()).value?.data, 1);
  now = 500;
  topics.publish("t", "news", 2);
  await assert.rejects(events.next(), { code: "PERMISSION_DENIED" });
  for (const refused of ["topic:news", source, "topic:other~x"]) {
    await assert.rejects(follow(refused).next(), { code: "PERMISSION_DENIED" }, refused);
  }
});

Deno.test("a grant cannot be lent, moved to another topic or tenant, changed or made up", async () => {
  const clock = { now: (): number => 0 };
  const grants = new TopicGrants([secret(1)], clock);
  const topic = (source: string): TopicSource => parseTopicSource(source)!;
  const mine = topic(await grants.grant(session, "room/1"));
  assert.equal(await grants.check(session, mine), 3_600_000);
  const refused: [GrantHolder, TopicSource][] = [
    [{ ...session, owner: "bob" }, mine],
    [{ ...session, tenant: "u" }, mine],
    [{ tenant: "t", owner: 'alice","room/1' }, mine],
    [session, { ...mine, name: "room/2" }],
    [session, { ...mine, grant: mine.grant!.slice(0, -1) }],
    [session, { ...mine, grant: "x" }],
    [session, { ...mine, grant: "" }],
    // A resume token of the same secret and binding is no grant.
    [session, {
      ...mine,
      grant: await createResumeSealer([secret(1)]).seal("9", '["t","alice","room/1"]'),
    }],
  ];
  for (const [holder, source] of refused) {
    await assert.rejects(grants.check(holder, source), { code: "PERMISSION_DENIED" });
  }
  const other = new TopicGrants([secret(2)], clock);
  await assert.rejects(other.check(session, mine), { code: "PERMISSION_DENIED" });
  const rotated = new TopicGrants([secret(2), secret(1)], clock);
  assert.equal(await rotated.check(session, mine), 3_600_000);
  for (const lifetime of [0, -1, 0.5, NaN, 86_400_001]) {
    await assert.rejects(grants.grant(session, "news", lifetime), { code: "VALIDATION" });
  }
  for (const name of ["", "a~b", "-a", "a b", "x".repeat(129)]) {
    await assert.rejects(grants.grant(session, name), { code: "VALIDATION" });
  }
  const longest = await grants.grant(session, "x".repeat(128));
  assert.equal(parseSubscribeRequest({ source: longest }).source, longest);
});

Deno.test("a topic's stream ends when its session was ended elsewhere", async () => {
  let now = 0;
  let alive = true;
  const topics = new TopicHub();
  const events = openSubscription(overTopics(topics, {
    now: () => now,
    session: { ...session, expiresAt: Infinity },
    checkAlive: () =>
      alive ? Promise.resolve() : Promise.reject(new KontractError("SESSION_REVOKED")),
  }));
  await events.next();
  alive = false;
  now = 5_000;
  topics.publish("t", "news", 1);
  await assert.rejects(events.next(), { code: "SESSION_REVOKED" });
});
