/** What counts as a change of an app. */
import assert from "node:assert/strict";
import { isSource } from "./watch.ts";

Deno.test("everything that a build is made from is a source, and nothing that it writes", () => {
  const seen = (path: string): boolean => isSource("/app", `/app/${path}`);
  for (
    const path of [
      "src/a.ts",
      "deno.json",
      "src/coverage/report.ts",
      "web/dist/logo.svg",
      "web/.well-known/security.txt",
    ]
  ) assert.equal(seen(path), true, path);
  for (
    const path of [
      "dist/deno/server.js",
      "coverage/lcov.info",
      "kontract.lock.json",
      ".kontract/types.d.ts",
      "web/.env",
      "web/.git/HEAD",
      "node_modules/a/b.js",
      "web/node_modules/a/b.js",
      "src/a.ts~",
      "src/.a.ts.swp",
      "../other/a.ts",
    ]
  ) assert.equal(seen(path), false, path);
});
