/**
 * What a migration has to do: pure comparison of the tables as applied and as declared.
 *
 * Safe by nature and applied without a question: a new table, a new optional or defaulted field, wider
 * types, rights, defaults, indexes. Everything else is a problem while rows exist: a field that vanishes,
 * a required field without default, a narrower or different type, another primary key, another kind of
 * row ownership. A problem needs a migration that says what becomes of the rows. On an empty table
 * everything is safe. A table that vanishes is kept.
 *
 * @module
 */
import type { FieldDef, TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { KontractError } from "../../_internal/errors.ts";
import { tableKey } from "../table_key.ts";
import { fits } from "./widening.ts";

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

/** What kind of change a problem is: decides what a new migration file proposes. */
export type ProblemKind =
  | "primkey"
  | "rows"
  | "required"
  | "narrowed"
  | "removed"
  | "optional"
  | "unique";

/** A change that rows stand in the way of. */
export interface MigrationProblem {
  readonly kind: ProblemKind;
  readonly table: string;
  readonly field: string | null;
  /** Source file of the declaration, relative to the app's folder. */
  readonly file: string;
  readonly line: number;
  /** One sentence. */
  readonly message: string;
}

/** The outcome for one table. */
export interface TablePlan {
  readonly table: TableDef;
  readonly lazy: Readonly<Record<string, unknown>>;
  /** Sentences for the report. */
  readonly steps: readonly string[];
  readonly problems: readonly MigrationProblem[];
}

const WHY: Readonly<Record<Exclude<ProblemKind, "unique">, string>> = {
  primkey: "the primary key cannot change while rows exist",
  rows: "row ownership cannot change while rows exist",
  required: "rows that exist lack it, and it has no default",
  narrowed: "its type changed so that stored values may not fit",
  removed: "the field is gone, and removing it would lose its data",
  optional: "rows that lack it have its old default, so it cannot become optional by itself",
};

/** Says what stands in the way of one change. */
export function problem(
  table: TableDef,
  kind: ProblemKind,
  field: string | null,
  why?: string,
): MigrationProblem {
  const { file, fields = [] } = table.source;
  const index = table.fields.findIndex(({ name }) => name === field);
  // A field that is gone is missed where its table is.
  const line = table.source.line + (fields[index] ?? 0);
  const reason = why ?? WHY[kind as keyof typeof WHY];
  const at = `Table '${table.name}'${field === null ? "" : `, field '${field}'`} (${file}:${line})`;
  return { kind, table: table.name, field, file, line, message: `${at}: ${reason}.` };
}

/** All problems in one error, with what to do about them. */
export function refusal(problems: readonly MigrationProblem[]): KontractError {
  const [first] = problems;
  const lines = problems.map(({ message }) => message);
  lines.push(
    "Write what becomes of the rows: 'kontract migrate create <name>' makes a migration that names " +
      "each of these changes. Or undo the change in the source.",
  );
  return new KontractError("MIGRATION_REFUSED", lines.join("\n"), {
    data: { table: first?.table, field: first?.field ?? null, file: first?.file, problems },
  });
}

/** Compares one table. */
export function planTable(
  table: TableDef,
  types: ShapeTable,
  applied: AppliedTable | null,
): TablePlan {
  if (applied === null) {
    return { table, lazy: {}, steps: [`create table '${table.name}'`], problems: [] };
  }
  const before = applied.def.table;
  const steps: string[] = [];
  const problems: MigrationProblem[] = [];
  const lazy: Record<string, unknown> = applied.empty ? {} : { ...applied.lazy };
  const object = (kind: ProblemKind, field: string | null): void => {
    if (!applied.empty) problems.push(problem(table, kind, field));
  };
  if (before.primkey !== table.primkey) object("primkey", table.primkey);
  if (before.rows !== table.rows) object("rows", null);
  for (const field of table.fields) {
    const old = before.fields.find((candidate) => candidate.name === field.name);
    if (old === undefined) {
      steps.push(`add field '${table.name}.${field.name}'`);
      if (field.default !== undefined) {
        // Even where there is no row yet: a gateway of the build before may write the first.
        lazy[field.name] = field.default;
      } else if (!field.optional) object("required", field.name);
      continue;
    }
    const kind = compareField(old, field, applied.def.types, types, lazy);
    if (kind !== null) object(kind, field.name);
    else if (old.optional && !field.optional && field.default !== undefined) {
      lazy[field.name] = field.default;
    }
  }
  for (const old of before.fields) {
    if (table.fields.some((field) => field.name === old.name)) continue;
    object("removed", old.name);
    delete lazy[old.name];
    steps.push(`remove field '${table.name}.${old.name}'`);
  }
  return { table, lazy, steps, problems };
}

/** What stands in the way of one field's change; null where nothing does. */
function compareField(
  old: FieldDef,
  field: FieldDef,
  oldTypes: ShapeTable,
  types: ShapeTable,
  lazy: Readonly<Record<string, unknown>>,
): ProblemKind | null {
  if (!fits(old.shape, field.shape, oldTypes, types)) return "narrowed";
  if (old.optional && !field.optional && field.default === undefined) return "required";
  if (!old.optional && field.optional && Object.hasOwn(lazy, field.name)) return "optional";
  return null;
}

/** Identity of a declaration, whatever the order of its keys: jsonb has its own. */
export function defHash({ table, types }: StoredDef): string {
  return tableKey(canonical([table, types]));
}

/** JSON with the keys of every object in order: what came out of a jsonb column has another order. */
export function canonical(value: unknown): string {
  return JSON.stringify(
    value,
    (_, item: unknown) =>
      typeof item === "object" && item !== null && !Array.isArray(item)
        ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => a < b ? -1 : 1))
        : item,
  );
}
