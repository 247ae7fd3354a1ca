import assert from "node:assert/strict";
import { jsonDecode } from "../_internal/json_codec.ts";
import type { Shape } from "../_internal/shape.ts";
import { namedInList } from "./argument_names.ts";

const text: Shape = { kind: "string" };

function said(names: readonly string[], given: readonly unknown[]): string {
  const shape: Shape = {
    kind: "tuple",
    elements: names.map(() => ({ shape: text, optional: false })),
  };
  try {
    namedInList(names, () => jsonDecode(shape, {}, given));
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

Deno.test("wrong arguments are told by name, and too many by those that there may be", () => {
  assert.equal(said(["team", "title"], ["a", 1]), "'title' must be a string.");
  assert.equal(said(["team", "title"], ["a"]), "'title' must be present.");
  assert.equal(
    said(["team", "title"], ["a", "b", "c"]),
    "Too many arguments: there may be at most 2 ('team', 'title').",
  );
  assert.equal(said([], ["a"]), "Too many arguments: there may be none.");
});
