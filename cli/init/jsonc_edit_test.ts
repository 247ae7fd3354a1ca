/**
 * Adding members leaves the rest of the text alone, in any layout.
 *
 * @module
 */
import assert from "node:assert/strict";
import { parseJsonc } from "../jsonc.ts";
import { addElement, addMember } from "./jsonc_edit.ts";

/** Numbers from 0 to below 1, the same in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** An object as text with comments, odd spaces and commas; `depth` limits nesting. */
function randomObject(random: () => number, depth: number): string {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const blank = (): string =>
    pick(["", " ", "\n", "\t", ' // a "comment", {\n', "/* } , */", "\r\n  "]);
  const value = (): string => {
    if (depth > 0 && random() < 0.4) return randomObject(random, depth - 1);
    return pick(['"a // b"', '"\\""', "1.5e-3", "true", "null", '["x", {"y": [] }]', "[]", '"}"']);
  };
  const members = Array.from(
    { length: Math.floor(random() * 4) },
    (_, i) => `${blank()}${JSON.stringify(`k${i}`)}${blank()}:${blank()}${value()}${blank()}`,
  );
  const comma = members.length > 0 && random() < 0.3 ? "," : "";
  return `{${members.join(",")}${comma}${blank()}}`;
}

Deno.test("a member is added to any object, at the end, and nothing else changes", () => {
  const random = numbers(7);
  for (let i = 0; i < 2_000; i++) {
    const text = `${i % 3 === 0 ? "// head\n" : ""}${randomObject(random, 3)}\n`;
    const before = parseJsonc(text, "it");
    const value = { list: ["a", "b"], text: "//" };
    const once = addMember(text, [], "new", value);
    assert.deepEqual(parseJsonc(once, "it"), { ...before, new: value });
    const twice = addMember(once, ["new"], "more", true);
    assert.deepEqual(parseJsonc(twice, "it"), { ...before, new: { ...value, more: true } });
    const last = addElement(twice, ["new", "list"], "c");
    assert.deepEqual(parseJsonc(last, "it").new, { ...value, list: ["a", "b", "c"], more: true });
    // Without the new member and its comma it is the old text, but for white space.
    const bare = (all: string): string => all.replaceAll(/\s/g, "");
    const rest = bare(once).replace('"new":{"list":["a","b"],"text":"//"}', "");
    const old = bare(text);
    const at = [...rest].findIndex((character, index) => character !== old[index]);
    assert.equal(rest[at] === "," ? rest.slice(0, at) + rest.slice(at + 1) : rest, old);
  }
});
