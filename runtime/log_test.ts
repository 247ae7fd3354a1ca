import assert from "node:assert/strict";
import { KontractError } from "../_internal/errors.ts";
import { createLog, redact, redactText } from "./log.ts";

const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.aUbLdj-S_I2-yoS0NiJLztZNELTB6Mft";
const KEY = "96AiBtA4zGoTbVXqKdoocFULcyGm7IrmXIocIt-j8k55Qe";

Deno.test("secrets are cut out of any text", () => {
  const text = redactText(
    `failed for ${JWT} with ${KEY} at postgres://gateway:hunter2@db:5432/x, Authorization: Bearer abc.def`,
  );
  for (const secret of [JWT, KEY, "hunter2", "abc.def"]) assert.ok(!text.includes(secret));
  assert.ok(text.includes("failed for") && text.includes("postgres://gateway:"));
});

Deno.test("ordinary words, ids and paths stay readable", () => {
  for (
    const text of [
      "call_failed",
      "e1a3c5d7-0000-4000-8000-1234567890ab",
      "There is no table 'notes' in this build.",
      "at runtime/call_runner.ts:73:40",
    ]
  ) assert.equal(redactText(text), text);
});

Deno.test("fields that hold secrets by their name never print", () => {
  const fields = {
    accessToken: "x",
    refresh: "x",
    password: "x",
    api_key: "x",
    databaseUrl: "x",
    payload: { a: "x" },
    nested: { secret: "x", fine: 1 },
    owner: "alice",
  };
  const safe = redact(fields) as Record<string, unknown>;
  for (const name of ["accessToken", "refresh", "password", "api_key", "databaseUrl", "payload"]) {
    assert.equal(safe[name], "[redacted]", name);
  }
  assert.deepEqual(safe.nested, { secret: "[redacted]", fine: 1 });
  assert.equal(safe.owner, "alice");
});

Deno.test("an error prints with its code, its cause and without secrets", () => {
  const cause = new Error(`connect postgres://u:pw@h/d`);
  const lines: string[] = [];
  const log = createLog({ now: () => 0 }, (_level, line) => lines.push(line));
  log.error("broken", { error: new KontractError("INTERNAL", undefined, { cause }) });
  const line = JSON.parse(lines[0] ?? "");
  assert.equal(line.at, "1970-01-01T00:00:00.000Z");
  assert.equal(line.error.code, "INTERNAL");
  assert.equal(line.error.cause.message, "connect postgres://u:[redacted]@h/d");
});

Deno.test("whatever is logged becomes one bounded line", () => {
  const cyclic: Record<string, unknown> = { big: 1n, bytes: new Uint8Array(9), f: () => 1 };
  cyclic.self = cyclic;
  const line = JSON.stringify(redact(cyclic));
  assert.ok(line.includes("[9 bytes]") && line.includes("[deep]") && !line.includes("\n"));
  assert.ok(JSON.stringify(redact({ text: "a ".repeat(1e6) })).length < 20_000);
});
