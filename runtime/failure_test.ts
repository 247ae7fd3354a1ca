import assert from "node:assert/strict";
import { PermissionError, ValidationError } from "../_internal/error_classes.ts";
import { reportFailure } from "./failure.ts";
import { createLog } from "./log.ts";

function logged(error: unknown): Record<string, unknown> {
  const lines: string[] = [];
  const log = createLog({ now: () => 0 }, (_level, line) => lines.push(line));
  reportFailure(log, error, "r1", { route: "addNote" });
  return JSON.parse(lines[0] ?? "");
}

Deno.test("a call that permission bits refuse says in the log what was not allowed", () => {
  const line = logged(new PermissionError("A read-only function cannot write."));
  assert.equal(line.event, "call_refused");
  assert.equal(line.reason, "A read-only function cannot write.");
});

Deno.test("a refusal that may quote what the caller sent does not say so in the log", () => {
  const line = logged(
    new ValidationError("Row 'a-key-of-theirs' does not have the declared type."),
  );
  assert.equal(line.event, "call_refused");
  assert.doesNotMatch(JSON.stringify(line), /theirs/);
});
