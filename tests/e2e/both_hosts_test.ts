/**
 * What the guide promises of streams, events and answers, in one built app on both hosts, from the generated
 * client and over plain HTTP: what units promise each for itself must hold from end to end.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { HOST_NAMES } from "../../cli/dev/host.ts";
import { TemporaryApp } from "../../cli/testing/temporary_app.ts";
import { SecretScan } from "../secret_scan.ts";
import { until } from "../until.ts";

const FILES: Readonly<Record<string, string>> = {
  "kontract.json": `{ "name": "both" }\n`,
  "src/app.ts":
    `import { backend, ctx, defineMiddleware, env, HttpResp, perms, primkey, table, timing } from "@kontract/kontract";
@table("samples", { perm: perms.RWX })
export class Sample {
  @primkey
  id!: string;
  count!: bigint;
  at!: Date;
  values!: Float64Array;
  names!: Map<string, Set<number>>;
}
export const outer = defineMiddleware({ prefix: "timed" }, timing("outer"));
export const inner = defineMiddleware({ prefix: "timed" }, timing("inner"));
export const wrong = defineMiddleware({ endpoints: ["untrue"] }, async (next) => {
  await next();
  return { not: "a text" };
});
export const keep = backend({}, async (sample: Sample): Promise<void> => {
  await env.storage.samples.set(sample.id, sample);
});
export const timed = backend({}, () => Promise.resolve(1));
export const untrue = backend({}, () => Promise.resolve("a text"));
export const bytes = backend(
  { readOnly: true, http: { method: "GET", path: "/api/bytes" } },
  (): ReadableStream<Uint8Array> => {
    ctx.setHeader("x-early", "yes");
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(Uint8Array.of(1));
        controller.close();
      },
    });
    return HttpResp.created(body, { headers: { "x-kind": "bytes" } });
  },
);
const left: string[] = [];
/** Goes on until it is left. */
export const ticks = backend({ readOnly: true, http: { method: "GET", path: "/api/ticks" } }, async function* (name: string) {
  try {
    for (let i = 0;; i++) {
      yield i;
      await new Promise((done) => setTimeout(done, 10));
    }
  } finally {
    left.push(name);
  }
});
/** Gives nothing, and ends when it is left. */
export const silent = backend({ readOnly: true, http: { method: "GET", path: "/api/silent" } }, async function* (name: string) {
  try {
    const { signal } = ctx;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    yield 1;
  } finally {
    left.push(name);
  }
});
/** Writes, and then waits for its caller to leave. */
export const stay = backend(
  { timeout: 60_000, http: { method: "POST", path: "/api/stay" } },
  async (name: string): Promise<void> => {
    await env.storage.samples.set(name, { count: 1n, at: new Date(0), values: Float64Array.of(), names: new Map() });
    left.push("began " + name);
    const { signal } = ctx;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    left.push(name + " " + signal.reason.code);
  },
);
/** Takes one piece of what is sent and leaves. */
export const head = backend({}, async (pieces: AsyncIterable<Uint8Array>): Promise<number> => {
  for await (const piece of pieces) return piece.length;
  return 0;
});
/** Gives back two of them. */
export const heads = backend({}, async function* (pieces: AsyncIterable<Uint8Array>) {
  let count = 0;
  for await (const piece of pieces) {
    yield piece.length;
    if (++count === 2) return;
  }
});
export const kept = backend({ readOnly: true }, async (name: string): Promise<boolean> =>
  await env.storage.samples.get(name) !== null
);
export const whoLeft = backend({ readOnly: true }, () => Promise.resolve(left));
export const plain = backend(
  { readOnly: true, http: { method: "GET", path: "/api/plain.txt" } },
  () => Promise.resolve("of the function"),
);
export const share = backend({}, async (kind: string): Promise<void> => {
  await env.shared.set("odd", kind === "map" ? new Map([[1, 2]]) : NaN);
});
/** Throws what it was given. */
export const fails = backend({ http: { method: "POST", path: "/api/fails/{text}" } }, (text: string): Promise<number> => {
  throw Object.assign(new Error("Something of the app's."), { payload: text, token: text });
});
export const tell = backend({ readOnly: true }, async () => {
  env.events.emit("odd", new Set([1]));
  return await Promise.resolve(1);
});
`,
  "web/api/plain.txt": "of the file\n",
  "web/api/other.txt": "of the file\n",
  "web/index.html": `<!doctype html><script type="module" src="./main.ts"></script>`,
  "web/main.ts":
    `import { client, fails, head, heads, keep, kept, share, stay, ticks, tell, untrue, whoLeft } from "@/client";
