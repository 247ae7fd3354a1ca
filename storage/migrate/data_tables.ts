/**
 * Brings the data tables to the declared state inside the migration's transaction, as `kontract_owner`.
 * Nothing here takes a lock on a table that is in use for longer than a catalog change, but for the
 * tables that are swapped.
 *
 * @module
 */
import type postgres from "postgres";
import type { TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { type FieldKind, fieldKind } from "../field_kind.ts";
import { tableKey } from "../table_key.ts";
import { DEFAULT_TENANT, describeApplied, readStored, type StoredTable } from "./applied.ts";
import { addCheckTexts, tableCheck } from "./checks.ts";
import { followGroups, followsGroups, USERS } from "./groups.ts";
import { buildIndexes, indexNames, indexSteps, wantedIndexes } from "./indexes.ts";
import type { Changes } from "./migration.ts";
import { emptyTables, refuseNewRows } from "./empty_tables.ts";
import { defHash, planTable, refusal, type StoredDef } from "./plan.ts";
import type { TableSql } from "./read.sql.ts";
import { dropPhysical, newPtr, type Rebuild } from "./rebuild.ts";
import { tableLock } from "./lock_keys.ts";
import { createTable } from "./table.sql.ts";
import { tableFunctions } from "./table_functions.ts";

export { DEFAULT_TENANT } from "./applied.ts";

/** What was made ready before the transaction. */
export interface Prepared {
  readonly changes: Changes;
  /** By name in the source. */
  readonly rebuilds: ReadonlyMap<string, Rebuild>;
  /** Tables that are already what this build makes of them. */
  readonly unchanged: ReadonlySet<string>;
  /** Which physical tables were looked at. */
  readonly ptrs: string;
}

/** Whose table it is, and the epoch of the data. */
export interface Place {
  readonly tenant: string;
  readonly epoch: string;
}

/** How to go back over one table. */
export interface Undo {
  /** Name in the source of that time. */
  readonly table: string;
  /** Name in the database before. */
  readonly from: string;
  /** Physical table that the run made, or null where it only renamed. */
  readonly ptr: string | null;
  /** Physical table that it was made from, or null. */
  readonly source: string | null;
  readonly before: StoredDef;
  /** Hash of the declaration after the run: another one means that more has happened. */
  readonly after: string;
}

/** What the tables' part of a migration did. */
export interface Applied {
  /** One sentence per change. */
  readonly steps: readonly string[];
  readonly undo: readonly Undo[];
  /** Physical tables to freeze as the last thing. */
  readonly freeze: readonly string[];
}

/** Applies all tables of one tenant. */
export async function applyTables(
  sql: postgres.TransactionSql,
  tenant: string,
  tables: readonly TableDef[],
  types: ShapeTable,
  prepared: Prepared,
): Promise<Applied> {
  const steps: string[] = [];
  const undo: Undo[] = [];
  const freeze: string[] = [];
  const { changes, rebuilds, unchanged } = prepared;
  const moved = changes.drops.size + changes.renames.size > 0;
  if (!moved && rebuilds.size === 0 && tables.every(({ name }) => unchanged.has(name))) {
    return { steps, undo, freeze };
  }
  const before = await readStored(sql, tenant);
  // All at once, in the order of commits: a commit that has one and waits for another would wait for us both.
  const empty = await emptyTables(sql, before, { tables, types }, prepared);
  await lockTables(sql, tenant, [
    ...[...rebuilds.values()].map(({ source }) => source.id),
    ...changes.drops,
    ...[...changes.renames].flat(),
    ...empty.map(({ id }) => id),
  ]);
  await refuseNewRows(sql, empty, changes);
  for (const rebuild of rebuilds.values()) await rebuild.finish(sql);
  for (const name of changes.drops) steps.push(...await dropTable(sql, before, name));
  for (const [to, from] of changes.renames) steps.push(...await renameTable(sql, before, from, to));
  const stored = moved ? await readStored(sql, tenant) : before;
  const [known] = await sql<{ epoch: string }[]>`
    select coalesce((select min(epoch) from kontract.storage), encode(uuid_send(gen_random_uuid()), 'hex')) as epoch`;
  for (const table of tables) {
    const row = stored.find(({ id }) => id === table.name) ?? null;
    const rebuild = rebuilds.get(table.name) ?? null;
    const from = changes.renames.get(table.name);
    if (unchanged.has(table.name) && from === undefined) continue;
    const place = { tenant, epoch: known!.epoch };
    steps.push(...await applyTable(sql, place, { table, types }, row, rebuild));
    if (row === null || (rebuild === null && from === undefined)) continue;
    if (rebuild !== null) freeze.push(row.ptr);
    undo.push({
      table: table.name,
      from: from ?? table.name,
      ptr: rebuild?.ptr ?? null,
      source: rebuild?.source.ptr ?? null,
      before: row.def,
      after: defHash({ table, types }),
    });
  }
  return { steps, undo, freeze };
}

/** The locks that every commit shares, in the order commits take them. */
export async function lockTables(
  sql: postgres.TransactionSql,
  tenant: string,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return;
  const rows = await sql.unsafe(
    `select distinct (${tableLock("$1", "t")})::text as h
       from jsonb_array_elements_text($2::text::jsonb) t`,
    [tenant, JSON.stringify(names)],
  );
  const hashes = rows.map((row) => BigInt(row.h)).sort((a, b) => a < b ? -1 : 1);
  for (const hash of hashes) await sql`select pg_advisory_xact_lock(${hash.toString()}::bigint)`;
}

/**
 * Brings one table to a declaration: in place, or by putting a rebuilt one in its stead.
 *
 * @throws {KontractError} `MIGRATION_REFUSED`
 */
export async function applyTable(
  sql: postgres.TransactionSql,
  place: Place,
  def: StoredDef,
  row: StoredTable | null,
  rebuild: Rebuild | null,
): Promise<readonly string[]> {
  const { table, types } = def;
  const applied = row === null ? null : await describeApplied(sql, row);
  const plan = planTable(table, types, applied);
  const steps = [...plan.steps];
  if (rebuild !== null) {
    steps.push(`rebuild table '${table.name}' (${rebuild.copied} rows copied)`);
  } else if (plan.problems.length > 0) throw refusal(plan.problems);
  const lazy = rebuild === null ? plan.lazy : {};
  const owned = table.rows === "owner";
  let ptr = rebuild?.ptr ?? row?.ptr ?? null;
  // An empty table whose key layout changes is made anew.
  if (rebuild === null && row !== null && row.def.table.rows !== table.rows) {
    await dropPhysical(sql, row.ptr);
    ptr = null;
  }
  const fresh = ptr === null;
  ptr ??= newPtr();
  if (fresh) { for (const statement of createTable(ptr, owned)) await sql.unsafe(statement); }
  const wanted = await wantedIndexes(sql, table, types, { ptr, lazy }, "installed");
  await buildIndexes(sql, table, ptr, wanted, "in transaction");
  if (rebuild === null) {
    steps.push(...indexSteps(table.name, wanted, fresh ? {} : row!.indexes));
  }
  const check = tableCheck(table, types, lazy);
  await sql.unsafe(check.helper);
  if (fresh || rebuild !== null) {
    for (const statement of addCheckTexts(ptr, check)) await sql.unsafe(statement);
  }
  const swap = rebuild === null ? row?.swapTxid ?? null : await currentXid(sql);
  const entry = describeTable(table, types, { ptr, lazy, swap });
  await store(sql, place, def, entry, {
    indexes: indexNames(wanted),
    swap: rebuild !== null,
  });
  await installTable(sql, place.tenant, entry);
  return steps;
}

/** Functions of a table as this build writes them: another text is another version. */
export const SAMPLE_FUNCTIONS: readonly string[] = [
  ...addCheckTexts("tbl_sample", { name: "shape_sample", helper: "" }),
  ...followGroups("tbl_sample"),
  ...tableFunctions({
    name: "sample",
    key: "sample",
    ptr: "tbl_sample",
    owned: true,
    lazy: { added: 1 },
    defaults: { added: 1 },
    bits: { hidden: 0 },
    primkey: "id",
    check: { name: "shape_sample", helper: "" },
    unique: false,
    swap: "3",
  }, DEFAULT_TENANT),
];

/** Functions and triggers of one table; the tables of other tenants than `main` share functions. */
export async function installTable(
  sql: postgres.TransactionSql,
  tenant: string,
  entry: TableSql,
): Promise<void> {
  const functions = tenant === DEFAULT_TENANT ? tableFunctions(entry, tenant) : [];
  for (const statement of functions) await sql.unsafe(statement);
  if (entry.name !== USERS || await followsGroups(sql, entry.ptr)) return;
  for (const statement of followGroups(entry.ptr)) await sql.unsafe(statement);
}

/** What the functions of a table are made from. */
export function describeTable(
  table: TableDef,
  types: ShapeTable,
  { ptr, lazy, swap }: {
    readonly ptr: string;
    readonly lazy: Readonly<Record<string, unknown>>;
    /** Transaction of the last swap, or null. */
    readonly swap: string | null;
  },
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
    check: tableCheck(table, types, lazy),
    unique: table.indexes.some(({ unique }) => unique),
    ...(swap === null ? {} : { swap }),
  };
}

