import assert from "node:assert/strict";
import { ERROR_CODES, type ErrorCode, KontractError } from "./errors.ts";
import { ConflictError, errorFrom, UnauthorizedError } from "./error_classes.ts";

Deno.test("every code of the table survives the way into a class with code, message and data", () => {
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    const error = errorFrom(code, "why", { data: { at: 1 } });
    assert.ok(error instanceof KontractError, code);
    assert.equal(error.code, code);
    assert.equal(error.message, "why");
    assert.deepEqual(error.data, { at: 1 });
  }
});

Deno.test("a narrower code keeps its family's class", () => {
  assert.ok(errorFrom("SESSION_EXPIRED") instanceof UnauthorizedError);
  assert.ok(errorFrom("UNIQUE_VIOLATION") instanceof ConflictError);
  assert.equal(errorFrom("UNIQUE_VIOLATION").name, "ConflictError");
});

Deno.test("a code that this build does not know arrives as INTERNAL", () => {
  assert.equal(errorFrom("FROM_THE_FUTURE", "new").code, "INTERNAL");
});
