/** Which edits have something for the database in them. */
import assert from "node:assert/strict";
import type { ExecDef, TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { migrationState } from "./migrate_app.ts";

const source = { file: "src/a.ts", line: 3, column: 1 };
const table: TableDef = {
  name: "notes",
  className: "Note",
  primkey: "id",
  perm: 7,
  rows: "all",
  fields: [
    { name: "id", shape: { kind: "string" }, optional: false, perm: 7, doc: "" },
    { name: "tree", shape: { kind: "ref", name: "Tree" }, optional: false, perm: 7, doc: "" },
  ],
  indexes: [],
  doc: "",
  source,
};
const exec: ExecDef = { id: "e1", text: [""], parameters: [], columns: [], types: {}, source };
const types: ShapeTable = {
  Tree: { kind: "array", element: { kind: "ref", name: "Leaf" } },
  Leaf: { kind: "string" },
  Other: { kind: "string" },
};
const moved = { ...source, line: 99 };
const state = migrationState({ tables: [table], types, execs: [exec] }, []);

Deno.test("a type that no table has, and another place in the source, are nothing to migrate", () => {
  assert.equal(
    migrationState({
      tables: [{ ...table, source: moved }],
      types: { ...types, Other: { kind: "boolean" } },
      execs: [{ ...exec, source: moved }],
    }, []),
    state,
  );
});

Deno.test("a table, a type that it reaches, a query and a file are", () => {
  const [tables, execs] = [[table], [exec]];
  const file = { name: "0001_a", hash: "00", load: () => Promise.reject(new Error("not asked")) };
  const others = [
    migrationState({ tables: [{ ...table, perm: 6 }], types, execs }, []),
    migrationState({ tables, types: { ...types, Leaf: { kind: "boolean" } }, execs }, []),
    migrationState({ tables, types, execs: [{ ...exec, id: "e2" }] }, []),
    migrationState({ tables, types, execs }, [file]),
  ];
  for (const other of others) assert.notEqual(other, state);
});
