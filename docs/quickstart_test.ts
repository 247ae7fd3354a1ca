/**
 * The app that the quickstart makes by hand: its files as the page has them, beside a checkout, with no registry
 * in reach.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { quickstartBlocks, quickstartFiles } from "../tests/quickstart.ts";

const CHECKOUT = fileURLToPath(new URL("../", import.meta.url)).replace(/[\\/]$/, "");

Deno.test("the app that the quickstart makes by hand is found and checks, beside a checkout", async () => {
  const parent = await Deno.makeTempDir({ prefix: "kontract_quickstart_" });
  try {
    await Deno.symlink(CHECKOUT, join(parent, "kontract"), { type: "dir" });
    const app = join(parent, "my-app");
    const files = await quickstartFiles();
    assert.equal(files.size, 5);
    for (const [path, text] of files) {
      await Deno.mkdir(dirname(join(app, path)), { recursive: true });
      await Deno.writeTextFile(join(app, path), text);
    }
    const texts = (await quickstartBlocks()).map(({ text }) => text);
    const [, command] = /^deno (run .*) dev \.$/m.exec(texts.join(""))!;
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
