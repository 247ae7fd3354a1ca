/** What a host makes of an app's `defineServer`. */
import assert from "node:assert/strict";
import { createServer } from "./deno/mod.ts";
import { defineServer, type ServerFactory, serverOptions } from "./server_options.ts";
import { NOTES_APP } from "./testing/notes_app.ts";

const none = (): undefined => undefined;
const SETTINGS: Readonly<Record<string, string>> = {
  DATABASE_URL: "postgres://gateway:pw@127.0.0.1:1/none",
  KONTRACT_SECRET: new Uint8Array(32).fill(7).toBase64({ alphabet: "base64url" }),
  KONTRACT_ORIGINS: "https://b.example",
  KEY: "k",
};

Deno.test("options are an object, or are made from the deployment's secrets", () => {
  assert.deepEqual(serverOptions(undefined, none), {});
  assert.deepEqual(serverOptions(defineServer({ json: false }), none), { json: false });
  const made = defineServer(({ secret }) => ({ auth: { appName: secret("KEY") } }));
  assert.deepEqual(serverOptions(made, (name) => SETTINGS[name]), { auth: { appName: "k" } });
});

Deno.test("only public options pass: what belongs to the host stays the host's", () => {
  const sly = { json: true, shareOpening: true, limits: {} };
  assert.deepEqual(serverOptions(defineServer(sly), none), { json: true });
});

Deno.test("options that cannot be are refused when the server starts", () => {
  const refused = (factory: unknown, message: RegExp): void => {
    const definition = defineServer(factory as ServerFactory);
    assert.throws(() => serverOptions(definition, none), { code: "CONFIG", message });
  };
  refused(({ secret }: { secret(name: string): string }) => ({ appName: secret("KEY") }), /KEY/);
  refused(() => undefined, /must return its options/);
  refused(() => Promise.resolve({}), /must return its options/);
  refused({ origins: ["https://a.example/"] }, /holds 'https:\/\/a\.example\/'/);
  refused({ maxBody: 0 }, /positive integer: current value is 0/);
  for (const value of [null, "x", 7, "", NaN, Symbol("x"), "y".repeat(1e6), () => 1, [7], [null]]) {
    if (!Number.isSafeInteger(value)) {
      refused({ maxBody: value }, /^'maxBody' of defineServer must/);
    }
    refused({ origins: value }, /'origins' of defineServer|holds '/);
    if (!Array.isArray(value)) refused({ auth: value }, /^'auth' of defineServer must/);
    if (typeof value !== "function") {
      refused({ tenantOf: value }, /^'tenantOf' of defineServer must/);
    }
    refused({ json: value }, /^'json' of defineServer must/);
  }
  refused("x", /must return its options/);
});

Deno.test("Kontract's own secrets are not given to the options", () => {
  for (const name of ["KONTRACT_SECRET", "DATABASE_URL"]) {
    const server = defineServer(({ secret }) => ({ auth: { appName: secret(name) } }));
    assert.throws(
      () => createServer(NOTES_APP, { env: (one) => SETTINGS[one], public: null, server }),
      { code: "CONFIG" },
    );
  }
});

Deno.test("origins in code and in the environment both count", async () => {
  const server = createServer(NOTES_APP, {
    env: (name) => SETTINGS[name],
    public: null,
    server: defineServer({ origins: ["https://a.example"] }),
  });
  try {
    const status = async (origin: string): Promise<number> => {
      const request = new Request("http://gateway.example/health", { headers: { origin } });
      const response = await server.fetch(request);
      await response.body?.cancel();
      return response.status;
    };
    assert.equal(await status("https://a.example"), 200);
    assert.equal(await status("https://b.example"), 200);
    assert.equal(await status("https://c.example"), 403);
  } finally {
    await server.close();
  }
});
