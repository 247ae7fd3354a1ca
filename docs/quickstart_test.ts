/**
 * The app that the quickstart makes by hand: its files as the page has them, beside a checkout, with no registry
 * in reach.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PAGE = Deno.readTextFileSync(new URL("guide/quickstart.md", import.meta.url));
const CHECKOUT = fileURLToPath(new URL("../", import.meta.url)).replace(/[\\/]$/, "");

/** What stands between the first fence of this kind and its end. */
function block(kind: string): string {
  const text = new RegExp(`^\`\`\`${kind}\\n([^]*?)^\`\`\`$`, "m").exec(PAGE)?.[1];
  assert.ok(text !== undefined, `no block '${kind}'`);
  return text;
}

Deno.test("the app that the quickstart makes by hand is found and checks, beside a checkout", async () => {
  const parent = await Deno.makeTempDir({ prefix: "kontract_quickstart_" });
  try {
    await Deno.symlink(CHECKOUT, join(parent, "kontract"), { type: "dir" });
    const app = join(parent, "my-app");
    const files = {
      "deno.json": block("json"),
      "web/index.html": block("html"),
      ...Object.fromEntries(
        ["src/schema.ts", "src/notes.ts", "web/main.ts"]
          .map((path) => [path, block(`ts \\[${path}\\]`)]),
      ),
    };
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(dirname(join(app, path)), { recursive: true });
      await Deno.writeTextFile(join(app, path), text);
    }
    const [, command] = /^deno (run .*) dev \.$/m.exec(PAGE)!;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...command!.split(" "), "check", "."],
      cwd: app,
      env: { NO_COLOR: "1", JSR_URL: "http://127.0.0.1:9" },
    }).output();
    const said = new TextDecoder().decode(stdout);
    assert.match(said, /^my-app: no errors$/m, said + new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});
