/**
 * A new life for data that were restored from a logical dump: transaction ids are rewritten so that this
 * cluster can order them, and a new epoch ends every snapshot, session and resume token of the old one.
 *
 * Old versions go (nobody has a snapshot for them), live ones keep their order. Each tenant is a transaction
 * of its own, since one for all would need more locks than a server has. Meanwhile the database has no
 * identity, so it serves nobody, also where a rebase was cut off: the next one does it all again.
 *
 * @module
 */
import type postgres from "postgres";
import { withAdmin } from "./admin.ts";
import { readMeta, writeMeta } from "./bootstrap.ts";
import { EXEC_ROLE, EXEC_SCHEMA, identifier, OWNER_ROLE } from "./definer.ts";
import { databaseIdentity, IDENTITY_NOTE, isDisowned, rebaseReason, REBASING } from "./identity.ts";
import { tableLock } from "./lock_keys.ts";
import { dropPhysical } from "./rebuild.ts";
import { ensureRoles } from "./roles.ts";
import { LEDGER_TABLES } from "./schema.sql.ts";
import { DEFAULT_TENANT } from "../tenant_name.ts";
import { withMigrationLock } from "./session_lock.ts";
import { hasTenants } from "./tenant_rows.ts";
import { TENANTS_LOCK } from "./tenants.sql.ts";

/** What a rebase needs. */
export interface RebaseOptions {
  readonly adminUrl: string;
  readonly gatewayRole: string;
  /** Also where the data are at home: what was handed out ends anyway. */
  readonly force?: boolean;
}

/** What a rebase did. */
export interface RebaseReport {
  /** True where the data are at home and nothing was done. */
  readonly unneeded: boolean;
  /** One sentence per table with a change, and one for the epoch. */
  readonly steps: readonly string[];
}

/** Older than every transaction of any cluster. */
const FIRST_XID = "3";
/** Tenants whose tables one connection rewrites. */
const PAGE_TENANTS = 50;

/** Rewrites transaction ids. Run `up` afterwards: rights are given anew there. */
export async function rebase(options: RebaseOptions): Promise<RebaseReport> {
  const admin = { adminUrl: options.adminUrl, name: "kontract migrate rebase" };
  return await withAdmin(admin, (sql) =>
    withMigrationLock(sql, async () => {
      await ensureRoles(sql, { name: options.gatewayRole });
      if (options.force !== true && await isAtHome(sql, options.adminUrl)) {
        return { unneeded: true, steps: [] };
      }
      const tenants = await sql.begin(begin) as readonly string[];
      const steps: string[] = [];
      // A connection remembers each table it has met: see `every_table.ts`.
      for (let n = 0; n < tenants.length; n += PAGE_TENANTS) {
        const page = tenants.slice(n, n + PAGE_TENANTS);
        steps.push(...await withAdmin(admin, (other) => rewriteTenants(other, page)));
      }
      if (tenants.length > 0) await sql.begin((tx) => end(tx, steps));
      return { unneeded: false, steps };
    }));
}

async function isAtHome(sql: postgres.Sql, adminUrl: string): Promise<boolean> {
  if (await isDisowned(sql)) return false;
  const meta = await sql.begin(readMeta) as ReadonlyMap<string, string>;
  return meta.size > 0 && await rebaseReason(sql, adminUrl, meta.get(IDENTITY_NOTE)) === null;
}

/** From here until the end no session opens and no migration runs. Answers with all tenants. */
async function begin(tx: postgres.TransactionSql): Promise<readonly string[]> {
  const [found] = await tx`select to_regclass('kontract.storage') is not null as yes`;
  if (found?.yes !== true) return [];
  await takeOwnership(tx);
  await readMeta(tx); // fails here, not half-way, where the owner may not read
  // A tenant that is being made would have the old epoch.
  await tx.unsafe(`select pg_advisory_xact_lock(${TENANTS_LOCK})`);
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  for (const statement of LEDGER_TABLES) await tx.unsafe(statement);
  await writeMeta(tx, { [IDENTITY_NOTE]: REBASING });
  const epoch = crypto.getRandomValues(new Uint8Array(16)).toHex();
  await tx`update kontract.storage set horizon = '0', epoch = ${epoch}`;
  for (
    const table of ["kontract.trxs", "kontract_private.markers", "kontract_private.incarnation"]
  ) {
    await tx.unsafe(`delete from ${table}`);
  }
  const rows = await tx`select distinct owner from kontract.storage order by owner`;
  return rows.map(({ owner }) => String(owner));
}

