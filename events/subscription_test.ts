import assert from "node:assert/strict";
import { KontractError } from "../_internal/errors.ts";
import type { ServerEvent } from "./event.ts";
import { sseFrame, sseResponse } from "./response.ts";
import { SseParser } from "./sse.ts";
import { type ChangeFeed, type ResumeSealer, subscriptionEvents } from "./subscription.ts";
import { TopicHub } from "./topics.ts";

/** Binds as the real one does; the sealing itself is tested with the real one. */
const sealer: ResumeSealer = {
  seal: (position, binding) => Promise.resolve(JSON.stringify([position, binding])),
  open: (token, binding) => {
    try {
      const [position, bound] = JSON.parse(token) as [string, string];
      return Promise.resolve(bound === binding ? position : null);
    } catch {
      return Promise.resolve(null);
    }
  },
};

function follow(
  hub: TopicHub,
  options: { resume?: string; binding?: string; limit?: number; feed?: ChangeFeed } = {},
): { events: AsyncGenerator<ServerEvent, void, void>; stop(): void } {
  const controller = new AbortController();
  const events = subscriptionEvents({
    source: "topic:news",
    feed: options.feed ?? hub.feed("t", "news"),
    next: (timeoutMs, signal) => hub.follow("t", "news").next(timeoutMs, signal),
    sealer,
    binding: options.binding ?? "me",
    resume: options.resume ?? null,
    signal: controller.signal,
    pollMs: 3_600_000,
    limit: options.limit,
  });
  return { events, stop: () => controller.abort() };
}

async function take(
  events: AsyncGenerator<ServerEvent, void, void>,
  count: number,
): Promise<ServerEvent[]> {
  const taken: ServerEvent[] = [];
  while (taken.length < count) {
    const result = await events.next();
    if (result.done === true) break;
    taken.push(result.value);
  }
  return taken;
}

Deno.test("what is sent after 'ready' arrives, by a wake and without waiting for the poll", async () => {
  const hub = new TopicHub();
  const { events, stop } = follow(hub);
  const [ready] = await take(events, 1);
  assert.equal(ready?.type, "ready");
  assert.deepEqual(ready?.data, { resumed: false });
  hub.publish("t", "news", 1);
  assert.deepEqual((await take(events, 1)).map((event) => event.data), [1]);
  const pending = take(events, 1);
  hub.publish("t", "news", 2);
  assert.deepEqual((await pending).map((event) => event.data), [2]);
  stop();
  assert.deepEqual(await take(events, 1), []);
});

Deno.test("a change committed while the feed is being read is not slept over", async () => {
  const hub = new TopicHub();
  const inner = hub.feed("t", "news");
  let late = true;
  const feed: ChangeFeed = {
    async changes(options) {
      const batch = await inner.changes(options);
      if (options.after !== null && late) {
        late = false;
        hub.publish("t", "news", "late"); // after the read, before the wait
      }
      return batch;
    },
  };
  const { events, stop } = follow(hub, { feed });
  const got = await take(events, 2);
  assert.deepEqual(got.map((event) => event.data), [{ resumed: false }, "late"]);
  stop();
});

Deno.test("a follower cut anywhere goes on with nothing missing", async () => {
  for (let cut = 1; cut <= 7; cut += 1) {
    const hub = new TopicHub();
    const first = follow(hub, { limit: 3 });
    const seen = await take(first.events, 1);
    for (let n = 0; n < 6; n += 1) hub.publish("t", "news", n);
    seen.push(...await take(first.events, cut - 1));
    first.stop();
    hub.publish("t", "news", 6);
    const second = follow(hub, { resume: seen.at(-1)?.id });
    const [ready] = await take(second.events, 1);
    assert.deepEqual(ready?.data, { resumed: true });
    const values = seen.slice(1).map((event) => event.data);
    while (values.at(-1) !== 6) values.push((await take(second.events, 1))[0]?.data);
    second.stop();
    assert.deepEqual([...new Set(values)], [0, 1, 2, 3, 4, 5, 6], `cut ${cut}`);
  }
});

