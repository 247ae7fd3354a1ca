/** What a server is told by its environment, and what of it cannot be. */
import assert from "node:assert/strict";
import { NOTES_APP } from "../testing/notes_app.ts";
import { createServer } from "./mod.ts";

const FINE: Readonly<Record<string, string>> = {
  DATABASE_URL: "postgres://gateway:pw@127.0.0.1:1/none",
  KONTRACT_SECRET: new Uint8Array(32).fill(7).toBase64({ alphabet: "base64url" }),
};

function serverWith(settings: Readonly<Record<string, string>>) {
  const env = { ...FINE, ...settings };
  return createServer(NOTES_APP, { env: (name) => env[name], public: null, logSink: () => {} });
}

Deno.test("a setting that is missing or wrong ends the start, by its name and without its value", () => {
  const cases: Readonly<Record<string, readonly string[]>> = {
    DATABASE_URL: ["", "mysql://me:hunter2@host/db", "postgres://[hunter2", "hunter2"],
    KONTRACT_SECRET: ["", "hunter2", "hunter2hunter2hunter2hunter2hunter2hunter2"],
    KONTRACT_PROXY_HOPS: ["-1", "10", "1.5", "one", " 1"],
    KONTRACT_ORIGINS: ["*", "https://a.example/", "a.example"],
    KONTRACT_STATE_DIR: ["/dev/null/state"],
  };
  for (const [name, values] of Object.entries(cases)) {
    for (const value of values) {
      assert.throws(
        () => serverWith({ [name]: value }),
        (error: Error & { code?: string }) =>
          error.code === "CONFIG" && error.message.includes(name) &&
          !error.message.includes("hunter2"),
        `${name}=${value}`,
      );
    }
  }
});

Deno.test("settings that are right, and those left empty, make a server", async () => {
  for (const hops of ["", "0", "9"]) {
    await serverWith({ KONTRACT_STATE_DIR: "", KONTRACT_PROXY_HOPS: hops }).close();
  }
});
