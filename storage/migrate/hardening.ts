/**
 * What a database gives to everyone, and whether Kontract may take it away.
 *
 * PostgreSQL lets every role connect, make temporary objects and, up to version 14, create in schema
 * `public`. Where a database is Kontract's alone these rights of PUBLIC are revoked. Where others use it
 * too (a corner of somebody's PostgreSQL) nothing of theirs is touched: what the gateway role may do
 * through PUBLIC is told as a finding instead, each with the statement that would mend it.
 *
 * Nothing in the functions relies on these revokes: they name `pg_temp` last in their search path.
 *
 * @module
 */
import type postgres from "postgres";
import { KontractError } from "../../_internal/errors.ts";
import { EXEC_ROLE, EXEC_SCHEMA, identifier, OWNER_ROLE } from "./definer.ts";

/**
 * How far a migration may go.
 *
 * - `auto`: the database's own rights are changed if it is empty at its first migration;
 * - `database`: they are changed, whoever else uses it;
 * - `own`: only Kontract's schemas and roles are touched.
 */
export type Hardening = "auto" | "database" | "own";

/** Something that the database still gives to more than it should. */
export interface MigrationFinding {
  /** Stable name of the finding. */
  readonly code: FindingCode;
  /** What was found, in one sentence. */
  readonly message: string;
  /** What to do about it: a statement where there is one. */
  readonly fix: string;
}

/** Every finding a migration can report. */
export type FindingCode =
  | "PUBLIC_CONNECT"
  | "PUBLIC_TEMP"
  | "PUBLIC_CREATE"
  | "PUBLIC_LARGE_OBJECTS"
  | "FOREIGN_OBJECTS_READABLE"
  | "GATEWAY_MEMBERSHIP";

/** Schemas that are the server's or ours. */
const OURS =
  `('pg_catalog', 'information_schema', 'pg_toast', 'kontract', 'kontract_private', 'kontract_exec')`;
/** Databases that tools of all roles connect to by default. */
const SHARED_NAMES = `('postgres', 'template0', 'template1')`;

/** Large objects and raw WAL messages are writable by PUBLIC unless taken away. */
const LARGE_OBJECTS = `p.pronamespace = 'pg_catalog'::regnamespace
      and (p.proname like 'lo\\_%' or p.proname in ('lowrite', 'loread', 'pg_logical_emit_message'))`;

const REVOKE_LARGE_OBJECTS = `do $do$ declare f regprocedure; begin
  for f in select p.oid from pg_proc p where ${LARGE_OBJECTS}
      and has_function_privilege('public', p.oid, 'execute') loop
    execute format('revoke execute on function %s from public', f);
  end loop; end $do$`;

/**
 * True where nobody but Kontract uses this database: no schema, object, grant, setting or connection of
 * anyone else. Extensions count as somebody's.
 */
export async function isAlone(sql: postgres.TransactionSql, gateway: string): Promise<boolean> {
  const [row] = await sql`
    with known as (select r.oid, r.rolname from pg_roles r
                    where r.rolname in (current_user, session_user, ${gateway}, ${OWNER_ROLE}, ${EXEC_ROLE})
                       or r.rolsuper or r.oid < 16384),
         spaces as (select n.oid from pg_namespace n
                     where n.nspname not in ${
    sql.unsafe(OURS)
  } and n.nspname !~ '^pg_(toast_)?temp_')
    select not (
      current_database() in ${sql.unsafe(SHARED_NAMES)}
      or exists (select 1 from pg_namespace n where n.oid in (select oid from spaces) and n.nspname <> 'public')
      or exists (select 1 from pg_class c where c.relnamespace in (select oid from spaces))
      or exists (select 1 from pg_proc p where p.pronamespace in (select oid from spaces))
      or exists (select 1 from pg_type t where t.typnamespace in (select oid from spaces))
      or exists (select 1 from pg_largeobject_metadata)
      or exists (select 1 from pg_default_acl a where a.defaclrole not in (select oid from known))
      or exists (select 1 from pg_db_role_setting s
                  where s.setdatabase = d.oid and s.setrole not in (select oid from known) and s.setrole <> 0)
      or exists (select 1 from aclexplode(d.datacl) a
                  where a.grantee <> 0 and a.grantee <> d.datdba and a.grantee not in (select oid from known))
      or exists (select 1 from pg_namespace n, aclexplode(n.nspacl) a
                  where n.nspname = 'public' and a.grantee <> 0 and a.grantee <> n.nspowner
                    and a.grantee not in (select oid from known))
      or exists (select 1 from pg_stat_activity s
                  where s.datid = d.oid and s.usesysid is not null and s.usesysid not in (select oid from known))
    ) as alone from pg_database d where d.datname = current_database()`;
  return row?.alone === true;
}

/**
 * Schemas and their rights, as admin, in the migration's transaction. Everything here is Kontract's own.
 *
 * @throws {KontractError} `MIGRATION_REFUSED` where a schema of that name is somebody else's.
 */
