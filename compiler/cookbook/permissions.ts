/**
 * What a function may do with a table and a field, as the database decides it:
 * table ∧ route on a table, (field ∨ grants) ∧ table ∧ route on a field. A read-only function never has
 * more than R.
 *
 * @module
 */
import type { Manifest, RouteDef, TableDef } from "../../_internal/manifest.ts";
import { code, plain, tableOf } from "./markdown.ts";
import { anchorOf, type CookbookPage, functionLink, type GroupPage, tableLink } from "./places.ts";

/** `RW_` for 6. */
export function bitsText(bits: number): string {
  return (bits & 4 ? "R" : "_") + (bits & 2 ? "W" : "_") + (bits & 1 ? "X" : "_");
}

/** Tables of the app's own: those that start with `_` are Kontract's. */
export function ownTables(manifest: Manifest): readonly TableDef[] {
  return manifest.tables.filter((table) => !table.name.startsWith("_"));
}

/** Bits a function has on a table at most. */
export function tableBits(route: RouteDef, table: TableDef): number {
  return table.perm & route.meta.perm & (route.meta.readOnly ? 4 : 7);
}

/** Bits a function has on a field at most. */
export function fieldBits(route: RouteDef, table: TableDef, field: string): number {
  const own = field === table.primkey
    ? 7
    : table.fields.find((one) => one.name === field)?.perm ?? 0;
  return (own | (route.meta.grants[`${table.name}.${field}`] ?? 0)) & tableBits(route, table);
}

/** `permissions.md`. */
export function permissionsPage(manifest: Manifest, groups: readonly GroupPage[]): CookbookPage {
  const tables = ownTables(manifest);
  return {
    path: "permissions.md",
    title: "Permissions",
    lines: [
      "# Permissions",
      "",
      "R reads, W writes, X deletes. A function has at most the bits that both its table and the function",
      "itself allow; on a field, at most the field's own bits and what the function was granted beyond them.",
      "The database checks all of it with every operation.",
      "",
      ...matrix(tables, groups),
      ...guardedFields(tables, groups),
    ],
  };
}

function matrix(tables: readonly TableDef[], groups: readonly GroupPage[]): string[] {
  const rows = groups.flatMap((group) =>
    group.routes.map((route) => [
      functionLink(route, group, ""),
      callers(route),
      ...tables.map((table) => code(bitsText(tableBits(route, table)))),
    ])
  );
  const head = ["function", "callers", ...tables.map((table) => tableLink(table, ""))];
  return rows.length === 0 ? ["There are no functions.", ""] : [
    "## Functions and tables {#functions-and-tables}",
    "",
    ...tableOf(head, rows),
  ];
}

/** Who may call. */
export function callers({ meta: { ugroup, session } }: RouteDef): string {
  if (ugroup !== null) return `group ${code(ugroup)}`;
  return session === "required" ? "anyone" : "anyone, also without a session";
}

function guardedFields(tables: readonly TableDef[], groups: readonly GroupPage[]): string[] {
  const rows = tables.flatMap((table) =>
    table.fields.filter((field) => field.perm !== 7 && field.name !== table.primkey).map(
      (field) => {
        const granted = groups.flatMap((group) =>
          group.routes
            .filter((route) => Object.hasOwn(route.meta.grants, `${table.name}.${field.name}`))
            .map((route) =>
              `${functionLink(route, group, "")} ${
                code(bitsText(fieldBits(route, table, field.name)))
              }`
            )
        );
        return [
          `[${plain(`${table.name}.${field.name}`)}](./tables.md#${anchorOf(table.name)})`,
          code(bitsText(field.perm)),
          granted.length === 0 ? "none" : granted.join(", "),
        ];
      },
    )
  );
  if (rows.length === 0) return [];
  return [
    "## Guarded fields {#guarded-fields}",
    "",
    "Fields with fewer than all bits, and the functions that were granted more.",
    "",
    ...tableOf(["field", "bits of everyone", "granted to"], rows),
  ];
}
