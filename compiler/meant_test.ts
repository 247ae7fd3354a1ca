/** What is suggested for a name that does not exist: something near, and nothing where that is a guess. */
import assert from "node:assert/strict";
import { meant, nearest } from "./meant.ts";

Deno.test("the name that was meant differs by case, a letter, a part or two letters", () => {
  const names = ["name", "readOnly", "rateLimit", "timeout", "retry", "users"];
  assert.equal(meant("readonly", names), "readOnly");
  assert.equal(meant("user", names), "users");
  assert.equal(meant("retyr", names), "retry");
  assert.equal(meant("rate", names), "rateLimit");
  assert.equal(meant("tmieuot", names), "timeout");
});

Deno.test("nothing is meant by a name that looks like none or like several", () => {
  assert.equal(meant("cat", ["name", "egg"]), null);
  assert.equal(meant("", ["a"]), "a");
  assert.equal(meant("group", ["ugroup", "egroup"]), null);
  assert.deepEqual(nearest("group", ["ugroup", "egroup", "name"]), ["ugroup", "egroup"]);
});
