/**
 * Brings the data tables to the declared state inside the migration's transaction, as `kontract_owner`.
 *
 * @module
 */
import type postgres from "postgres";
import type { TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { KontractError } from "../../_internal/errors.ts";
import { resolvePath } from "../field_kind.ts";
import { tableKey } from "../table_key.ts";
import { identifier, literal } from "./definer.ts";
import { type AppliedTable, planTable, type StoredDef } from "./plan.ts";
import type { TableSql } from "./read.sql.ts";
import { createTable } from "./table.sql.ts";
import { tableFunctions } from "./table_functions.ts";
import { rowCheck } from "./value_check.ts";

/** Tenant of an app that has no others. */
export const DEFAULT_TENANT = "main";

interface StoredRow {
  readonly id: string;
  readonly ptr: string;
  readonly lazy: Readonly<Record<string, unknown>>;
  readonly indexes: Readonly<Record<string, readonly string[]>>;
  readonly def: StoredDef;
}

/** Applies all tables; answers with one sentence per change. */
export async function applyTables(
  sql: postgres.TransactionSql,
  tables: readonly TableDef[],
  types: ShapeTable,
): Promise<readonly string[]> {
  const stored = await sql<StoredRow[]>`
    select id, ptr, lazy, indexes, def from kontract.storage where owner = ${DEFAULT_TENANT}`;
  const [known] = await sql<{ epoch: string }[]>`
    select coalesce((select min(epoch) from kontract.storage), encode(uuid_send(gen_random_uuid()), 'hex')) as epoch`;
  const steps: string[] = [];
  for (const table of tables) {
    const row = stored.find((candidate) => candidate.id === table.name) ?? null;
    steps.push(...await applyTable(sql, table, types, row, known!.epoch));
  }
  return steps;
}

async function applyTable(
  sql: postgres.TransactionSql,
  table: TableDef,
  types: ShapeTable,
  row: StoredRow | null,
  epoch: string,
): Promise<readonly string[]> {
  const applied = row === null ? null : await describeApplied(sql, row);
  const plan = planTable(table, types, applied);
  const steps = [...plan.steps];
  const owned = table.rows === "owner";
  let ptr = row?.ptr ?? null;
  // An empty table whose key layout changes is made anew.
  if (ptr !== null && applied!.def.table.rows !== table.rows) {
    await sql.unsafe(`drop table kontract_private.${identifier(ptr)}`);
    await sql.unsafe(`drop sequence kontract_private.${identifier(`${ptr}_seq`)}`);
    ptr = null;
  }
  const fresh = ptr === null;
  ptr ??= `tbl_${crypto.getRandomValues(new Uint8Array(12)).toHex()}`;
  if (fresh) { for (const statement of createTable(ptr, owned)) await sql.unsafe(statement); }
  const indexes = await applyIndexes(sql, table, types, ptr, {
    existing: fresh ? {} : row!.indexes,
    lazy: plan.lazy,
  }, steps);
  const entry = describeTable(table, types, ptr, plan.lazy);
  await store(sql, table, types, entry, indexes, epoch);
  for (const statement of tableFunctions(entry, DEFAULT_TENANT)) {
    await sql.unsafe(statement);
  }
  if (table.name === "_users") await followGroups(sql, ptr);
  return steps;
}

async function describeApplied(
  sql: postgres.TransactionSql,
  row: StoredRow,
): Promise<AppliedTable> {
  const [answer] = await sql.unsafe(
    `select not exists (select 1 from kontract_private.${identifier(row.ptr)}) as empty`,
  );
  return { def: row.def, lazy: row.lazy, empty: answer?.empty === true };
}

function describeTable(
  table: TableDef,
  types: ShapeTable,
  ptr: string,
  lazy: Readonly<Record<string, unknown>>,
): TableSql {
  const pairs = <T>(
    of: (field: TableDef["fields"][number]) => T | undefined,
  ): Record<string, T> => {
    const result: Record<string, T> = {};
    for (const field of table.fields) {
      const value = of(field);
      if (value !== undefined) result[field.name] = value;
    }
    return result;
  };
  return {
    name: table.name,
    key: tableKey(table.name),
    ptr,
    owned: table.rows === "owner",
    lazy,
    defaults: pairs((field) => field.default),
    bits: pairs((field) =>
      field.perm === 7 || field.name === table.primkey ? undefined : field.perm
    ),
    primkey: table.primkey,
    check: rowCheck(table, types),
  };
}

async function applyIndexes(
  sql: postgres.TransactionSql,
  table: TableDef,
  types: ShapeTable,
  ptr: string,
  state: {
    readonly existing: Readonly<Record<string, readonly string[]>>;
    readonly lazy: Readonly<Record<string, unknown>>;
  },
  steps: string[],
): Promise<Record<string, readonly string[]>> {
  const wanted: Record<string, readonly string[]> = {};
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
      const [row] = await sql`select kontract_private.field_expr(
        ${JSON.stringify(state.lazy)}::text::jsonb, ${
        JSON.stringify(found.path)
      }::text::jsonb, ${found.kind}, 'data') as e`;
      expressions.push(String(row!.e));
    }
    for (const unique of index.unique ? [false, true] : [false]) {
      const columns = [...(table.rows === "owner" ? ["_owner"] : []), ...expressions].join(", ");
      const name = `${ptr}_${unique ? "u" : "i"}${tableKey(columns).slice(0, 12)}`;
      wanted[name] = index.fields;
      if (Object.hasOwn(state.existing, name)) continue;
      steps.push(
        `create ${unique ? "unique " : ""}index on '${table.name}' (${index.fields.join(", ")})`,
      );
      await createIndex(sql, table, index.fields, {
        text: `create ${unique ? "unique " : ""}index ${identifier(name)}
          on kontract_private.${identifier(ptr)} (${columns})${
          unique ? " where _deleted_txid is null" : ""
        }`,
      });
    }
  }
  for (const name of Object.keys(state.existing)) {
    if (Object.hasOwn(wanted, name)) continue;
    steps.push(`drop index on '${table.name}' (${state.existing[name]!.join(", ")})`);
    await sql.unsafe(`drop index if exists kontract_private.${identifier(name)}`);
  }
  return wanted;
}

