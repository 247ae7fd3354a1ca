/**
 * What a migration has to do: pure comparison of the tables as applied and as declared.
 *
 * Safe by nature and applied without a question: a new table, a new optional or defaulted field, wider
 * types, rights, defaults, indexes. Refused while rows exist: a field that vanishes, a required field
 * without default, a narrower or different type, another primary key, another kind of row ownership.
 * On an empty table everything is safe. A table that vanishes is kept.
 *
 * @module
 */
import type { FieldDef, TableDef } from "../../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { KontractError } from "../../_internal/errors.ts";

/** What is known of an applied table. */
export interface AppliedTable {
  readonly def: StoredDef;
  readonly lazy: Readonly<Record<string, unknown>>;
  readonly empty: boolean;
}

/** A table definition with its types, as stored. */
export interface StoredDef {
  readonly table: TableDef;
  readonly types: ShapeTable;
}

/** The outcome for one table. */
export interface TablePlan {
  readonly table: TableDef;
  readonly lazy: Readonly<Record<string, unknown>>;
  /** Sentences for the report. */
  readonly steps: readonly string[];
}

/**
 * Compares one table.
 *
 * @throws {KontractError} `MIGRATION_REFUSED` naming field and file.
 */
export function planTable(
  table: TableDef,
  types: ShapeTable,
  applied: AppliedTable | null,
): TablePlan {
  if (applied === null) return { table, lazy: {}, steps: [`create table '${table.name}'`] };
  const before = applied.def.table;
  const steps: string[] = [];
  const lazy: Record<string, unknown> = applied.empty ? {} : { ...applied.lazy };
  const refuse = (field: string | null, what: string): void => {
    if (applied.empty) return;
    const at = `${table.source.file}:${table.source.line}`;
    throw new KontractError(
      "MIGRATION_REFUSED",
      `Table '${table.name}'${field === null ? "" : `, field '${field}'`} (${at}): ${what}`,
      { data: { table: table.name, field, file: table.source.file } },
    );
  };
  if (before.primkey !== table.primkey) {
    refuse(table.primkey, "the primary key cannot change while rows exist.");
  }
  if (before.rows !== table.rows) {
    refuse(null, "row ownership cannot change while rows exist.");
  }
  for (const field of table.fields) {
    const old = before.fields.find((candidate) => candidate.name === field.name);
    if (old === undefined) {
      steps.push(`add field '${table.name}.${field.name}'`);
      if (field.default !== undefined) lazy[field.name] = field.default;
      else if (!field.optional) {
        refuse(field.name, "a new required field needs a default, because rows exist.");
      }
    } else {
      compareField(old, field, applied.def.types, types, refuse);
    }
  }
  for (const old of before.fields) {
    if (table.fields.some((field) => field.name === old.name)) continue;
    refuse(old.name, "removing the field would lose its data.");
    steps.push(`remove field '${table.name}.${old.name}'`);
  }
  return { table, lazy, steps };
}

function compareField(
  old: FieldDef,
  field: FieldDef,
  oldTypes: ShapeTable,
  types: ShapeTable,
  refuse: (field: string, what: string) => void,
): void {
  if (old.optional && !field.optional && field.default === undefined) {
    refuse(field.name, "an optional field cannot become required: some rows may lack it.");
  }
  if (!fits(old.shape, field.shape, oldTypes, types, 0)) {
    refuse(field.name, "its type changed so that stored values may not fit.");
  }
}

/** True where every value of `old` is a value of `next` and is stored alike. */
export function fits(
  old: Shape,
  next: Shape,
  oldTypes: ShapeTable,
  types: ShapeTable,
  depth: number,
): boolean {
  if (depth > 32) return true;
  if (old.kind === "ref") {
    const target = oldTypes[old.name];
    if (target === undefined) return next.kind === "ref" && next.name === old.name;
    return fits(target, next, oldTypes, types, depth + 1);
  }
  if (next.kind === "ref") {
    const target = types[next.name];
    return target !== undefined && fits(old, target, oldTypes, types, depth + 1);
  }
  const inner = (a: Shape, b: Shape): boolean => fits(a, b, oldTypes, types, depth + 1);
  if (next.kind === "nullable") {
    return old.kind === "nullable"
      ? (!old.null || next.null) && inner(old.inner, next.inner)
      : inner(old, next.inner);
  }
  if (next.kind === "unknown") {
    return ["string", "boolean", "null", "literal", "enum", "unknown", "number"].includes(old.kind);
  }
  const values = literals(old);
  if (values !== null) {
    const allowed = literals(next);
    if (allowed !== null) return values.every((value) => allowed.includes(value));
    return values.every((value) => typeof value === next.kind) &&
      !(next.kind === "string" && next.pattern !== undefined);
  }
  if (old.kind !== next.kind) return false;
  switch (old.kind) {
    case "array":
    case "set":
      return inner(old.element, (next as typeof old).element);
    case "record":
      return inner(old.value, (next as typeof old).value);
    case "string":
      return (next as typeof old).pattern === undefined ||
        (next as typeof old).pattern === old.pattern;
    case "number":
      return (next as typeof old).width === "float64" || (next as typeof old).width === old.width;
    case "object": {
      const fields = (next as typeof old).fields;
      return old.fields.every((field) => {
        const match = fields.find((candidate) => candidate.name === field.name);
        return match !== undefined && (match.optional || !field.optional) &&
          inner(field.shape, match.shape);
      }) && fields.every((field) =>
        field.optional || old.fields.some((candidate) =>
          candidate.name === field.name
        )
      );
    }
    default:
      return JSON.stringify(old) === JSON.stringify(next);
  }
}

function literals(shape: Shape): readonly (string | number | boolean)[] | null {
  if (shape.kind === "literal") return [shape.value];
  return shape.kind === "enum" ? shape.values : null;
}
