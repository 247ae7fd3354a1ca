/**
 * Declared indexes of a data table: which ones, under which names, and how they come and go.
 *
 * The name holds a hash of the columns, so an index is found or it is another one. On a table with rows
 * it is built concurrently before the migration's transaction: writers wait for nothing. A build that was
 * cut off leaves an INVALID index, which is dropped and built again; a valid one is used.
 *
 * @module
 */
import type postgres from "postgres";
import type { TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { KontractError } from "../../_internal/errors.ts";
import { resolvePath } from "../field_kind.ts";
import { tableKey } from "../table_key.ts";
import { identifier, OWNER_ROLE } from "./definer.ts";
import { FILTER_HELPERS } from "./filter.sql.ts";
import { problem, refusal } from "./plan.ts";
import type { Statements } from "./statements.ts";

/** One physical index that the declaration asks for. */
export interface WantedIndex {
  readonly name: string;
  /** Declared fields, dotted. */
  readonly fields: readonly string[];
  readonly unique: boolean;
  /** Column list, with expressions. */
  readonly columns: string;
}

/** Names of the indexes made from declarations; the table's own have other suffixes. */
export const DECLARED_INDEX = /_[iu][0-9a-f]{12}$/;

/** Which function writes index expressions. */
export type ExpressionSource = "installed" | "build";

/** The wanted indexes of a physical table. */
export async function wantedIndexes(
  sql: Statements,
  table: TableDef,
  types: ShapeTable,
  physical: { readonly ptr: string; readonly lazy: Readonly<Record<string, unknown>> },
  source: ExpressionSource,
): Promise<readonly WantedIndex[]> {
  const wanted: WantedIndex[] = [];
  for (const index of table.indexes) {
    const expressions: string[] = [];
    for (const field of index.fields) {
      const found = resolvePath(table, field, types);
      if (found === null) {
        throw new KontractError(
          "MIGRATION_REFUSED",
          `Table '${table.name}' (${table.source.file}:${table.source.line}): the index names '${field}', which is no field.`,
        );
      }
      const [row] = await sql.unsafe(
        `select kontract_private.${
          EXPRESSION[source]
        }($1::text::jsonb, $2::text::jsonb, $3, 'data') as e`,
        [JSON.stringify(physical.lazy), JSON.stringify(found.path), found.kind],
      );
      expressions.push(String(row!.e));
    }
    for (const unique of index.unique ? [false, true] : [false]) {
      const columns = [...(table.rows === "owner" ? ["_owner"] : []), ...expressions].join(", ");
      wanted.push({
        name: `${physical.ptr}_${unique ? "u" : "i"}${tableKey(columns).slice(0, 12)}`,
        fields: index.fields,
        unique,
        columns,
      });
    }
  }
  return wanted;
}

const EXPRESSION: Readonly<Record<ExpressionSource, string>> = {
  installed: "field_expr",
  build: "field_expr_of_build",
};

/** Installs this build's expressions beside those in use, which may be another version's. As the owner. */
export async function installBuildExpressions(sql: Statements): Promise<void> {
  const text = FILTER_HELPERS.find((helper) => helper.includes("kontract_private.field_expr("))!;
  const name = `kontract_private.${EXPRESSION.build}`;
  await sql.unsafe(`drop function if exists ${name}`);
  await sql.unsafe(text.replace("kontract_private.field_expr(", `${name}(`));
}

/** Takes them away again. */
export async function dropBuildExpressions(sql: Statements): Promise<void> {
  await sql.unsafe(`drop function if exists kontract_private.${EXPRESSION.build}`);
}

/** What `storage.indexes` holds: index name → fields, for messages about unique violations. */
export function indexNames(
  wanted: readonly WantedIndex[],
): Record<string, readonly string[]> {
  return Object.fromEntries(wanted.map(({ name, fields }) => [name, fields]));
}

/** Sentences for what will be made and what goes. */
export function indexSteps(
  table: string,
  wanted: readonly WantedIndex[],
  existing: Readonly<Record<string, readonly string[]>>,
): readonly string[] {
  const steps = wanted.filter(({ name }) => !Object.hasOwn(existing, name)).map((index) =>
    `create ${index.unique ? "unique " : ""}index on '${table}' (${index.fields.join(", ")})`
  );
  const names = new Set(wanted.map(({ name }) => name));
  for (const [name, fields] of Object.entries(existing)) {
    if (!names.has(name)) steps.push(`drop index on '${table}' (${fields.join(", ")})`);
  }
  return steps;
}

/** Makes one index. */
export function createIndexText(
  ptr: string,
  { name, unique, columns }: WantedIndex,
  how: "concurrently" | "in transaction",
): string {
  return `create ${unique ? "unique " : ""}index ${how === "concurrently" ? "concurrently " : ""}${
    identifier(name)
  }
    on kontract_private.${identifier(ptr)} (${columns})${
    unique ? " where _deleted_txid is null" : ""
  }`;
}

/**
 * Makes what is missing. `concurrently`: outside any transaction, without blocking writers.
 *
 * @throws {KontractError} `MIGRATION_REFUSED` where rows share a value that is to be unique.
 */
export async function buildIndexes(
  sql: Statements,
  table: TableDef,
  ptr: string,
  wanted: readonly WantedIndex[],
  how: "concurrently" | "in transaction",
): Promise<void> {
  const concurrently = how === "concurrently" ? "concurrently " : "";
  const states = await indexStates(sql, ptr);
  for (const index of wanted) {
    const valid = states.get(index.name);
    if (valid === true) continue;
    const name = `kontract_private.${identifier(index.name)}`;
    if (valid === false) await sql.unsafe(`drop index ${concurrently}if exists ${name}`);
    try {
      await sql.unsafe(createIndexText(ptr, index, how));
    } catch (cause) {
      if (concurrently !== "") {
        await sql.unsafe(`drop index concurrently if exists ${name}`).catch(() => {});
      }
      if ((cause as { code?: unknown }).code !== "23505") throw cause;
      throw refusal([duplicates(table, index.fields)]);
    }
  }
}

/** The problem of rows that share a value. */
export function duplicates(
  table: TableDef,
  fields: readonly string[],
): ReturnType<typeof problem> {
  const why = `rows share the same value of '${fields.join(", ")}', so it cannot become unique`;
  return problem(table, "unique", fields.join(", "), why);
}

/** Drops declared indexes that nothing wants any more, leftovers of a build that was cut off included. */
export async function dropUnwanted(
  sql: Statements,
  ptr: string,
  wanted: ReadonlySet<string>,
): Promise<void> {
  for (const name of (await indexStates(sql, ptr)).keys()) {
    if (wanted.has(name)) continue;
    await sql.unsafe(`drop index concurrently if exists kontract_private.${identifier(name)}`);
  }
}

/** Declared indexes of a table, by name: valid or not. */
async function indexStates(
  sql: Statements,
  ptr: string,
): Promise<ReadonlyMap<string, boolean>> {
  const rows = await sql`
    select c.relname as name, i.indisvalid as valid
      from pg_index i join pg_class c on c.oid = i.indexrelid
     where i.indrelid = to_regclass(${`kontract_private.${identifier(ptr)}`})`;
  return new Map(
    rows.map((row): [string, boolean] => [String(row.name), row.valid === true])
      .filter(([name]) => DECLARED_INDEX.test(name)),
  );
}

/** Runs statements as the owner outside a transaction; `sql` must be one connection. */
export async function asOwner<T>(sql: postgres.Sql, work: () => Promise<T>): Promise<T> {
  await sql.unsafe(`set role ${OWNER_ROLE}`);
  try {
    return await work();
  } finally {
    await sql.unsafe("reset role");
  }
}
