import assert from "node:assert/strict";
import { join } from "node:path";
import { serveStatic } from "./static_files.ts";

async function withFolder(body: (root: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const root = join(folder, "public");
  try {
    await Deno.mkdir(join(root, "assets"), { recursive: true });
    await Deno.writeTextFile(join(root, "index.html"), "<h1>home</h1>");
    await Deno.writeTextFile(join(root, "assets", "app.js"), "run()");
    await Deno.writeTextFile(join(root, ".env"), "SECRET=1");
    await Deno.writeTextFile(join(folder, "outside.txt"), "outside");
    await Deno.symlink(join(folder, "outside.txt"), join(root, "link.txt"));
    await body(root);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function get(root: string, path: string, init: RequestInit = {}): Promise<Response | null> {
  return await serveStatic(root, new Request(`http://app.test${path}`, init));
}

Deno.test("files are served with their type, and pages without extension are the app's", async () => {
  await withFolder(async (root) => {
    const script = await get(root, "/assets/app.js");
    assert.equal(script?.headers.get("content-type"), "text/javascript; charset=utf-8");
    assert.equal(await script?.text(), "run()");
    for (const path of ["/", "/rooms/7"]) {
      assert.equal(await (await get(root, path))?.text(), "<h1>home</h1>", path);
    }
    assert.equal(await get(root, "/assets/none.js"), null);
    assert.equal(await get(root, "/", { method: "POST" }), null);
  });
});

Deno.test("an unchanged file is not sent again, and HEAD sends none", async () => {
  await withFolder(async (root) => {
    const first = await get(root, "/assets/app.js");
    await first?.body?.cancel();
    const etag = first?.headers.get("etag") ?? "";
    const again = await get(root, "/assets/app.js", { headers: { "if-none-match": etag } });
    assert.equal(again?.status, 304);
    const head = await get(root, "/assets/app.js", { method: "HEAD" });
    assert.deepEqual([head?.headers.get("content-length"), head?.body], ["5", null]);
  });
});

Deno.test("nothing outside the folder and nothing hidden is ever read", async () => {
  await withFolder(async (root) => {
    for (
      const path of [
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/assets/..%2f..%2foutside.txt",
        "/..%5coutside.txt",
        "/link.txt",
        "/.env",
        "/assets/%00.txt",
        "/%ff.txt",
        "//etc/passwd.txt",
      ]
    ) {
      const response = await get(root, path);
      assert.equal(response, null, path);
    }
    assert.equal(await get(join(root, "none"), "/"), null);
  });
});