export { client, fails, head, heads, keep, kept, share, stay, ticks, tell, untrue, whoLeft };
`,
};

interface Sample {
  readonly id: string;
  readonly count: bigint;
  readonly at: Date;
  readonly values: Float64Array;
  readonly names: Map<string, Set<number>>;
}

interface Page {
  readonly client: {
    configure(settings: { url?: string; webSocket?: typeof WebSocket | null }): void;
    with<T>(options: { timeout?: number; signal?: AbortSignal }, calls: () => T): T;
    subscribe(source: string, options: { filter: Readonly<Record<string, unknown>> }): {
      [Symbol.asyncIterator](): AsyncIterator<{ type: string; key: string | null; data: unknown }>;
      close(): void;
    };
    close(): void;
  };
  keep(sample: Sample): Promise<void>;
  ticks(name: string): AsyncGenerator<number>;
  whoLeft(): Promise<string[]>;
  untrue(): Promise<string>;
  head(pieces: AsyncIterable<Uint8Array>): Promise<number>;
  heads(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<number>;
  share(kind: string): Promise<void>;
  tell(): Promise<number>;
  fails(text: string): Promise<number>;
  stay(name: string): Promise<void>;
  kept(name: string): Promise<boolean>;
}

const sample = (id: string, count: bigint): Sample => ({
  id,
  count,
  at: new Date(1000),
  values: Float64Array.of(0.5, -1),
  names: new Map([["a", new Set([1, 2])]]),
});

/** What only a caller knows. */
const MARKER = "payload-marker-only-a-caller-knows";

/** Keeps the sealed requests of this process until disposed. */
function recordSealed(): Disposable & { readonly bodies: readonly Uint8Array<ArrayBuffer>[] } {
  const bodies: Uint8Array<ArrayBuffer>[] = [];
  const { fetch } = globalThis;
  globalThis.fetch = (input, init) => {
    const body = init?.body;
    if (body instanceof Uint8Array && body[1] === 0x40) bodies.push(new Uint8Array(body));
    return fetch(input, init);
  };
  return { bodies, [Symbol.dispose]: () => void (globalThis.fetch = fetch) };
}

for (const host of HOST_NAMES) {
  Deno.test(
    `the promises of the guide hold on ${host}`,
    { sanitizeOps: false, sanitizeResources: false, ignore: Deno.build.os === "windows" },
    async (t) => {
      await using app = await TemporaryApp.create([], FILES);
      const child = app.spawn("start", { host, stdout: "piped", stderr: "piped" });
      const printed = Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      const { url } = await app.info(child);
      using network = recordSealed();
      const page: Page = await import(`file://${join(app.folder, "dist/public/main.js")}`);
      const session = await (await fetch(`${url}/auth/anonymous`, { method: "POST" })).json();
      const { access } = session;
      const headers = { authorization: `Bearer ${access}` };
      const rpc = (name: string, args: readonly unknown[] = [], signal?: AbortSignal) =>
        fetch(`${url}/rpc/${name}`, {
          method: "POST",
          headers,
          body: JSON.stringify(args),
          ...(signal === undefined ? {} : { signal }),
        });

      for (const over of ["WebSocket", "HTTP"]) {
        page.client.configure({ url, ...(over === "HTTP" ? { webSocket: null } : {}) });

        await t.step(`a stream that is left over ${over} ends on the server`, async () => {
          for await (const tick of page.ticks(over)) if (tick === 2) break;
          await until(async () => (await page.whoLeft()).includes(over));
        });

        await t.step(`a stream over ${over} ends by the caller's timeout`, async () => {
          await assert.rejects(async () => {
            for await (const _ of page.client.with({ timeout: 300 }, () => page.ticks("late")));
          }, { code: "DEADLINE_EXCEEDED" });
        });

        await t.step(
          `a call that is left over ${over} ends on the server, and writes nothing`,
          async () => {
            const name = `call over ${over}`;
            // One that is named takes calls as well, once something needs it.
            if (over === "WebSocket") page.client.configure({ webSocket: WebSocket });
            const needing = page.client.subscribe("samples", { filter: {} });
            const events = needing[Symbol.asyncIterator]();
            assert.equal((await events.next()).value.type, "ready");
            const leave = new AbortController();
            const { signal } = leave;
            const call = page.client.with({ signal }, () => page.stay(name));
            const refused = assert.rejects(call, { code: "CANCELLED" });
            await until(async () => (await page.whoLeft()).includes(`began ${name}`));
            leave.abort();
            await refused;
            await until(async () => (await page.whoLeft()).includes(`${name} CANCELLED`));
            assert.equal(await page.kept(name), false);
            needing.close();
          },
        );

        await t.step(
          `who leaves what is sent to it over ${over} is heard all the same`,
          async () => {
            const pieces = async function* (): AsyncGenerator<Uint8Array> {
              while (true) yield await Promise.resolve(new Uint8Array(50_000));
            };
            for (let i = 0; i < 10; i++) {
              assert.equal(await page.head(pieces()), 50_000);
              assert.deepEqual(await Array.fromAsync(page.heads(pieces())), [50_000, 50_000]);
            }
          },
        );

        await t.step(`rows of every kind are followed over ${over}, filtered by them`, async () => {
          const filter = { count: { gt: 6n }, at: new Date(1000) };
          const subscription = page.client.subscribe("samples", { filter });
          const events = subscription[Symbol.asyncIterator]();
          assert.equal((await events.next()).value.type, "ready");
          await page.keep(sample(`less ${over}`, 6n));
          await page.keep(sample(`more ${over}`, 2n ** 70n));
          const { data } = (await events.next()).value;
          assert.deepEqual(data, sample(`more ${over}`, 2n ** 70n));
          subscription.close();
        });
      }

      await t.step("a plain stream that is left ends on the server", async () => {
        const leave = new AbortController();
        const response = await rpc("ticks", ["plain"], leave.signal);
        await response.body!.getReader().read();
        leave.abort();
        await until(async () => (await page.whoLeft()).includes("plain"));
      });

      await t.step("HEAD asks for no element of a stream, which ends on the server", async () => {
        const names = ["ticks 1", "silent 1", "ticks 2", "silent 2"];
        for (const name of names) {
          const path = name.split(" ")[0];
          const address = `${url}/api/${path}?name=${encodeURIComponent(name)}`;
          // Half of the call's deadline, by which it would have ended.
          const signal = AbortSignal.timeout(15_000);
          const response = await fetch(address, { method: "HEAD", headers, signal });
          assert.equal(response.status, 200);
          assert.match(response.headers.get("content-type") ?? "", /^application\/x-ndjson/);
          assert.equal(response.body, null);
        }
        await until(async () => {
          const left = await page.whoLeft();
          return names.every((name) => left.includes(name));
        });
      });

      for (const path of ["/rpc/stay", "/api/stay"]) {
        await t.step(
          `who leaves ${path} before its answer cancels it, and nothing is written`,
          async () => {
            const leave = new AbortController();
            const body = path === "/rpc/stay"
              ? JSON.stringify([path])
              : JSON.stringify({ name: path });
            const asked = fetch(url + path, {
              method: "POST",
              headers,
              body,
              signal: leave.signal,
            });
            const seen = async (word: string): Promise<boolean> =>
              (await (await rpc("whoLeft")).json()).result.includes(word);
            await until(() => seen(`began ${path}`));
            leave.abort();
            await assert.rejects(asked, { name: "AbortError" });
            await until(() => seen(`${path} CANCELLED`));
            assert.deepEqual(await (await rpc("kept", [path])).json(), { result: false });
          },
        );
      }

      await t.step("an EventSource gets rows as JSON, and filters by JSON", async () => {
        const leave = new AbortController();
        const filter = '{"count":{"gt":"80"},"at":"1970-01-01T00:00:01Z"}';
        const query = `source=samples&filter=${encodeURIComponent(filter)}`;
        const response = await fetch(`${url}/events?${query}`, { headers, signal: leave.signal });
        const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
        let text = "";
        const read = async (part: string): Promise<void> => {
          while (!text.includes(part)) text += (await reader.read()).value ?? assert.fail(text);
        };
        await read("event: ready");
        await page.keep(sample("plain", 81n));
        await read('"count":');
        await read("\n\n");
        const line = text.split("\n").find((one) => one.includes('"count":'))!;
        assert.deepEqual(JSON.parse(line.slice("data: ".length)).data, {
          id: "plain",
          count: "81",
          at: "1970-01-01T00:00:01.000Z",
          values: new Uint8Array(Float64Array.of(0.5, -1).buffer).toBase64(),
          names: [["a", [1, 2]]],
        });
        leave.abort();
        for (const wrong of ['{"at":"monday"}', '{"count":"1.5"}']) {
          const refused = await fetch(
            `${url}/events?source=samples&filter=${encodeURIComponent(wrong)}`,
            { headers },
          );
          assert.equal((await refused.json()).error.code, "VALIDATION");
        }
      });

      await t.step("a wrong argument is told by its parameter's name", async () => {
        for (
          const [args, path] of [
            [[{ ...sample("wrong", 1n), id: 7 }], "sample.id"],
            [["text"], "sample"],
          ] as const
        ) {
          const refused = await fetch(`${url}/rpc/keep`, {
            method: "POST",
            headers,
            body: JSON.stringify(
              args,
              (_key, value) => typeof value === "bigint" ? `${value}` : value,
            ),
          });
          const { error } = await refused.json();
          assert.equal(error.code, "VALIDATION");
          assert.equal(error.data.path, path);
          assert.equal(error.data.argument, 0);
          assert.ok(error.message.startsWith(`'${path}' must be `), error.message);
        }
      });

      await t.step("a stream has the status and headers that its function says", async () => {
        const lines = '{"element":"AQ=="}\n{"end":true}\n';
        for (
          const [response, body] of [
            [await rpc("bytes"), lines],
            [await fetch(`${url}/api/bytes`, { headers }), "\x01"],
          ] as const
        ) {
          assert.equal(response.status, 201);
          assert.equal(response.headers.get("x-kind"), "bytes");
          assert.equal(response.headers.get("x-early"), "yes");
          assert.equal(await response.text(), body);
        }
      });

      await t.step("an address beats a file, and other paths are the page's", async () => {
        const at = async (path: string): Promise<string> =>
          (await (await fetch(url + path, { headers })).text()).trim();
        assert.equal(await at("/api/plain.txt"), '"of the function"');
        assert.equal(await at("/api/other.txt"), "of the file");
        assert.equal(await at("/notes/7"), await at("/"));
        assert.match(await at("/"), /^<!doctype html>/);
        for (const path of ["/notes/7.png", "/.env", "/rpc/nope"]) {
          const missing = await fetch(url + path, { headers });
          await missing.body?.cancel();
          assert.ok(missing.status >= 400, path);
        }
      });

      await t.step("two timings stand in one header", async () => {
        const response = await rpc("timed");
        await response.body?.cancel();
        assert.match(response.headers.get("server-timing") ?? "", /^outer;dur=.+, inner;dur=/);
      });

      await t.step("a result that is not of its type is the server's fault", async () => {
        await assert.rejects(page.untrue(), { code: "INTERNAL" });
        assert.equal((await (await rpc("untrue")).json()).error.code, "INTERNAL");
      });

      await t.step("what JSON would change is not kept and not sent", async () => {
        await assert.rejects(page.share("map"), { code: "VALIDATION" });
        await assert.rejects(page.share("number"), { code: "VALIDATION" });
        await assert.rejects(page.tell(), { code: "VALIDATION" });
      });

      await t.step(
        "no key, ticket, token or payload is in anything that the host prints",
        async () => {
          const scan = new SecretScan();
          for (const name of ["access", "refresh"]) scan.text(`${name} token`, session[name]);
          const secret = await Deno.readTextFile(join(app.folder, ".kontract", "secret"));
          for (const part of secret.trim().split(",")) scan.text("KONTRACT_SECRET", part);
          scan.text("payload", MARKER);
          // What the app throws, what is of another type, tokens and tickets that are none.
          await assert.rejects(page.fails(MARKER), { code: "INTERNAL" });
          for (
            const [name, args] of [["fails", [MARKER]], ["keep", [MARKER]], ["untrue", [
              MARKER,
            ]]] as const
          ) {
            await (await rpc(name, args)).body?.cancel();
          }
          for (const method of ["POST", "DELETE"]) {
            await (await fetch(`${url}/api/fails/${MARKER}`, { method, headers })).body?.cancel();
          }
          const forged = { authorization: `Bearer ${access.slice(0, -4)}AAAA ${MARKER}` };
          await (await fetch(`${url}/rpc/timed`, { method: "POST", headers: forged })).body
            ?.cancel();
          await (await fetch(`${url}/events?source=${MARKER}`, { headers })).body?.cancel();
          assert.ok(network.bodies.length > 5);
          for (const body of network.bodies) scan.sealedBody(body);
          const type = { "content-type": "application/raystream" };
          for (const body of network.bodies.slice(0, 3)) {
            const changed = body.map((byte, at) => at === body.length - 1 ? byte ^ 1 : byte);
            for (const sent of [changed, body.slice(0, 60)]) {
              const refused = await fetch(`${url}/raystream`, {
                method: "POST",
                headers: type,
                body: sent,
              });
              assert.equal((await refused.arrayBuffer()).byteLength, 16);
            }
          }
          page.client.close();
          child.kill("SIGTERM");
          await child.status;
          await app.quiet();
          const output = (await printed).join("\n");
          // The log is there: what the app threw stands in it under the function's name.
          assert.match(output, /"route":"fails"/);
          scan.assertNoneIn(output);
        },
      );
    },
  );
}
