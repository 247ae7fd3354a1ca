/**
 * Which cluster and database this is. Transaction ids mean something in one cluster only, so data that
 * were restored into another one must be rebased before they are used.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { DEFAULT_TENANT } from "../tenant_name.ts";
import { OWNER_ROLE } from "./definer.ts";
import { askTables } from "./every_table.ts";
import type { Statements } from "./statements.ts";

/** Name of the note in `meta`. */
export const IDENTITY_NOTE = "system";

/** Cluster and database as one word; the cluster is unknown where a provider hides it. */
export async function databaseIdentity(sql: Statements): Promise<string> {
  const [row] = await sql`
    select oid::text as oid, has_function_privilege('pg_control_system()', 'execute') as may
      from pg_database where datname = current_database()`;
  if (row!.may !== true) return `unknown.${row!.oid}`;
  const [cluster] = await sql`select system_identifier::text as id from pg_control_system()`;
  return `${cluster!.id}.${row!.oid}`;
}

/** Noted in place of an identity while a rebase is under way: no database is this one. */
export const REBASING = "rebasing";

/** Why data of the database `noted` by an earlier migration are foreign to that of `now`, or null. */
export function foreignReason(noted: string | undefined, now: string): string | null {
  if (noted === REBASING) return "a rebase was begun and has not ended";
  if (noted === undefined) return null;
  const [[cluster, database], [ours, oid]] = [noted.split("."), now.split(".")];
  return database === oid && (cluster === ours || cluster === "unknown" || ours === "unknown")
    ? null
    : "the data were restored into another database than the one they come from";
}

/**
 * 1 where a table has a version that no transaction of this cluster can have made. What was overwritten is
 * noted beside as closed, or was removed before the horizon.
 */
const FUTURE = `select (exists (select 1 from kontract_private.%1$I where _deleted_txid >= now.xmax)
    or exists (select 1 from kontract_private.%1$I where _deleted_txid is null and _born >= now.xmax)
    or exists (select 1 from kontract.storage where ptr = %1$L and horizon >= now.xmax))::int
  from (select pg_snapshot_xmax(pg_current_snapshot()) as xmax) now`;

/** Why a rebase is needed, or null. `noted` is what the last migration wrote down. */
export async function rebaseReason(
  sql: Statements,
  adminUrl: string,
  noted: string | undefined,
): Promise<string | null> {
  const foreign = foreignReason(noted, await databaseIdentity(sql));
  if (foreign !== null) return foreign;
  for await (const found of askTables({ adminUrl, name: "kontract migrate status" }, FUTURE)) {
    const of = found.tenant === DEFAULT_TENANT ? "" : ` of tenant '${found.tenant}'`;
    return `table '${found.table}'${of} has rows from the future of this cluster: ` +
      "the data come from another one";
  }
  return null;
}

/** True where Kontract's tables are here but belong to somebody else: a restore without roles. */
export async function isDisowned(sql: Statements): Promise<boolean> {
  const rows = await sql`
    select pg_get_userbyid(c.relowner) <> ${OWNER_ROLE} as other
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where (n.nspname, c.relname) in (('kontract', 'storage'), ('kontract_private', 'meta'))`;
  return rows.length === 2 && rows.some(({ other }) => other === true);
}

/** The refusal to touch restored data. */
export function needsRebase(reason: string): KontractError {
  return new KontractError(
    "MIGRATION_REFUSED",
    `Transaction ids do not belong to this server: ${reason}. Run 'kontract migrate rebase' first.`,
  );
}