async function rewriteTenants(
  sql: postgres.Sql,
  tenants: readonly string[],
): Promise<readonly string[]> {
  const steps: string[] = [];
  for (const tenant of tenants) {
    await sql.begin(async (tx) => {
      await tx.unsafe(`set local role ${OWNER_ROLE}`);
      steps.push(...await rewriteTenant(tx, tenant));
    });
  }
  return steps;
}

async function rewriteTenant(
  tx: postgres.TransactionSql,
  tenant: string,
): Promise<readonly string[]> {
  const steps: string[] = [];
  await tx`select pg_advisory_xact_lock(l.h) from (
    select ${tx.unsafe(tableLock("owner", "id"))} as h from kontract.storage
     where owner = ${tenant} order by 1) l`;
  const tables = await tx`
    select id, ptr, retired->>'ptr' as retired from kontract.storage
     where owner = ${tenant} order by id`;
  const of = tenant === DEFAULT_TENANT ? "" : ` of tenant '${tenant}'`;
  for (const { id, ptr, retired } of tables) {
    const name = `kontract_private.${identifier(String(ptr))}`;
    await tx.unsafe(`alter table ${name} disable trigger user`);
    const closed = await tx.unsafe(`delete from ${name} where _deleted_txid is not null`);
    const moved = await tx.unsafe(
      `update ${name} set _txid = '${FIRST_XID}', _born = '${FIRST_XID}'
        where not (pg_visible_in_snapshot(_txid, pg_current_snapshot())
                   and pg_visible_in_snapshot(_born, pg_current_snapshot()))`,
    );
    await tx.unsafe(`alter table ${name} enable trigger user`);
    if (retired !== null) await dropPhysical(tx, String(retired));
    if (closed.count + moved.count > 0) {
      steps.push(
        `table '${id}'${of}: ${moved.count} rows rebased, ${closed.count} old versions removed`,
      );
    }
  }
  await tx`update kontract.storage set swap_txid = null, retired = null where owner = ${tenant}`;
  return steps;
}

async function end(tx: postgres.TransactionSql, steps: string[]): Promise<void> {
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  // Rights do not survive every restore; the next `up` gives them anew.
  await tx`update kontract_private.meta set value = '' where name = 'state' or name like 'state %'`;
  if (await hasTenants(tx)) await tx`update kontract_private.tenants set state = ''`;
  await writeMeta(tx, { [IDENTITY_NOTE]: await databaseIdentity(tx) });
  steps.push("new epoch: every session, snapshot and resume token of before has ended");
  await tx`insert into kontract_private.migrations (steps) values (${
    JSON.stringify(["rebase", ...steps])
  }::text::jsonb)`;
}

/** A restore without roles leaves everything to whoever restored. As admin. */
async function takeOwnership(tx: postgres.TransactionSql): Promise<void> {
  await tx.unsafe(`do $do$ declare o record; begin
    for o in select format('alter schema %I owner to ${OWNER_ROLE}', n.nspname) as text from pg_namespace n
              where n.nspname in ('kontract', 'kontract_private', '${EXEC_SCHEMA}')
                and pg_get_userbyid(n.nspowner) <> '${OWNER_ROLE}'
       union all
      select format('alter %s %s owner to ${OWNER_ROLE}',
               case c.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end, c.oid::regclass)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname in ('kontract', 'kontract_private', '${EXEC_SCHEMA}') and c.relkind in ('r', 'S', 'v')
         and pg_get_userbyid(c.relowner) <> '${OWNER_ROLE}'
         and not exists (select 1 from pg_depend d where d.objid = c.oid and d.deptype in ('a', 'i'))
       union all
      select format('alter function %s owner to ${OWNER_ROLE}', p.oid::regprocedure)
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname in ('kontract', 'kontract_private')
         and pg_get_userbyid(p.proowner) <> '${OWNER_ROLE}'
       union all
      select format('drop function %s', p.oid::regprocedure) -- made anew by the next run
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname = '${EXEC_SCHEMA}' and pg_get_userbyid(p.proowner) <> '${EXEC_ROLE}' loop
      execute o.text;
    end loop; end $do$`);
}
