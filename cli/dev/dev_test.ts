/**
 * `kontract dev` as a person sees it: edit, broken, mended, a file added, renamed, deleted, on both hosts.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { until } from "../../tests/until.ts";
import { TemporaryApp } from "../testing/temporary_app.ts";
import { HOST_NAMES } from "./host.ts";

const options = {
  sanitizeOps: false,
  sanitizeResources: false,
  ignore: Deno.build.os !== "linux",
};

const ADDED = `import { backend } from "@kontract/kontract";
/** Came while the app was running. */
export const added = backend({ readOnly: true }, (): Promise<string> => Promise.resolve("new"));
`;

/** The module that the build in `dist` has the function in; undefined for none. */
async function functionModule(folder: string): Promise<string | undefined> {
  const text = await Deno.readTextFile(join(folder, "dist", "manifest.json")).catch(() => "{}");
  const { routes = [] } = JSON.parse(text) as {
    readonly routes?: readonly { readonly name: string; readonly module: string }[];
  };
  return routes.find(({ name }) => name === "added")?.module;
}

for (const host of HOST_NAMES) {
  Deno.test(
    `dev on ${host} follows edits, shows errors, keeps data, loses no call`,
    options,
    async () => {
      await using app = await TemporaryApp.create([]);
      const source = join(app.folder, "src", "notes.ts");
      const text = await Deno.readTextFile(source);
      const child = app.spawn("dev", { host, stderr: "piped" });
      const said = new Response(child.stderr).text();
      const { url } = await app.info(child);
      await app.call(url, "writeNote", ["n1", "first"]);
      assert.match(await (await fetch(url)).text(), /__kontract\/reload/);
      const pages = await fetch(`${url}/__kontract/reload`);
      const news = pages.body!.pipeThrough(new TextDecoderStream()).getReader();
      await news.read();

      let calling = true;
      const calls: Promise<void> = (async () => {
        while (calling) assert.equal((await fetch(`${url}/health`)).status, 200);
      })();
      await Deno.writeTextFile(
        source,
        text.replace("?.text ?? null", "?.text.toUpperCase() ?? null"),
      );
      await news.read();
      calling = false;
      await calls;
      assert.equal(await app.call(url, "readNote", ["n1"]), "FIRST");

      await Deno.writeTextFile(source, `${text}\nconst broken: number = "<text>";\n`);
      await news.read();
      const page = await fetch(url, { headers: { accept: "text/html" } });
      const html = await page.text();
      assert.equal(page.status, 500);
      assert.ok(html.includes("src/notes.ts:") && html.includes("&lt;text&gt;"), html);
      const call = await fetch(`${url}/rpc/readNote`, { method: "POST", body: "[]" });
      assert.equal((await call.json()).error.code, "BUILD_FAILED");

      await Deno.writeTextFile(source, text);
      await news.read();
      assert.equal(await app.call(url, "readNote", ["n1"]), "first");

      const added = join(app.folder, "src", "added.ts");
      const renamed = join(app.folder, "src", "renamed.ts");
      const answer = async (): Promise<unknown> => {
        return await app.call(url, "added", []).catch((error: Error) => error.message);
      };
      await Deno.writeTextFile(added, ADDED);
      await until(async () => await answer() === "new");
      await Deno.rename(added, renamed);
      await until(async () => await functionModule(app.folder) === "src/renamed.ts");
      await until(async () => await answer() === "new");
      await Deno.remove(renamed);
      await until(async () => /NOT_FOUND/.test(String(await answer())));
      assert.equal(await app.call(url, "readNote", ["n1"]), "first");
      await news.cancel();
      child.kill("SIGTERM");
      assert.equal((await child.status).code, 0);
      assert.match(
        await said,
        /error KT1004[^]*1 error\s+Until this is right, pages and calls are answered with it\./,
      );
      await app.quiet();
    },
  );
}

Deno.test("dev warns of what is over the budget, and serves it", options, async () => {
  await using app = await TemporaryApp.create([]);
  const file = join(app.folder, "kontract.json");
  const config = JSON.parse(await Deno.readTextFile(file).catch(() => "{}")) as object;
  await Deno.writeTextFile(file, JSON.stringify({ ...config, budget: { route: 10 } }));
  const child = app.spawn("dev", { host: "deno", stderr: "piped" });
  const { url } = await app.info(child);
  await app.call(url, "writeNote", ["n1", "first"]);
  let said = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (said.includes("warning KT7002")) break;
  }
  assert.match(
    said,
    /warning KT7002 The first call of each of '\w+'.* the budget in kontract\.json is 10 bytes/,
  );
  assert.equal(await app.call(url, "readNote", ["n1"]), "first");
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0);
  await app.quiet();
});
