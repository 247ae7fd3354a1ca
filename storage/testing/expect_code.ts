/**
 * What a failing storage operation must end with, for `assert.rejects`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";

/** Asserts that an error is ours and has this code. */
export function code(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof KontractError, String(error));
    assert.equal(error.code, expected, error.message);
    return true;
  };
}
