/**
 * What every migration installs beside the tables: keys, rights on functions, and notes of what is there.
 *
 * @module
 */
import type postgres from "postgres";
import { identifier, OWNER_ROLE } from "./definer.ts";
import type { VerificationKey } from "./verification_keys.ts";

/** What earlier migrations noted. */
export async function readMeta(tx: postgres.TransactionSql): Promise<ReadonlyMap<string, string>> {
  const [found] = await tx`select to_regclass('kontract_private.meta') is not null as yes`;
  if (found?.yes !== true) return new Map();
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  const rows = await tx`select name, value from kontract_private.meta`;
  await tx.unsafe("reset role");
  return new Map(rows.map((row) => [String(row.name), String(row.value)]));
}

/** Notes values by name. */
export async function writeMeta(
  tx: postgres.TransactionSql,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    await tx`insert into kontract_private.meta (name, value) values (${name}, ${value})
      on conflict (name) do update set value = excluded.value`;
  }
}

/** Begins the names of notes of builds that have migrated. */
export const BUILD_NOTE = "build ";

/** Builds that are remembered. */
const BUILDS = 200;

/** Notes that a build has migrated. */
export async function noteBuild(tx: postgres.TransactionSql, build: string): Promise<void> {
  await writeMeta(tx, { [`${BUILD_NOTE}${build}`]: new Date().toISOString() });
  await tx`
    delete from kontract_private.meta where name in (
      select name from kontract_private.meta where starts_with(name, ${BUILD_NOTE})
       order by value desc offset ${BUILDS})`;
}

/**
 * Another version of Kontract made them: signatures may differ, so all are made anew. But for those that a
 * trigger or a view calls, which belong to the tables (see `checks.ts`) of every tenant.
 */
export async function dropFunctions(tx: postgres.TransactionSql): Promise<void> {
  await tx.unsafe(`do $do$ declare f regprocedure; begin
    for f in select p.oid from pg_proc p where p.proname not like 'shape\\_%' and p.proname not in ('sync_groups', 'exec_owner')
        and p.pronamespace in
        (select n.oid from pg_namespace n where n.nspname in ('kontract', 'kontract_private', 'kontract_exec')) loop
      execute format('drop function if exists %s cascade', f);
    end loop; end $do$`);
}

/** Replaces all verification keys: a secret that is gone verifies nothing any more. */
export async function installKeys(
  tx: postgres.TransactionSql,
  keys: readonly VerificationKey[],
): Promise<void> {
  await tx`delete from kontract_private.keys
    where kid <> all (array(select jsonb_array_elements_text(${
    JSON.stringify(keys.map((key) => key.kid))
  }::text::jsonb)))`;
  for (const key of keys) {
    await tx`insert into kontract_private.keys (kid, header, ipad, opad)
      values (${key.kid}, ${key.header}, decode(${key.ipad.toHex()}, 'hex'), decode(${key.opad.toHex()}, 'hex'))
      on conflict (kid) do nothing`;
  }
}

/** EXECUTE one by one: on what the gateway calls and nothing else. A restore may have given it to everyone. */
export async function grantFunctions(tx: postgres.TransactionSql, gateway: string): Promise<void> {
  await tx.unsafe("revoke all on all functions in schema kontract_private from public");
  const rows = await tx`
    select p.oid::regprocedure::text as signature from pg_proc p
     where p.pronamespace = 'kontract'::regnamespace order by 1`;
  for (const row of rows) {
    await tx.unsafe(`revoke all on function ${row.signature} from public`);
    await tx.unsafe(`grant execute on function ${row.signature} to ${identifier(gateway)}`);
  }
}

/**
 * What is installed as functions, as one word: another one means that somebody changed something. But for the
 * functions of checks, which come and go with tables after a migration too, and have a hash in their names.
 */
export async function functionsDigest(tx: postgres.TransactionSql): Promise<string> {
  const [row] = await tx`
    select md5(coalesce(string_agg(concat_ws(chr(10), n.nspname, p.proname, p.proargnames::text, p.prosrc,
             p.proconfig::text, p.prosecdef, p.provolatile, pg_get_userbyid(p.proowner)), chr(10)
             order by n.nspname, p.proname, p.proargnames::text, p.prosrc), '')) as digest
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('kontract', 'kontract_private', 'kontract_exec') and p.proname not like 'shape\\_%'`;
  return String(row!.digest);
}
