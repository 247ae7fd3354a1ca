/**
 * An app in real workerd: sessions, topics and events across the Worker's Durable Objects.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { SessionTokens } from "../auth/contract.ts";
import { AUTH_TABLES } from "../auth/tables.ts";
import { stopBundler } from "../compiler/bundler_process.ts";
import { SseParser } from "../events/mod.ts";
import { openSocketTransport } from "../protocol/client.ts";
import { encodeValue } from "../protocol/codec/mod.ts";
import { loadProvider } from "../protocol/crypto/select.ts";
import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import { deriveServerKeys } from "../protocol/server_keys.ts";
import { subscriptionsEnd } from "../protocol/testing/round_trips.ts";
import { createClient } from "../runtime/client/mod.ts";
import { NOTES, NOTES_APP } from "../runtime/testing/notes_app.ts";
import { type TestDatabase, testDatabase } from "./postgres.ts";
import { startWorkerd, type Workerd } from "./workerd.ts";

const options = { sanitizeOps: false, sanitizeResources: false };

async function withApp(
  body: (workerd: Workerd, database: TestDatabase) => Promise<void>,
): Promise<void> {
  const database = await testDatabase([...AUTH_TABLES, NOTES]);
  const state = await Deno.makeTempDir();
  try {
    const workerd = await startWorkerd({
      entry: "runtime/testing/notes_worker.ts",
      state,
      bindings: {
        DATABASE_URL: database.gatewayUrl,
        KONTRACT_SECRET: database.secrets[0]!.toBase64({ alphabet: "base64url" }),
      },
    });
    try {
      await body(workerd, database);
    } finally {
      await workerd.stop();
    }
  } finally {
    await stopBundler();
    await database.close();
    await Deno.remove(state, { recursive: true });
  }
}

/** Events of one response, one by one. */
async function* eventsOf(response: Response): AsyncGenerator<{ event: string; data: unknown }> {
  assert.equal(response.status, 200, response.status === 200 ? "" : await response.text());
  const parser = new SseParser();
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    for (const { event, data } of parser.push(text)) {
      yield { event, data: (JSON.parse(data) as { data?: unknown }).data };
    }
  }
}

/** Waits for a condition that changes with what is heard. */
function listener(): { ring(): void; until(holds: () => boolean): Promise<void> } {
  let ring = (): void => {};
  return {
    ring: () => ring(),
    until: async (holds) => {
      while (!holds()) await new Promise<void>((resolve) => (ring = resolve));
    },
  };
}

