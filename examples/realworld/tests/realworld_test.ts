/**
 * The app on Deno over plain HTTP: `kontract build examples/realworld` first. On Workers: `tests/e2e`.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { startTestApp } from "@kontract/kontract/testing";
import { conform } from "./conformance.ts";

Deno.test("the RealWorld contract holds", async (t) => {
  await using app = await startTestApp({
    folder: fileURLToPath(new URL("../", import.meta.url)),
  });
  await conform(app.url, t);
});
