/**
 * Streamed arguments of a built app: files and iterators from the generated client into the functions,
 * from Deno and from a page in Chromium.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parseSecrets } from "../../_internal/keys.ts";
import { openAppFolder } from "../../cli/dev/app_folder.ts";
import { buildApp } from "../../cli/dev/build_app.ts";
import { loadSecret } from "../../cli/dev/secret.ts";
import { startTestApp } from "../../cli/test_app.ts";
import { makeApp } from "../../compiler/testing/app.ts";
import { findChromium, launchChromium } from "../browser/chromium.ts";

const APP: Readonly<Record<string, string>> = {
  "kontract.json": `{ "name": "files" }\n`,
  "src/files.ts": `import { backend } from "@kontract/kontract";
export interface Row {
  readonly name: string;
  readonly at: Date;
}
const rss = () => Deno.memoryUsage().rss;
export class Files {
  static #before = 0;
  static #most = 0;
  @backend({})
  static async memory(): Promise<number> {
    return Files.#most - Files.#before;
  }
  @backend({ timeout: 60_000 })
  static async save(name: string, body: ReadableStream<Uint8Array>): Promise<{ name: string; bytes: number; sum: number }> {
    let [bytes, sum] = [0, 0];
    Files.#before = Files.#most = rss();
    for await (const piece of body) {
      Files.#most = Math.max(Files.#most, rss());
      bytes += piece.length;
      for (const byte of piece) sum = (sum + byte) % 65_521;
    }
    return { name, bytes, sum };
  }
  @backend({ timeout: 60_000 })
  static async *load(megabytes: number): AsyncGenerator<Uint8Array> {
    Files.#before = Files.#most = rss();
    for (let sent = 0; sent < megabytes * 16; sent++) {
      Files.#most = Math.max(Files.#most, rss());
      yield new Uint8Array(1 << 16);
    }
  }
  @backend({})
  static async head(body: AsyncIterable<Uint8Array>): Promise<number> {
    for await (const piece of body) return piece.length;
    return 0;
  }
  @backend({})
  static async *join(left: AsyncIterable<Row>, right: AsyncIterable<Row>): AsyncGenerator<string> {
    const others = right[Symbol.asyncIterator]();
    for await (const row of left) {
      const other = await others.next();
      yield row.name + row.at.getTime() + (other.done === true ? "" : other.value.name);
    }
  }
}
`,
  "web/index.html": `<!doctype html><script type="module" src="/main.ts"></script>`,
  "web/main.ts": `import { client, head, join, load, memory, save } from "@/client";
export { client, head, join, load, memory, save };
Object.assign(globalThis, { client, head, join, load, memory, save });
`,
};

type Bytes = Blob | AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>;
type Rows = AsyncIterable<{ name: string; at: Date }>;

interface Page {
  readonly client: {
    configure(settings: { url?: string; webSocket?: null }): void;
    close(): void;
    with<T>(options: { onProgress(sent: number): void }, calls: () => T): T;
  };
  save(name: string, body: Bytes): Promise<{ name: string; bytes: number; sum: number }>;
  load(megabytes: number): AsyncGenerator<Uint8Array>;
  memory(): Promise<number>;
  head(body: Bytes): Promise<number>;
  join(left: Rows, right: Rows): AsyncGenerator<string>;
}

const MEGABYTE = 1 << 20;
// The channel's limit for one message is 1 MiB.
const SIZE = (Deno.env.get("KONTRACT_LONG") === "1" ? 256 : 32) * MEGABYTE + 1;
// Garbage of both sides, which is collected when the engine likes to.
const MEMORY = 128 * MEGABYTE;
// The client's, without that of other tests in this process; the app tells its own.
const memory = (): number => {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
};

Deno.test("streamed arguments", { sanitizeOps: false, sanitizeResources: false }, async (t) => {
  await using app = await makeApp(APP, "files");
  const folder = await openAppFolder(app.root);
  await Deno.mkdir(folder.own, { recursive: true });
  await buildApp(folder, parseSecrets(await loadSecret(folder)), ["deno"]);
  await using running = await startTestApp({ folder: app.root });
  const page: Page = await import(`file://${join(app.root, "dist/public/main.js")}`);
  page.client.configure({ url: running.url });

  for (const over of ["WebSocket", "HTTP"]) {
    await t.step(
      `over ${over} a file larger than any message arrives whole in flat memory`,
      async () => {
        if (over === "HTTP") page.client.configure({ webSocket: null });
        let made = 0;
        let most = 0;
        const before = memory();
        const body = new ReadableStream<Uint8Array>({
          pull(controller): void {
            const size = Math.min(MEGABYTE, SIZE - made);
            made += size;
            most = Math.max(most, memory() - before);
            if (size === 0) controller.close();
            else controller.enqueue(new Uint8Array(size).fill(7));
          },
        });
        const progress: number[] = [];
        const onProgress = (sent: number): void => void progress.push(sent);
        const saved = await page.client.with({ onProgress }, () => page.save("a", body));
        assert.deepEqual(saved, { name: "a", bytes: SIZE, sum: SIZE * 7 % 65_521 });
        assert.equal(progress.at(-1), SIZE);
        assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
        const grown = [most, await page.memory()];
        console.log(`${over}: ${SIZE >> 20} MiB up, client and app grew by ${grown} bytes`);
        assert.ok(Math.max(...grown) < MEMORY, `${grown} bytes more for ${SIZE} bytes`);
      },
    );

    await t.step(`over ${over} a file comes down in flat memory`, async () => {
      let got = 0;
      let most = 0;
      const before = memory();
      for await (const piece of page.load(SIZE >> 20)) {
        got += piece.length;
        most = Math.max(most, memory() - before);
      }
      assert.equal(got, SIZE - 1);
      const grown = [most, await page.memory()];
      console.log(`${over}: ${SIZE >> 20} MiB down, client and app grew by ${grown} bytes`);
      assert.ok(Math.max(...grown) < MEMORY, `${grown} bytes more for ${SIZE} bytes`);
    });
  }

  await t.step("a function that has seen enough leaves, and the source is told", async () => {
    const left = Promise.withResolvers<void>();
    const endless = (async function* (): AsyncGenerator<Uint8Array> {
      try {
        while (true) yield await Promise.resolve(new Uint8Array(1000));
      } finally {
        left.resolve();
      }
    })();
    assert.equal(await page.head(endless), 1000);
    await left.promise;
  });

  await t.step("two typed streams go up while one comes down", async () => {
    const rows = async function* (...names: string[]): Rows {
      for (const name of names) yield await Promise.resolve({ name, at: new Date(5) });
    };
    const joined: string[] = [];
    for await (const line of page.join(rows("a", "b"), rows("c"))) joined.push(line);
    assert.deepEqual(joined, ["a5c", "b5"]);
  });

  await t.step("elements of another type, and what is no stream, are refused", async () => {
    const wrong = (async function* () {
      yield await Promise.resolve({ name: 1 });
    })() as unknown as Rows;
    await assert.rejects(page.join(wrong, wrong).next(), { code: "VALIDATION" });
    const words = (async function* () {
      yield await Promise.resolve("text");
    })() as unknown as Bytes;
    await assert.rejects(page.save("a", words), { code: "VALIDATION" });
    await assert.rejects(page.save("a", 5 as unknown as Bytes), { code: "VALIDATION" });
  });

  await t.step("plain JSON says that it cannot carry a stream", async () => {
    const token = await (await fetch(`${running.url}/auth/anonymous`, { method: "POST" })).json();
    const response = await fetch(`${running.url}/rpc/save`, {
      method: "POST",
      headers: { authorization: `Bearer ${token.access}` },
      body: JSON.stringify(["a", null]),
    });
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code], [400, "BAD_REQUEST"]);
  });
  page.client.close();

  const chromium = findChromium();
  if (chromium === null) return console.warn("SKIPPED: a file from a page needs Chromium.");
  await t.step("in Chromium a file goes up", async () => {
    const browser = await launchChromium(chromium);
    try {
      const tab = await browser.newPage();
      await tab.goto(running.url);
      await tab.waitForFunction("globalThis.save");
      const saved = await tab.evaluate(`(() => {
        const part = new Uint8Array(1 << 20).fill(3);
        const file = new File(Array(12).fill(part), "b.bin");
        globalThis.progress = 0;
        return client.with({ onProgress: (sent) => progress = sent }, () => save(file.name, file));
      })()`);
      const bytes = 12 * MEGABYTE;
      assert.deepEqual(saved, { name: "b.bin", bytes, sum: bytes * 3 % 65_521 });
      assert.equal(await tab.evaluate("progress"), bytes);
    } finally {
      await browser.close();
    }
  });
});
