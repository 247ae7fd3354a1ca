/**
 * The pages of tables and of named types.
 *
 * @module
 */
import type { FieldDef, IndexDef, Manifest, TableDef } from "../../_internal/manifest.ts";
import { namedType } from "../emit/client.ts";
import { typeText } from "../emit/type_text.ts";
import { parseDocComment } from "./doc_comment.ts";
import { cell, code, codeBlock, plain, prose, tableOf } from "./markdown.ts";
import { bitsText, ownTables } from "./permissions.ts";
import { anchorOf, type CookbookPage } from "./places.ts";

/** `tables.md`. */
export function tablePage(manifest: Manifest): CookbookPage {
  return {
    path: "tables.md",
    title: "Tables",
    lines: [
      "# Tables",
      "",
      ...ownTables(manifest).flatMap((table) => tableSection(table)),
    ],
  };
}

function tableSection(table: TableDef): string[] {
  const doc = parseDocComment(table.doc);
  return [
    `## ${plain(table.name)} {#${anchorOf(table.name)}}`,
    "",
    ...prose(doc.text),
    "",
    ...tableOf(["property", ""], [
      ["class", code(table.className)],
      ["key", code(table.primkey)],
      ["bits", code(bitsText(table.perm))],
      [
        "rows",
        table.rows === "owner"
          ? "a session sees and touches only its own"
          : "shared by all sessions",
      ],
    ]),
    ...tableOf(
      ["field", "type", "bits", "default", "index", "meaning"],
      table.fields.map((field) => fieldRow(field, table)),
    ),
    ...tableOf(
      ["index over", "unique"],
      table.indexes.filter((one) => one.fields.length > 1 || nested(one))
        .map((one) => [one.fields.map(code).join(", "), one.unique ? "yes" : "no"]),
    ),
    `Source: ${code(`${table.source.file}:${table.source.line}`)}.`,
    "",
  ];
}

function nested(one: IndexDef): boolean {
  return one.fields[0]?.includes(".") ?? false;
}

function fieldRow(field: FieldDef, table: TableDef): string[] {
  const key = field.name === table.primkey;
  const index = table.indexes.find((one) =>
    one.fields.length === 1 && one.fields[0] === field.name
  );
  return [
    code(field.name) + (field.optional ? " (optional)" : ""),
    code(typeText(field.shape)),
    code(bitsText(key ? 7 : field.perm)),
    field.default === undefined ? "" : code(JSON.stringify(field.default)),
    key ? "key" : index === undefined ? "" : index.unique ? "unique" : "yes",
    cell(parseDocComment(field.doc).text),
  ];
}

/** `types.md`: the named types that cross the channel, as the client declares them. */
export function typePage(manifest: Manifest): CookbookPage {
  return {
    path: "types.md",
    title: "Types",
    lines: [
      "# Types",
      "",
      ...Object.entries(manifest.types).flatMap(([name, shape]) => [
        `## ${plain(name)} {#${anchorOf(name)}}`,
        "",
        ...codeBlock(namedType(name, shape).join("\n"), "ts"),
        "",
      ]),
    ],
  };
}