export async function makeSchemas(sql: postgres.TransactionSql, gateway: string): Promise<void> {
  const role = identifier(gateway);
  const [foreign] = await sql`
    select n.nspname as name from pg_namespace n
     where n.nspname in ('kontract', 'kontract_private', 'kontract_exec')
       and pg_get_userbyid(n.nspowner) <> ${OWNER_ROLE} limit 1`;
  if (foreign !== undefined) {
    throw new KontractError(
      "MIGRATION_REFUSED",
      `Schema '${foreign.name}' exists already and does not belong to role '${OWNER_ROLE}': it is left alone.`,
    );
  }
  for (
    const statement of [
      `create schema if not exists kontract authorization ${OWNER_ROLE}`,
      `create schema if not exists kontract_private authorization ${OWNER_ROLE}`,
      `create schema if not exists ${EXEC_SCHEMA} authorization ${OWNER_ROLE}`,
      `set local role ${OWNER_ROLE}`,
      `alter default privileges revoke execute on functions from public`,
      `revoke all on schema kontract, kontract_private, ${EXEC_SCHEMA} from public`,
      `grant usage on schema kontract to ${role}`,
      `reset role`,
    ]
  ) await sql.unsafe(statement);
  await letConnect(sql, gateway);
}

/** The gateway may connect already where PUBLIC may; a grant needs more rights than some admins have. */
async function letConnect(sql: postgres.TransactionSql, gateway: string): Promise<void> {
  const [row] = await sql`
    select current_database() as name,
           has_database_privilege(${gateway}, current_database(), 'connect') as may`;
  if (row!.may === true) return;
  await sql.unsafe(
    `grant connect on database ${identifier(String(row!.name))} to ${identifier(gateway)}`,
  );
}

/** Takes the rights of PUBLIC away: only for a database that is Kontract's, or on demand. */
export async function hardenDatabase(sql: postgres.TransactionSql, gateway: string): Promise<void> {
  const [db] = await sql`
    select current_database() as name, current_setting('is_superuser') = 'on' as super,
           exists (select 1 from pg_namespace where nspname = 'public') as public`;
  const database = identifier(String(db!.name));
  for (
    const statement of [
      `grant connect on database ${database} to ${identifier(gateway)}`,
      `revoke all on database ${database} from public`,
      ...(db!.public === true ? [`revoke all on schema public from public`] : []),
      ...(db!.super === true ? [REVOKE_LARGE_OBJECTS] : []),
    ]
  ) await sql.unsafe(statement);
}

/** What the gateway role may do beyond what Kontract gave it, as the database stands now. */
export async function hardeningFindings(
  sql: postgres.TransactionSql,
  gateway: string,
): Promise<readonly MigrationFinding[]> {
  const [row] = await sql`
    select current_database() as name,
      exists (select 1 from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
               where a.grantee = 0 and a.privilege_type = 'CONNECT') as connect,
      has_database_privilege(${gateway}, d.oid, 'temp') as temp,
      array_to_json(array(select n.nspname from pg_namespace n where n.nspname !~ '^pg_'
               and n.nspname not in ('information_schema')
               and has_schema_privilege(${gateway}, n.oid, 'create') order by 1)) as creates,
      exists (select 1 from pg_proc p where ${sql.unsafe(LARGE_OBJECTS)}
               and has_function_privilege(${gateway}, p.oid, 'execute')) as objects,
      array_to_json(array(select format('%I.%I', n.nspname, c.relname)
               from pg_class c join pg_namespace n on n.oid = c.relnamespace
              where n.nspname not in ${sql.unsafe(OURS)} and n.nspname !~ '^pg_(toast_)?temp_'
                and c.relkind in ('r', 'v', 'm', 'p', 'f')
                and has_schema_privilege(${gateway}, n.oid, 'usage')
                and (has_table_privilege(${gateway}, c.oid, 'select,insert,update,delete,truncate,references,trigger')
                  or has_any_column_privilege(${gateway}, c.oid, 'select,insert,update,references'))
              order by 1)) as readable,
      array_to_json(array(select m.roleid::regrole::text from pg_auth_members m
              where m.member = (select r.oid from pg_roles r where r.rolname = ${gateway}) order by 1)) as member
      from pg_database d where d.datname = current_database()`;
  const database = identifier(String(row!.name));
  const findings: MigrationFinding[] = [];
  const add = (code: FindingCode, message: string, fix: string): void => {
    findings.push({ code, message, fix });
  };
  if (row!.connect === true) {
    add(
      "PUBLIC_CONNECT",
      "Every role of the server may connect to this database and see the names and sizes of its objects.",
      `revoke connect on database ${database} from public`,
    );
  }
  if (row!.temp === true) {
    add(
      "PUBLIC_TEMP",
      "The gateway role may create temporary tables, because everyone may.",
      `revoke temporary on database ${database} from public`,
    );
  }
  for (const schema of row!.creates as readonly string[]) {
    add(
      "PUBLIC_CREATE",
      `The gateway role may create objects in schema '${schema}', because everyone may.`,
      `revoke create on schema ${identifier(schema)} from public`,
    );
  }
  if (row!.objects === true) {
    add(
      "PUBLIC_LARGE_OBJECTS",
      "The gateway role may create large objects, because everyone may.",
      "As a superuser, revoke execute on the lo_* functions from public.",
    );
  }
  const readable = row!.readable as readonly string[];
  if (readable.length > 0) {
    const names = readable.slice(0, 5).join(", ") + (readable.length > 5 ? ", …" : "");
    add(
      "FOREIGN_OBJECTS_READABLE",
      `The gateway role may use ${readable.length} object(s) that are not Kontract's: ${names}.`,
      "Revoke what PUBLIC has on them, and grant it to the roles that need it.",
    );
  }
  const member = row!.member as readonly string[];
  if (member.length > 0) {
    add(
      "GATEWAY_MEMBERSHIP",
      `The gateway role is a member of ${member.join(", ")} and may take on that role's rights.`,
      member.map((role) => `revoke ${role} from ${identifier(gateway)}`).join("; "),
    );
  }
  return findings;
}
