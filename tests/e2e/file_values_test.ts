/**
 * Files as values of a built app: as an argument, deep inside one, in results and elements of streams, from
 * the generated client over both transports and as plain JSON.
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

const APP: Readonly<Record<string, string>> = {
  "kontract.json": `{ "name": "values" }\n`,
  "src/files.ts": `import { backend } from "@kontract/kontract";
export interface Named {
  readonly name: string;
  readonly body: Blob;
}
/** Has the name of what generated code calls. */
export const readFiles = backend({}, async (list: readonly Named[], more: Map<string, File>): Promise<string> => {
  const texts = await Promise.all([...list.map(({ body }) => body.text()), ...[...more.values()].map((file) => file.text())]);
  return texts.join("|");
});
export const shout = backend({}, async (file: File): Promise<File> =>
  new File([(await file.text()).toUpperCase()], file.name, { type: file.type }));
export const letters = backend({}, async function* (file: File): AsyncGenerator<Named> {
  for (const name of await file.text()) yield { name, body: new Blob([name + name]) };
});
export const sizes = backend({}, async (files: AsyncIterable<Named>): Promise<number[]> => {
  const all: number[] = [];
  for await (const { body } of files) all.push(body.size);
  return all;
});
`,
  "web/index.html": `<!doctype html><script type="module" src="/main.ts"></script>`,
  "web/main.ts": `import { client, letters, readFiles, shout, sizes } from "@/client";
export { client, letters, readFiles, shout, sizes };
`,
};

interface Named {
  readonly name: string;
  readonly body: Blob;
}

interface Page {
  readonly client: {
    configure(settings: { url?: string; webSocket?: null }): void;
    close(): void;
  };
  readFiles(list: readonly Named[], more: Map<string, File>): Promise<string>;
  shout(file: File): Promise<File>;
  letters(file: File): AsyncGenerator<Named>;
  sizes(files: AsyncIterable<Named>): Promise<number[]>;
}

Deno.test("files as values", { sanitizeOps: false, sanitizeResources: false }, async (t) => {
  await using app = await makeApp(APP, "values");
  const folder = await openAppFolder(app.root);
  await Deno.mkdir(folder.own, { recursive: true });
  await buildApp(folder, parseSecrets(await loadSecret(folder)), ["deno"]);
  await using running = await startTestApp({ folder: app.root });
  const page: Page = await import(`file://${join(app.root, "dist/public/main.js")}`);

  for (const over of ["WebSocket", "HTTP"]) {
    page.client.configure({ url: running.url, ...(over === "HTTP" ? { webSocket: null } : {}) });
    const file = new File(["abc"], "a.txt", { type: "text/plain" });

    await t.step(`over ${over}, as arguments and results`, async () => {
      const list = [{ name: "1", body: new Blob(["one"]) }, { name: "2", body: file }];
      assert.equal(await page.readFiles(list, new Map([["k", file]])), "one|abc|abc");
      const loud = await page.shout(file);
      assert.deepEqual([loud.name, loud.type, await loud.text()], ["a.txt", "text/plain", "ABC"]);
    });

    await t.step(`over ${over}, in elements of streams both ways`, async () => {
      const down: string[] = [];
      for await (const { name, body } of page.letters(file)) down.push(name + await body.text());
      assert.deepEqual(down, ["aaa", "bbb", "ccc"]);
      const up = (async function* (): AsyncGenerator<Named> {
        yield await Promise.resolve({ name: "x", body: new Blob(["12345"]) });
        yield { name: "y", body: file };
      })();
      assert.deepEqual(await page.sizes(up), [5, 3]);
    });

    await t.step(`over ${over}, one that no message holds is TOO_LARGE`, async () => {
      await assert.rejects(page.shout(new File([new Uint8Array(2 << 20)], "large")), {
        code: "TOO_LARGE",
      });
    });
  }

  await t.step("as plain JSON: name, type and base64", async () => {
    const { access } = await (await fetch(`${running.url}/auth/anonymous`, { method: "POST" }))
      .json();
    const response = await fetch(`${running.url}/rpc/shout`, {
      method: "POST",
      headers: { authorization: `Bearer ${access}` },
      body: JSON.stringify([{ name: "a.txt", type: "text/plain", bytes: btoa("abc") }]),
    });
    assert.deepEqual(await response.json(), {
      result: { name: "a.txt", type: "text/plain", bytes: btoa("ABC") },
    });
    for (const wrong of [{ name: "a", type: "" }, "abc", { name: 1, type: "", bytes: "" }]) {
      const refused = await fetch(`${running.url}/rpc/shout`, {
        method: "POST",
        headers: { authorization: `Bearer ${access}` },
        body: JSON.stringify([wrong]),
      });
      assert.equal((await refused.json()).error.code, "VALIDATION");
    }
  });
  page.client.close();
});