async function createIndex(
  sql: postgres.TransactionSql,
  table: TableDef,
  fields: readonly string[],
  statement: { readonly text: string },
): Promise<void> {
  try {
    await sql.unsafe(statement.text);
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== "23505") throw cause;
    throw new KontractError(
      "MIGRATION_REFUSED",
      `Table '${table.name}' (${table.source.file}:${table.source.line}): rows share the same value of ` +
        `'${fields.join(", ")}', so it cannot become unique.`,
      { cause },
    );
  }
}

async function store(
  sql: postgres.TransactionSql,
  table: TableDef,
  types: ShapeTable,
  entry: TableSql,
  indexes: Readonly<Record<string, readonly string[]>>,
  epoch: string,
): Promise<void> {
  const json = (value: unknown): string => JSON.stringify(value);
  const fields = Object.fromEntries(table.fields.map((field) => [field.name, true]));
  await sql`
    insert into kontract.storage
      (owner, id, ptr, key, permissions, owned, fields, bits, lazy, defaults, indexes, def, epoch)
    values (${DEFAULT_TENANT}, ${table.name}, ${entry.ptr}, ${entry.key}, ${table.perm}, ${entry.owned},
      ${json(fields)}::text::jsonb, ${json(entry.bits)}::text::jsonb, ${
    json(entry.lazy)
  }::text::jsonb,
      ${json(entry.defaults)}::text::jsonb, ${json(indexes)}::text::jsonb,
      ${json({ table, types })}::text::jsonb, ${epoch})
    on conflict (owner, id) do update set ptr = excluded.ptr, key = excluded.key,
      permissions = excluded.permissions, owned = excluded.owned, fields = excluded.fields,
      bits = excluded.bits, lazy = excluded.lazy, defaults = excluded.defaults,
      indexes = excluded.indexes, def = excluded.def`;
}

/** Group changes reach open sessions in the same transaction. */
async function followGroups(sql: postgres.TransactionSql, ptr: string): Promise<void> {
  const name = `kontract_private.${identifier(ptr)}`;
  await sql.unsafe(`drop trigger if exists groups on ${name}`);
  await sql.unsafe(
    `create trigger groups after insert or update on ${name} for each row
       execute function kontract_private.sync_groups(${literal(DEFAULT_TENANT)})`,
  );
}
