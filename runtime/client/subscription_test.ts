import assert from "node:assert/strict";
import { type ClientEvent, followEvents } from "./subscription.ts";
import { TestServer } from "./testing/server.ts";

Deno.test("a subscription is live after 'ready' and goes on over cuts with nothing lost or doubled", async () => {
  const server = new TestServer();
  const client = await server.client();
  const seen: unknown[] = [];
  const statuses: string[] = [];
  let sent = 0;
  for await (
    const event of client.subscribe("topic:news", {
      onStatus: (status) => statuses.push(status),
    })
  ) {
    if (event.type === "message") seen.push(event.data);
    if (event.type === "ready") {
      // Sent while the stream is up, then it is cut; the rest is sent while it is down.
      server.topics.publish("t", "news", sent++);
      server.topics.publish("t", "news", sent++);
      server.topics.publish("t", "news", sent++);
    }
    if (seen.length === 2 || seen.length === 5) {
      server.cut();
      server.topics.publish("t", "news", sent++);
    }
    if (seen.length >= 8) break;
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.equal(statuses.at(-1), "closed");
  assert.ok(statuses.filter((status) => status === "live").length >= 3);
  client.close();
});

Deno.test("a topic's message that is sent while a silent subscription is opened anew over HTTP arrives", async () => {
  const server = new TestServer();
  const client = await server.client();
  const kept = { setTimeout };
  let now = 0;
  let silence = (): void => {};
  try {
    performance.now = () => now;
    globalThis.setTimeout = ((work: () => void, wait: number) => {
      if (wait !== 300_000) return kept.setTimeout(work, wait);
      silence = work;
      return 0;
    }) as typeof setTimeout;
    const seen: unknown[] = [];
    let lives = 0;
    const onStatus = (status: string): void => {
      if (status === "live") lives += 1;
      if (status === "connecting" && lives === 1) server.topics.publish("t", "news", "meanwhile");
    };
    for await (const event of client.subscribe("topic:news", { onStatus })) {
      if (event.type !== "ready") {
        seen.push(event.type, event.data);
        break;
      }
      if (lives > 1) continue;
      kept.setTimeout(() => {
        now += 300_000;
        silence();
      }, 0);
    }
    assert.deepEqual([lives, ...seen], [2, "message", "meanwhile"]);
  } finally {
    globalThis.setTimeout = kept.setTimeout;
    Reflect.deleteProperty(performance, "now");
    client.close();
  }
});

Deno.test("an expired session is renewed under a running subscription", async () => {
  const server = new TestServer();
  const client = await server.client();
  let ready = 0;
  for await (const event of client.subscribe("topic:news")) {
    if (event.type !== "ready") continue;
    ready += 1;
    if (ready === 2) break;
    server.expire();
    server.cut();
  }
  assert.deepEqual(server.authCalls, ["anonymous", "refresh"]);
  client.close();
});

Deno.test("a source that is asked for is asked for at every connection", async () => {
  const server = new TestServer();
  const client = await server.client();
  let asked = 0;
  const source = (): Promise<string> => {
    asked += 1;
    return Promise.resolve("topic:news");
  };
  const seen: unknown[] = [];
  for await (const event of client.subscribe(source)) {
    if (event.type === "message") seen.push(event.data);
    if (event.type === "ready") {
      server.topics.publish("t", "news", asked);
      if (asked === 1) server.cut();
    }
    if (seen.length === 2) break;
  }
  assert.deepEqual([seen, asked], [[1, 2], 2]);
  client.close();
});

Deno.test("a refusal is told to the callback and is final", async () => {
  const server = new TestServer();
  const client = await server.client();
  const code = await new Promise((resolve) => {
    client.subscribe("entries", {
      onEvent: () => assert.fail("nothing may arrive"),
      onError: (error) => resolve(error.code),
    });
  });
  assert.equal(code, "PERMISSION_DENIED");
  client.close();
});

Deno.test("closing ends a callback subscription on the server too", async () => {
  const server = new TestServer();
  const client = await server.client();
  let got = 0;
  const closed = new Promise<void>((resolve) => {
    const subscription = client.subscribe("topic:news", {
      onEvent: () => {
        got += 1;
        subscription.close();
      },
      onStatus: (status) => {
        if (status === "closed") resolve();
      },
    });
  });
  await closed;
  server.topics.publish("t", "news", 1);
  assert.equal(got, 1);
  client.close();
});

function change(id: string, key: string, data: unknown): unknown {
  return { id, type: "update", source: "s", key, data };
}

function ready(id: string, resumed: boolean): unknown {
  return { id, type: "ready", source: "s", key: null, data: { resumed } };
}

Deno.test("a transaction that was cut comes again whole, and only its rest is delivered", async () => {
  // Ids as the server makes them: that of the start until the last change, then the next one.
  const connections = [
    [ready("p0", false), change("p0", "a", 1), change("p0", "b", 1)],
    [ready("p0'", true), change("p0'", "a", 1), change("p0'", "b", 1), change("p0'", "a", 1)],
    [
      ready("p0''", true),
      change("p0''", "a", 1),
      change("p0''", "b", 1),
      change("p0''", "a", 1),
      change("p1", "c", 1),
      change("p2", "a", 1), // equal to an earlier one, but of a later transaction
    ],
  ];
  const resumes: (string | undefined)[] = [];
  const stop = new AbortController();
  const seen: ClientEvent[] = [];
  const connect = async function* (resume: string | undefined): AsyncGenerator<unknown> {
    resumes.push(resume);
    yield* await Promise.resolve(connections.shift() ?? []);
  };
  for await (const event of followEvents(connect, stop.signal, () => undefined)) {
    if (event.type === "update") seen.push(event);
    if (seen.length === 5) break;
  }
  assert.deepEqual(seen.map((event) => event.key), ["a", "b", "a", "c", "a"]);
  assert.deepEqual(resumes, [undefined, "p0", "p0'"]);
});

Deno.test("bytes that are no event end the subscription with RAY_DECODE", async () => {
  for (const bad of [null, 1, {}, { id: "x", type: "unknown", source: "s", key: null }]) {
    const connect = async function* (): AsyncGenerator<unknown> {
      yield await Promise.resolve(bad);
    };
    const events = followEvents(connect, new AbortController().signal, () => undefined);
    await assert.rejects(events.next(), { code: "RAY_DECODE" });
  }
});
