/**
 * The tables as a database has them.
 *
 * @module
 */
import type { TableDef } from "../../_internal/manifest.ts";
import type { JsonObject } from "../row_codec.ts";
import { TableRules } from "../table_rules.ts";
import { DEFAULT_TENANT } from "../tenant_name.ts";
import { identifier, OWNER_ROLE } from "./definer.ts";
import type { MigrationRow } from "./migration.ts";
import type { AppliedTable, StoredDef } from "./plan.ts";
import type { Statements } from "./statements.ts";

export { DEFAULT_TENANT } from "../tenant_name.ts";

/** One row of `kontract.storage`. */
export interface StoredTable {
  /** Tenant. */
  readonly owner: string;
  /** Logical name. */
  readonly id: string;
  readonly ptr: string;
  readonly lazy: Readonly<Record<string, unknown>>;
  readonly indexes: Readonly<Record<string, readonly string[]>>;
  readonly def: StoredDef;
  /** Physical table before the last swap, while it is kept. */
  readonly retiredPtr: string | null;
  /** Transaction of the last swap, while its table is kept. */
  readonly swapTxid: string | null;
  /** What the last swap saw, while its table is kept. */
  readonly swapSnapshot: string | null;
}

/** True where Kontract's tables are here and are its own. Needs no right on them. */
export async function isInstalled(sql: Statements): Promise<boolean> {
  const [row] = await sql`
    select exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'kontract' and c.relname = 'storage'
        and pg_get_userbyid(c.relowner) = ${OWNER_ROLE}) as yes`;
  return row?.yes === true;
}

/** Names of tables that the source does not declare any more. */
export function undeclaredTables(
  stored: readonly StoredTable[],
  tables: readonly TableDef[],
): readonly string[] {
  const declared = new Set(tables.map(({ name }) => name));
  return stored.map(({ id }) => id).filter((id) => !declared.has(id));
}

/** All tables of a tenant; nothing where the database is new. As the owner. */
export async function readStored(
  sql: Statements,
  tenant: string = DEFAULT_TENANT,
): Promise<readonly StoredTable[]> {
  if (!(await isInstalled(sql))) return [];
  const rows = await sql`
    select owner, id, ptr, lazy, indexes, def, retired->>'ptr' as retired, retired->>'snapshot' as swap,
           case when retired is not null then swap_txid end::text as swap_txid
      from kontract.storage where owner = ${tenant} order by id`;
  return rows.map((row) => ({
    owner: String(row.owner),
    id: String(row.id),
    ptr: String(row.ptr),
    lazy: row.lazy as Readonly<Record<string, unknown>>,
    indexes: row.indexes as Readonly<Record<string, readonly string[]>>,
    def: row.def as StoredDef,
    swapTxid: row.swap_txid === null ? null : String(row.swap_txid),
    retiredPtr: row.retired === null ? null : String(row.retired),
    swapSnapshot: row.swap === null ? null : String(row.swap),
  }));
}

/** Which physical tables these are. */
export function ptrsOf(stored: readonly Pick<StoredTable, "id" | "ptr">[]): string {
  return stored.map(({ id, ptr }) => `${id}=${ptr}`).join();
}

/** The same of a tenant as it is now. As the owner. */
export async function readPtrs(sql: Statements, tenant: string): Promise<string> {
  const rows = await sql<{ id: string; ptr: string }[]>`
    select id, ptr from kontract.storage where owner = ${tenant} order by id`;
  return ptrsOf(rows);
}

/** What a plan needs to know of a stored table. */
export async function describeApplied(sql: Statements, row: StoredTable): Promise<AppliedTable> {
  const [answer] = await sql.unsafe(
    `select not exists (select 1 from kontract_private.${identifier(row.ptr)}) as empty`,
  );
  return { def: row.def, lazy: row.lazy, empty: answer?.empty === true };
}

/** Condition and order of one page of live rows after owner `$1` and key `$2`, as the live index has them. */
function keyOrder(owned: boolean): string {
  return owned
    ? "(u._owner, u.id) > ($1, $2) order by u._owner, u.id"
    : "$1::text is not null and u.id > $2 order by u.id";
}

/** Rows that are held at a time, and bytes of them as they are stored, where that is more than a row. */
export const PAGE = { rows: 200, bytes: 1024 * 1024 } as const;

/**
 * A page of live versions `v` after owner and key, in the order of their keys; none after the last. How many
 * bytes they have is asked of the stored ones, which long values are compressed in.
 */
export function livePage({ ptr, def: { table } }: StoredTable): string {
  return `(select * from (
      select u.*, row_number() over w as n, sum(pg_column_size(u.data)) over w as bytes
        from (select * from kontract_private.${identifier(ptr)} u
               where u._deleted_txid is null and ${keyOrder(table.rows === "owner")}
               limit ${PAGE.rows}) u
      window w as (rows unbounded preceding)) u
     where u.n = 1 or u.bytes <= ${PAGE.bytes} order by u.n) v`;
}

/** The live rows of a table, decoded, page by page. */
export async function* liveRows(sql: Statements, row: StoredTable): AsyncGenerator<MigrationRow> {
  const rules = new TableRules(unguarded(row.def.table), row.def.types, 7, {});
  for (let last = ["", ""];;) {
    const page = await sql.unsafe(
      `select v._owner as owner, v.id, v.data from ${livePage(row)}`,
      last,
    );
    for (const version of page) {
      yield rules.decodeRow({ ...(row.lazy as JsonObject), ...version.data });
    }
    const end = page.at(-1);
    if (end === undefined) return;
    last = [String(end.owner), String(end.id)];
  }
}

/** The declaration with all rights: a migration is not a caller. */
export function unguarded(table: TableDef): TableDef {
  return { ...table, perm: 7, fields: table.fields.map((field) => ({ ...field, perm: 7 })) };
}
