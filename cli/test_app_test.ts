import assert from "node:assert/strict";
import { makeApp } from "../compiler/testing/app.ts";
import { startTestApp } from "./test_app.ts";

Deno.test("an app that was not built for Deno is told to be, before anything is started", async () => {
  await using app = await makeApp({});
  await assert.rejects(startTestApp({ folder: app.root }), {
    code: "CONFIG",
    message: /not built for Deno\. Run 'kontract build'/,
  });
});