async function currentXid(sql: postgres.TransactionSql): Promise<string> {
  const [row] = await sql`select pg_current_xact_id()::text as xid`;
  return String(row!.xid);
}

/**
 * Writes the row of `storage`; on a swap the row before it is kept in `retired`. A new row has the moment in
 * `swap_txid`: snapshots and resume tokens from before know nothing of the table, though one of its name may
 * have been there.
 */
async function store(
  sql: postgres.TransactionSql,
  { tenant, epoch }: Place,
  { table, types }: StoredDef,
  entry: TableSql,
  more: {
    readonly indexes: Readonly<Record<string, readonly string[]>>;
    readonly swap: boolean;
  },
): Promise<void> {
  const json = (value: unknown): string => JSON.stringify(value);
  if (more.swap) await retire(sql, tenant, table.name);
  await sql`
    insert into kontract.storage
      (owner, id, ptr, key, permissions, owned, fields, bits, lazy, defaults, indexes, def, epoch,
       swap_txid)
    values (${tenant}, ${table.name}, ${entry.ptr}, ${entry.key}, ${table.perm}, ${entry.owned},
      ${json(fieldSet(table, types))}::text::jsonb, ${json(entry.bits)}::text::jsonb, ${
    json(entry.lazy)
  }::text::jsonb,
      ${json(entry.defaults)}::text::jsonb, ${json(more.indexes)}::text::jsonb,
      ${json({ table, types })}::text::jsonb, ${epoch}, pg_current_xact_id())
    on conflict (owner, id) do update set ptr = excluded.ptr, key = excluded.key,
      permissions = excluded.permissions, owned = excluded.owned, fields = excluded.fields,
      bits = excluded.bits, lazy = excluded.lazy, defaults = excluded.defaults,
      indexes = excluded.indexes, def = excluded.def`;
}

