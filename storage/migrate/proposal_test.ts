import assert from "node:assert/strict";
import type { FieldDef } from "../../_internal/manifest.ts";
import { field, number, string, table } from "../testing/tables.ts";
import type { MigrationProblem } from "./plan.ts";
import { proposeMigration } from "./proposal.ts";

type Transform = (row: Record<string, unknown>) => unknown;

/** What a proposal does to a row, up and down; `fields` are those of the source. */
async function proposed(
  problem: Pick<MigrationProblem, "kind" | "field">,
  fields: readonly FieldDef[] = [],
) {
  const text = proposeMigration({
    problems: [{ table: "entries", file: "src/schema.ts", line: 1, message: "Why.", ...problem }],
    undeclared: [],
    tables: [table("entries", fields)],
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

Deno.test("a field of another type is converted where it is there, and nothing is made of what is not", async () => {
  const narrowed = { kind: "narrowed", field: "size" } as const;
  const nullable = { kind: "nullable", inner: number, null: true, undefined: false } as const;
  for (const size of [field("size", number, { optional: true }), field("size", nullable)]) {
    const { up, down } = await proposed(narrowed, [size]);
    assert.deepEqual(up({ id: "a", size: "5" }), { id: "a", size: 5 });
    for (const none of [null, undefined]) {
      assert.deepEqual(up({ id: "a", size: none }), { id: "a", size: none });
    }
    assert.throws(() => down({ id: "a", size: 5 }), /what 'entries\.size' was before/);
  }
  const { up } = await proposed(narrowed, [field("size", number)]);
  assert.deepEqual(up({ id: "a", size: "0" }), { id: "a", size: 0 });
  assert.throws(() => up({ id: "a" }), /what 'size' is in rows that lack it/);
  const list = await proposed(narrowed, [field("size", { kind: "array", element: string })]);
  assert.throws(() => list.up({ id: "a", size: "5" }), /what 'size' becomes/);
});
