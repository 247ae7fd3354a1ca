import assert from "node:assert/strict";
import type { MigrationProblem } from "./plan.ts";
import { proposeMigration } from "./proposal.ts";

type Transform = (row: Record<string, unknown>) => unknown;

/** What a proposal does to a row, up and down. */
async function proposed(problem: Pick<MigrationProblem, "kind" | "field">) {
  const text = proposeMigration({
    problems: [{ table: "entries", file: "src/schema.ts", line: 1, message: "Why.", ...problem }],
    undeclared: [],
    tables: [],
    types: {},
    specifier: "@kontract/kontract",
  });
  const source = text.replace(/^import type .*$/m, "").replace(": Migration", "")
    .replace("(what: string): never", "(what)");
  const { default: migration } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
  const run = (way: "up" | "down"): Transform => (row) => {
    let result: unknown;
    migration[way]({ transform: (_table: string, change: Transform) => result = change(row) });
    return result;
  };
  return { up: run("up"), down: run("down") };
}

Deno.test("a new required field is asked for where a row lacks it, and kept where it is there", async () => {
  const { up, down } = await proposed({ kind: "required", field: "mood" });
  assert.throws(() => up({ id: "a" }), /Say in this file what 'mood' is in rows that lack it\./);
  for (const mood of ["calm", "", null]) {
    assert.deepEqual(up({ id: "a", mood }), { id: "a", mood });
  }
  assert.deepEqual(down({ id: "a", mood: "calm" }), { id: "a" });
});

Deno.test("a field that only goes is taken out, and asked for on the way back", async () => {
  const { up, down } = await proposed({ kind: "removed", field: "mood" });
  assert.deepEqual(up({ id: "a", mood: "calm" }), { id: "a" });
  assert.throws(() => down({ id: "a" }), /what 'entries\.mood' was before/);
});
