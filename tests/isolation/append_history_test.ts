import assert from "node:assert/strict";
import { appendAnomalies, type AppendCall, type Operation } from "./append_history.ts";

const read = (key: string, ...values: number[]): Operation => ({ kind: "read", key, values });
const append = (key: string, value: number): Operation => ({ kind: "append", key, value });

/** Calls that all overlap, unless told otherwise. */
function calls(...bodies: (readonly Operation[])[]): AppendCall[] {
  return bodies.map((operations) => ({ operations, began: 0, ended: 100, applied: true }));
}

function check(history: readonly AppendCall[], final: Record<string, number[]>): string {
  return appendAnomalies(history, new Map(Object.entries(final))).join("\n");
}

Deno.test("checker: a serial history is in order", () => {
  const history = calls(
    [read("x"), append("x", 1), read("x", 1)],
    [read("x", 1), append("x", 2), append("y", 3)],
    [read("y", 3), read("x", 1, 2)],
  );
  assert.equal(check(history, { x: [1, 2], y: [3] }), "");
});

Deno.test("checker: it finds each anomaly", () => {
  const found = (history: readonly AppendCall[], final: Record<string, number[]>): string =>
    check(history, final);
  const failed = { operations: [append("x", 9)], began: 0, ended: 1, applied: false };
  assert.match(found([...calls([read("x", 9)]), failed], { x: [9] }), /G1a/);
  assert.match(
    found(calls([append("x", 1), append("x", 2)], [read("x", 1)]), { x: [1, 2] }),
    /G1b/,
  );
  const circle = calls([append("x", 1), read("y", 2)], [append("y", 2), read("x", 1)]);
  assert.match(found(circle, { x: [1], y: [2] }), /cycle: .*wr.*wr/);
  const dirty = calls([append("x", 1), append("y", 3)], [append("x", 2), append("y", 4)]);
  assert.match(found(dirty, { x: [1, 2], y: [4, 3] }), /cycle: .*ww.*ww/);
  assert.match(found(calls([append("x", 1)], [append("x", 2)]), { x: [2] }), /lost: 1/);
  assert.match(found(calls([append("x", 1)]), { x: [1, 1] }), /doubled: 1/);
  assert.match(found(calls([append("x", 1)], [read("x", 5)]), { x: [1] }), /no prefix/);
  assert.match(found(calls([append("x", 1), read("x")]), { x: [1] }), /own writes/);
  const skewed = calls([append("x", 1), append("y", 2)], [read("x", 1), read("y")]);
  assert.match(found(skewed, { x: [1], y: [2] }), /cycle: .*(wr.*rw|rw.*wr)/);
  const writeSkew = calls([read("x"), append("y", 2)], [read("y"), append("x", 1)]);
  assert.match(found(writeSkew, { x: [1], y: [2] }), /cycle: .*rw.*rw/);
});

Deno.test("checker: a read that goes back in time is found", () => {
  const history: AppendCall[] = [
    { operations: [append("x", 1)], began: 0, ended: 1, applied: true },
    { operations: [read("x")], began: 2, ended: 3, applied: true },
  ];
  assert.match(check(history, { x: [1] }), /cycle: .*rt/);
  assert.equal(check([history[0]!, { ...history[1]!, began: 0.5 }], { x: [1] }), "");
});
