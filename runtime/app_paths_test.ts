import assert from "node:assert/strict";
import { appPaths, isGatewayPath, workerFirst } from "./app_paths.ts";

Deno.test("the gateway's own paths and the addresses of functions are the app's", () => {
  const isApp = appPaths(["/api/posts", "/api/posts/{slug}", "/feed.xml"]);
  for (
    const path of ["/health", "/raystream", "/raystream/keys", "/events", "/rpc/a", "/auth/me"]
  ) {
    assert.ok(isGatewayPath(path) && isApp(path), path);
  }
  for (const path of ["/api/posts", "/api/posts/first", "/feed.xml"]) assert.ok(isApp(path), path);
  for (const path of ["/", "/rpc", "/healthy", "/api", "/api/posts/", "/api/posts/a/b", "/feed"]) {
    assert.ok(!isApp(path), path);
  }
});

Deno.test("Cloudflare asks the Worker first for these, and for all where it cannot tell", () => {
  const own = ["/health", "/raystream", "/raystream/keys", "/events", "/rpc/*", "/auth/*"];
  assert.deepEqual(workerFirst([]), own);
  assert.deepEqual(workerFirst(["/api/posts", "/api/{id}", "/feed.xml"]), [
    ...own,
    "/api/*",
    "/feed.xml",
  ]);
  assert.equal(workerFirst(["/{slug}"]), true);
  assert.equal(workerFirst(Array.from({ length: 100 }, (_, i) => `/a${i}`)), true);
});