Deno.test("an app in workerd", options, async (t) => {
  await withApp(async (workerd, database) => {
    const step = (name: string, fn: () => Promise<void>): Promise<boolean> =>
      t.step({ name, fn, ...options });
    const visitor = async (): Promise<SessionTokens> =>
      await (await workerd.fetch("/auth/anonymous", { method: "POST" })).json();
    const bearer = (who: SessionTokens): Record<string, string> => ({
      authorization: `Bearer ${who.access}`,
    });
    const call = async (who: SessionTokens, name: string, ...args: unknown[]): Promise<unknown> => {
      const body = JSON.stringify(args);
      const response = await workerd.fetch(`/rpc/${name}`, {
        method: "POST",
        headers: bearer(who),
        body,
      });
      if (response.status === 204) return undefined;
      const answer = await response.json();
      return answer.error?.code ?? answer.result;
    };
    const follow = async (who: SessionTokens, source: string, resume?: string) =>
      await workerd.fetch(`/events?source=${encodeURIComponent(source)}`, {
        headers: { ...bearer(who), ...(resume === undefined ? {} : { "last-event-id": resume }) },
      });
    const ann = await visitor();
    const bob = await visitor();

    await step("a message reaches every follower, whatever request it was sent in", async () => {
      const sources = [await call(ann, "grantNews"), await call(bob, "grantNews")] as string[];
      const streams = [
        eventsOf(await follow(ann, sources[0]!)),
        eventsOf(await follow(bob, sources[1]!)),
      ];
      for (const stream of streams) assert.equal((await stream.next()).value.event, "ready");
      for (let i = 0; i < 5; i++) await call(i % 2 === 0 ? ann : bob, "emit", `m${i}`);
      for (const stream of streams) {
        for (let i = 0; i < 5; i++) {
          assert.deepEqual((await stream.next()).value, {
            event: "message",
            data: { text: `m${i}` },
          });
        }
        await stream.return(undefined);
      }
      assert.equal((await (await follow(bob, sources[0]!)).json()).error.code, "PERMISSION_DENIED");
      assert.equal(
        (await (await follow(bob, "topic:news")).json()).error.code,
        "PERMISSION_DENIED",
      );
    });

    await step("a commit reaches a follower of the table", async () => {
      const stream = eventsOf(await follow(bob, "notes"));
      assert.equal((await stream.next()).value.event, "ready");
      await call(ann, "add", "w1", "hello");
      assert.deepEqual((await stream.next()).value, {
        event: "insert",
        data: { id: "w1", text: "hello", author: ann.owner },
      });
      await stream.return(undefined);
    });

    await step("followers end with their session, of a table and of a topic", async () => {
      const carol = await visitor();
      const source = await call(carol, "grantNews") as string;
      const streams = [
        eventsOf(await follow(carol, source)),
        eventsOf(await follow(carol, "notes")),
      ];
      for (const stream of streams) await stream.next();
      await (await workerd.fetch("/auth/logout", { method: "POST", headers: bearer(carol) }))
        .text();
      for (const stream of streams) {
        let last = await stream.next();
        while (last.done !== true && last.value.event !== "closed") last = await stream.next();
        assert.equal(last.value?.event, "closed");
      }
    });

    await step(
      "ten subscriptions share one WebSocket of a Durable Object, also after a quiet time",
      async () => {
        const sockets: WebSocket[] = [];
        const webSocket = function (url: string): WebSocket {
          const socket = new WebSocket(url);
          sockets.push(socket);
          return socket;
        } as unknown as typeof WebSocket;
        const secret = database.secrets[0]!;
        const { pins } = await deriveServerKeys([secret], await loadProvider());
        const client = createClient({
          ...{ app: NOTES_APP.app, build: "b", pins, url: workerd.url, webSocket },
        });
        const seen: string[][] = Array.from({ length: 10 }, () => []);
        const heard = listener();
        for (const each of seen) {
          client.subscribe("notes", {
            onEvent: ({ type, key }) => {
              each.push(`${type} ${key}`);
              heard.ring();
            },
          });
        }
        await heard.until(() => seen.every((each) => each[0] === "ready null"));
        // Long enough for an object that nothing keeps awake to be evicted.
        if (Deno.env.get("KONTRACT_LONG") === "1") {
          await new Promise((resolve) => setTimeout(resolve, 15_000));
        }
        await call(ann, "add", "w2", "hello");
        await heard.until(() => seen.every((each) => each.at(-1) === "insert w2"));
        assert.equal(sockets.length, 1);
        client.close();
      },
    );

    await step("a Durable Object holds one WebSocket to its limit of subscriptions", async () => {
      const { pins } = await deriveServerKeys([database.secrets[0]!], await loadProvider());
      const transport = await openSocketTransport({
        ...{ url: workerd.url, app: NOTES_APP.app, pins },
      });
      const request = encodeValue({ source: "notes" });
      const { subscriptions } = DEFAULT_LIMITS;
      assert.ok(await subscriptionsEnd(transport, subscriptions, request, ann.access));
      transport.close();
    });

    await step("the cron trigger collects garbage: it leaves its marker", async () => {
      assert.equal(await workerd.scheduled(), "ok");
      const rows = await database.admin`select 1 from kontract_private.markers`;
      assert.ok(rows.length >= 1);
    });

    await step(
      "the door refuses foreign pages and large bodies, and answers without a body",
      async () => {
        const socket = new WebSocket(`${workerd.url.replace("http", "ws")}/raystream`, {
          headers: { origin: "https://evil.example" },
        } as unknown as string[]);
        const heard = await new Promise((resolve) => {
          socket.onopen = () => resolve("open");
          socket.onerror = () => resolve("refused");
        });
        assert.equal(heard, "refused");
        const large = await workerd.fetch("/rpc/add", {
          method: "POST",
          headers: { ...bearer(ann), "cf-connecting-ip": "203.0.113.7" },
          body: new Uint8Array(3 << 20),
        });
        assert.deepEqual([large.status, (await large.json()).error.code], [413, "TOO_LARGE"]);
        assert.equal(await call(ann, "gone"), undefined);
        const health = await workerd.fetch("/health", { method: "HEAD" });
        assert.deepEqual([health.status, await health.text()], [200, ""]);
      },
    );

    await step("a refusal does not wait for who goes on sending", async () => {
      const { hostname, port, host } = new URL(workerd.url);
      for (const length of ["content-length: 1000000", "transfer-encoding: chunked"]) {
        const visitor = await Deno.connect({ hostname, port: Number(port) });
        const late = setTimeout(() => visitor.close(), 30_000);
        const head = ["POST /rpc/nope HTTP/1.1", `host: ${host}`, length, "", ""].join("\r\n");
        await visitor.write(new TextEncoder().encode(head));
        const chunk = new Uint8Array(4096);
        for (let text = ""; !text.includes('"code":"ROUTE_NOT_FOUND"');) {
          const read = await visitor.read(chunk);
          assert.ok(read !== null, text);
          text += new TextDecoder().decode(chunk.subarray(0, read));
        }
        clearTimeout(late);
        visitor.close();
      }
    });

    await step("who drips a body is told so, and its connection ends", async () => {
      const { hostname, port, host } = new URL(workerd.url);
      const drip = async (path: string, length: string): Promise<void> => {
        const visitor = await Deno.connect({ hostname, port: Number(port) });
        const type = path === "/raystream" ? "application/raystream" : "application/json";
        const lines = [`POST ${path} HTTP/1.1`, `host: ${host}`, `content-type: ${type}`, length];
        const send = (text: string): Promise<unknown> =>
          visitor.write(new TextEncoder().encode(text));
        await send([...lines, "", ""].join("\r\n"));
        const drop = length.startsWith("content") ? " " : "1\r\n \r\n";
        const dripping = setInterval(() => send(drop).catch(() => {}), 50);
        let text = "";
        try {
          for await (const chunk of visitor.readable) text += new TextDecoder().decode(chunk);
        } catch (error) {
          if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
        }
        clearInterval(dripping);
        assert.match(text, /^HTTP\/1.1 408 /);
      };
      const lengths = [
        "content-length: 10000",
        "content-length: 90000",
        "transfer-encoding: chunked",
      ];
      await Promise.all([
        ...lengths.map((length) => drip("/raystream", length)),
        drip("/auth/anonymous", lengths[0]!),
        drip("/auth/anonymous", lengths[2]!),
      ]);
    });

    await step("cookies carry a session through the Worker", async () => {
      const { origin } = new URL(workerd.url);
      const own = { "sec-fetch-site": "same-origin", origin };
      const signIn = await workerd.fetch("/auth/anonymous", {
        method: "POST",
        headers: { ...own, "kontract-session": "cookie" },
      });
      const cookies = signIn.headers.getSetCookie();
      assert.equal(cookies.length, 2);
      const { owner } = await signIn.json();
      const cookie = cookies.map((one) => one.split(";")[0]).join("; ");
      const who = await workerd.fetch("/rpc/who", { method: "POST", headers: { ...own, cookie } });
      assert.equal((await who.json()).result.owner, owner);
    });
  });
});
