import assert from "node:assert/strict";
import { appPaths, besideAddresses, isGatewayPath, workerFirst } from "./app_paths.ts";

/** What a browser accepts that navigates. */
const PAGE = "text/html,application/xhtml+xml,*/*;q=0.8";

Deno.test("the gateway's own paths and the addresses of functions are the app's", () => {
  const isApp = appPaths(["/api/posts", "/api/posts/{slug}", "/feed.xml"]);
  for (
    const path of ["/health", "/raystream", "/raystream/keys", "/events", "/rpc/a", "/auth/me"]
  ) {
    assert.ok(isGatewayPath(path) && isApp(path, PAGE), path);
  }
  for (const path of ["/api/posts", "/api/posts/first", "/feed.xml"]) {
    assert.ok(isApp(path, PAGE), path);
  }
  for (const path of ["/", "/rpc", "/healthy", "/api", "/api/posts/", "/api/posts/a/b", "/feed"]) {
    assert.ok(!isApp(path, PAGE), path);
  }
});

Deno.test("beside the app's addresses a program gets no page, a browser and a file's name do", () => {
  const addresses = ["/api/posts", "/api/{id}", "/feed.xml"];
  const isApp = appPaths(addresses);
  const beside = besideAddresses(addresses);
  for (const path of ["/api/posts/a/b", "/api/", "/api//posts", "/api/posts/"]) {
    assert.ok(beside(path), path);
    for (const accept of [null, "*/*", "application/json"]) assert.ok(isApp(path, accept), path);
    assert.ok(!isApp(path, PAGE), path);
  }
  assert.ok(!isApp("/api/posts/logo.png", "*/*"), "what looks like a file is looked for");
  for (const path of ["/", "/api", "/apis/x", "/feed.xml/x", "/posts/x"]) {
    assert.ok(!beside(path) && !isApp(path, "*/*"), path);
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
