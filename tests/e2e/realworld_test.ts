/**
 * The RealWorld example in workerd, as `kontract start` serves it. On Deno: the example's own test.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TemporaryApp } from "../../cli/testing/temporary_app.ts";
import { conform } from "../../examples/realworld/tests/conformance.ts";

const EXAMPLE = fileURLToPath(new URL("../../examples/realworld/", import.meta.url));

Deno.test({
  name: "the RealWorld contract holds in workerd",
  ignore: Deno.build.os === "windows",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    await using app = await TemporaryApp.create([]);
    await Deno.remove(join(app.folder, "src/notes.ts"));
    for (const folder of ["src", "web"]) {
      for await (const { name } of Deno.readDir(join(EXAMPLE, folder))) {
        await Deno.copyFile(join(EXAMPLE, folder, name), join(app.folder, folder, name));
      }
    }
    const child = app.spawn("start", { host: "workers" });
    const { url } = await app.info(child);
    await conform(url, t);
    child.kill("SIGTERM");
    await child.status;
    await app.quiet();
  },
});