/** Kinds that no row has null of, unless the field may be missing. */
const VALUES: readonly string[] = [
  "string",
  "number",
  "boolean",
  "bigint",
  "date",
  "enum",
  "literal",
];

/**
 * What `storage.fields` holds: the names a filter may use. Of the key it says so, of others their kind, with `!`
 * where each row has a value.
 */
export function fieldSet(
  { fields, primkey }: TableDef,
  types: ShapeTable,
): Readonly<Record<string, "key" | FieldKind | `${FieldKind}!`>> {
  return Object.fromEntries(
    fields.map(({ name, optional, shape }) => {
      const kind = fieldKind(shape, types);
      const always = !optional && VALUES.includes(shape.kind);
      return [name, name === primkey ? "key" : always ? `${kind}!` : kind];
    }),
  );
}

/**
 * Keeps the row as it is in `retired`, with the moment. What was retired before goes, unless it is
 * about to be used again; snapshots that would need it are refused, since they do not see the swap that
 * the kept row names.
 */
export async function retire(
  sql: postgres.TransactionSql,
  tenant: string,
  table: string,
  before: "drop" | "keep" = "drop",
): Promise<void> {
  const [old] = await sql`
    select retired->>'ptr' as ptr from kontract.storage
     where owner = ${tenant} and id = ${table} and retired is not null`;
  await sql`
    update kontract.storage st
       set retired = to_jsonb(st) - 'retired'
             || jsonb_build_object('at', now(), 'snapshot', pg_current_snapshot()),
           swap_txid = pg_current_xact_id()
     where st.owner = ${tenant} and st.id = ${table}`;
  if (old !== undefined && before === "drop") await dropPhysical(sql, String(old.ptr));
}

/** Gives a table another name. */
export async function renameTable(
  sql: postgres.TransactionSql,
  stored: readonly StoredTable[],
  from: string,
  to: string,
): Promise<readonly string[]> {
  const row = stored.find(({ id }) => id === from);
  if (row === undefined) return [];
  await lockTables(sql, row.owner, [from, to]);
  if (row.owner === DEFAULT_TENANT) await dropTableFunctions(sql, from);
  await sql`update kontract.storage set id = ${to}, key = ${tableKey(to)}
    where owner = ${row.owner} and id = ${from}`;
  return [`rename table '${from}' to '${to}'`];
}

async function dropTable(
  sql: postgres.TransactionSql,
  stored: readonly StoredTable[],
  name: string,
): Promise<readonly string[]> {
  const row = stored.find(({ id }) => id === name);
  if (row === undefined) return [];
  await lockTables(sql, row.owner, [name]);
  if (row.owner === DEFAULT_TENANT) await dropTableFunctions(sql, name);
  await sql`delete from kontract.storage where owner = ${row.owner} and id = ${name}`;
  if (row.retiredPtr !== null) await dropPhysical(sql, row.retiredPtr);
  await dropPhysical(sql, row.ptr);
  return [`drop table '${name}'`];
}

/** A name that is gone answers nothing any more. */
export async function dropTableFunctions(
  sql: postgres.TransactionSql,
  name: string,
): Promise<void> {
  const rows = await sql`
    select p.oid::regprocedure::text as signature from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('kontract', 'kontract_private')
       and p.proname like ${`%\\_${tableKey(name)}`}`;
  for (const row of rows) await sql.unsafe(`drop function ${row.signature}`);
}
