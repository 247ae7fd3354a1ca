/**
 * `start` on workerd where no Unix socket can be: its name would be too long. Everything then goes through the
 * port, by miniflare's own Worker, which believes headers that a visitor must not be able to say.
 *
 * @module
 */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { TemporaryApp } from "../../cli/testing/temporary_app.ts";

interface Page {
  readonly client: {
    configure(settings: { url?: string; webSocket?: null }): void;
    subscribe(source: string): {
      [Symbol.asyncIterator](): AsyncIterator<{ type: string; data: unknown }>;
      close(): void;
    };
    close(): void;
  };
  writeNote(id: string, text: string): Promise<string>;
  readNote(id: string): Promise<string | null>;
}

/** Status of an answer to headers as they stand: `fetch` would not say them. */
function statusOf(url: string, method: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest(url, { method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve(response.statusCode ?? 0);
    });
    asked.on("error", reject);
    asked.end();
  });
}

Deno.test(
  "without a Unix socket an app on workerd serves calls, streams and WebSockets, and believes no visitor's headers",
  { sanitizeOps: false, sanitizeResources: false, ignore: Deno.build.os === "windows" },
  async () => {
    await using app = await TemporaryApp.create([]);
    const temporary = join(app.folder, "t".repeat(120));
    await Deno.mkdir(temporary);
    const child = app.spawn("start", { host: "workers", env: { TMPDIR: temporary } });
    const { url } = await app.info(child);
    const { client, writeNote, readNote }: Page = await import(
      `file://${app.folder}/dist/client/client.js`
    );
    for (const webSocket of [undefined, null]) {
      client.configure({ url, ...(webSocket === null ? { webSocket } : {}) });
      const subscription = client.subscribe("notes");
      const events = subscription[Symbol.asyncIterator]();
      assert.equal((await events.next()).value.type, "ready");
      const id = webSocket === null ? "http" : "socket";
      await writeNote(id, "text");
      assert.deepEqual((await events.next()).value.data, { id, text: "text" });
      assert.equal(await readNote(id), "text");
      subscription.close();
    }
    client.close();

    const { host, origin } = new URL(url);
    const evil = "http://evil.test";
    const forged = {
      "mf-original-url": `${evil}/raystream`,
      "mf-original-hostname": "evil.test",
      "x-forwarded-host": "evil.test",
    };
    const upgrade = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    assert.equal(await statusOf(`${url}/raystream`, "GET", { host, ...upgrade, origin }), 101);
    for (const more of [{}, forged]) {
      const socket = { host, ...upgrade, origin: evil, ...more };
      assert.ok(await statusOf(`${url}/raystream`, "GET", socket) >= 400);
      const call = { host, origin: evil, ...more };
      assert.equal(await statusOf(`${url}/auth/anonymous`, "POST", call), 403);
    }
    assert.equal(await statusOf(`${url}/auth/anonymous`, "POST", { host, origin }), 200);
    // It was the port: no socket of the app's lies in the folder for temporary files.
    const names = await Array.fromAsync(Deno.readDir(temporary), ({ name }) => name);
    assert.deepEqual(names.filter((name) => name.startsWith("kontract_")), []);

    child.kill("SIGTERM");
    await child.status;
    await app.quiet();
  },
);