Deno.test("a token that cannot be continued is answered by 'reset' and then 'ready'", async () => {
  const hub = new TopicHub({ history: 1 });
  const { events, stop } = follow(hub);
  const [ready] = await take(events, 1);
  stop();
  for (let n = 0; n < 3; n += 1) hub.publish("t", "news", n);
  const cases = [
    { resume: ready?.id }, // history no longer reaches it
    { resume: "forged" },
    { resume: ready?.id, binding: "somebody else" },
  ];
  for (const options of cases) {
    const lost = follow(hub, options);
    const types = (await take(lost.events, 2)).map((event) => event.type);
    assert.deepEqual(types, ["reset", "ready"]);
    lost.stop();
  }
});

Deno.test("a reader that falls behind history is told so in the middle of the stream", async () => {
  const hub = new TopicHub({ history: 2 });
  const { events, stop } = follow(hub);
  await take(events, 1);
  for (let n = 0; n < 9; n += 1) hub.publish("t", "news", n);
  const [reset, ready] = await take(events, 2);
  assert.equal(reset?.type, "reset");
  assert.equal(ready?.type, "ready");
  hub.publish("t", "news", "after");
  assert.equal((await take(events, 1))[0]?.data, "after");
  stop();
});

Deno.test("nothing is read for a reader that does not ask", async () => {
  const hub = new TopicHub();
  const inner = hub.feed("t", "news");
  let reads = 0;
  const feed: ChangeFeed = {
    changes: (options) => {
      reads += 1;
      return inner.changes(options);
    },
  };
  const { events, stop } = follow(hub, { feed, limit: 10 });
  await take(events, 1);
  for (let n = 0; n < 100; n += 1) hub.publish("t", "news", n);
  await take(events, 10);
  assert.equal(reads, 2, "the start and one batch of ten");
  stop();
});

Deno.test("a refusal of the feed ends the stream with its error", async () => {
  const hub = new TopicHub();
  const inner = hub.feed("t", "news");
  let revoked = false;
  const feed: ChangeFeed = {
    changes: (options) =>
      revoked ? Promise.reject(new KontractError("SESSION_REVOKED")) : inner.changes(options),
  };
  const { events } = follow(hub, { feed });
  await take(events, 1);
  revoked = true;
  await assert.rejects(take(events, 1), { code: "SESSION_REVOKED" });
});

Deno.test("the same events over SSE: id, type and JSON, then the reason of the end", async () => {
  const hub = new TopicHub();
  const inner = hub.feed("t", "news");
  let revoked = false;
  const feed: ChangeFeed = {
    changes: (options) =>
      revoked ? Promise.reject(new KontractError("SESSION_REVOKED")) : inner.changes(options),
  };
  const { events } = follow(hub, { feed });
  const response = await sseResponse(events, sseFrame);
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  hub.publish("t", "news", "a\nb");
  const parser = new SseParser();
  const seen: { event: string; data: unknown }[] = [];
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    for (const { event, data } of parser.push(text)) {
      seen.push({ event, data: JSON.parse(data) });
      if (event === "message") {
        revoked = true;
        hub.publish("t", "news", "unseen");
      }
    }
  }
  assert.deepEqual(seen, [
    {
      event: "ready",
      data: { type: "ready", source: "topic:news", key: null, data: { resumed: false } },
    },
    { event: "message", data: { type: "message", source: "topic:news", key: null, data: "a\nb" } },
    { event: "closed", data: { code: "SESSION_REVOKED" } },
  ]);
  assert.equal(parser.retry, 2000);
});

Deno.test("a refusal before the first event is an error, not a response", async () => {
  const hub = new TopicHub();
  const feed: ChangeFeed = {
    changes: () => Promise.reject(new KontractError("PERMISSION_DENIED")),
  };
  let closed = 0;
  await assert.rejects(
    sseResponse(follow(hub, { feed }).events, sseFrame, { onClose: () => closed += 1 }),
    {
      code: "PERMISSION_DENIED",
    },
  );
  assert.equal(closed, 1);
});

Deno.test("silence is filled with comments, and a reader that leaves ends the events", async () => {
  const hub = new TopicHub();
  const { events, stop } = follow(hub);
  let closed = 0;
  const response = await sseResponse(events, sseFrame, {
    heartbeatMs: 1,
    onClose: () => {
      closed += 1;
      stop();
    },
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n: \n\n: \n\n")) text += (await reader.read()).value ?? "";
  await reader.cancel();
  assert.equal(closed, 1);
  assert.equal((await events.next()).done, true);
});
