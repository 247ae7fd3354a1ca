import assert from "node:assert/strict";
import { wranglerConfig, wranglerText } from "./wrangler_config.ts";

const input = {
  app: "guestbook",
  main: "./worker/worker.js",
  assets: true,
  addresses: ["/api/{id}"],
  own: {},
};

Deno.test("every Durable Object is bound, and created with SQLite", () => {
  const config = wranglerConfig(input);
  assert.deepEqual(config.durable_objects, {
    bindings: [
      { name: "SESSION", class_name: "SessionDO" },
      { name: "KVC", class_name: "KvcDO" },
      { name: "CHANGE_HUB", class_name: "ChangeHubDO" },
      { name: "DB_POOL", class_name: "DbPoolDO" },
    ],
  });
  assert.deepEqual(config.migrations, [{
    tag: "kontract-1",
    new_sqlite_classes: ["SessionDO", "KvcDO", "ChangeHubDO", "DbPoolDO"],
  }]);
  assert.deepEqual(config.compatibility_flags, ["nodejs_compat", "enable_request_signal"]);
  assert.deepEqual(config.assets, {
    directory: "./public",
    binding: "ASSETS",
    not_found_handling: "single-page-application",
    run_worker_first: [
      "/health",
      "/raystream",
      "/raystream/keys",
      "/events",
      "/rpc/*",
      "/auth/*",
      "/api/*",
    ],
  });
});

Deno.test("an app's own settings are kept, and cannot take Kontract's away", () => {
  const own = {
    name: "other",
    main: "evil.js",
    no_bundle: false,
    routes: ["example.com/*"],
    compatibility_flags: ["nodejs_compat", "global_fetch_strictly_public"],
    durable_objects: { bindings: [{ name: "MINE", class_name: "Mine" }] },
    migrations: [{ tag: "mine-1", new_sqlite_classes: ["Mine"] }],
  };
  const config = wranglerConfig({ ...input, assets: false, own });
  assert.equal(config.name, "other");
  assert.equal(config.main, "./worker/worker.js");
  assert.equal(config.no_bundle, true);
  assert.equal(config.assets, undefined);
  assert.deepEqual(config.routes, ["example.com/*"]);
  assert.deepEqual(config.compatibility_flags, [
    "nodejs_compat",
    "enable_request_signal",
    "global_fetch_strictly_public",
  ]);
  assert.equal((config.durable_objects as { bindings: unknown[] }).bindings.length, 5);
  assert.equal((config.migrations as unknown[]).length, 2);
});

Deno.test("the Worker's secrets are required by name; a bound Hyperdrive knows the database", () => {
  const required = (own: Record<string, unknown>): unknown =>
    wranglerConfig({ ...input, own }).secrets;
  assert.deepEqual(required({}), { required: ["KONTRACT_SECRET", "DATABASE_URL"] });
  assert.deepEqual(
    required({ hyperdrive: [{ binding: "HYPERDRIVE", id: "1" }], secrets: { required: ["MAIL"] } }),
    { required: ["KONTRACT_SECRET", "MAIL"] },
  );
  assert.ok(!/postgres:/.test(wranglerText(input)));
});
