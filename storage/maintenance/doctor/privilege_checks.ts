/**
 * What the gateway's role may do: exactly what a migration gave it, or it is said here.
 *
 * @module
 */
import type postgres from "postgres";
import { EXEC_ROLE, OWNER_ROLE } from "../../migrate/definer.ts";
import { hardeningFindings } from "../../migrate/hardening.ts";
import { type Finding, ok, trouble, warning } from "./finding.ts";

const GIVE = "Run 'kontract migrate up', which gives exactly the rights that are needed.";

/** Looks at roles, tables, schemas and functions. As admin. */
export async function checkPrivileges(
  tx: postgres.TransactionSql,
  gateway: string,
): Promise<readonly Finding[]> {
  const [role] = await tx`
    select rolcanlogin as login, array_remove(array[
        case when rolsuper then 'superuser' end, case when rolcreatedb then 'createdb' end,
        case when rolcreaterole then 'createrole' end, case when rolbypassrls then 'bypassrls' end,
        case when rolreplication then 'replication' end, case when rolinherit then 'inherit' end], null) as flags
      from pg_roles where rolname = ${gateway}`;
  if (role === undefined) {
    return [trouble("privileges", `There is no role '${gateway}'.`, GIVE)];
  }
  const findings: Finding[] = [];
  const flags = role.flags as readonly string[];
  if (flags.length > 0) {
    const undo = flags.map((flag) => `no${flag}`).join(" ");
    findings.push(trouble(
      "privileges",
      `Role '${gateway}' is ${flags.join(", ")}.`,
      `alter role ${gateway} ${undo}`,
    ));
  }
  if (role.login !== true) {
    findings.push(
      trouble("privileges", `Role '${gateway}' may not log in.`, `alter role ${gateway} login`),
    );
  }
  findings.push(
    ...await checkInner(tx, OWNER_ROLE, "read and change everything"),
    ...await checkInner(tx, EXEC_ROLE, "run queries of its own in anybody's name"),
    ...await checkExecRole(tx),
    ...await checkObjects(tx, gateway),
  );
  for (const { message, fix } of await hardeningFindings(tx, gateway)) {
    findings.push(warning("privileges", message, fix));
  }
  return findings.length > 0
    ? findings
    : [ok("privileges", `Role '${gateway}' may do what a migration gave it and nothing else.`)];
}

/** A role that nobody logs in as. */
async function checkInner(
  tx: postgres.TransactionSql,
  role: string,
  could: string,
): Promise<readonly Finding[]> {
  const rows = await tx`
    select r.rolcanlogin or r.rolsuper as wide, array_to_json(array(
        select m.member::regrole::text from pg_auth_members m join pg_roles l on l.oid = m.member
         where m.roleid = r.oid and l.rolcanlogin and not l.rolsuper and not l.rolcreaterole)) as members
      from pg_roles r where r.rolname = ${role}`;
  if (rows.length === 0) return [trouble("privileges", `There is no role '${role}'.`, GIVE)];
  const findings: Finding[] = [];
  if (rows[0]!.wide === true) {
    findings.push(trouble(
      "privileges",
      `Role '${role}' may log in or is a superuser.`,
      `alter role ${role} nologin nosuperuser`,
    ));
  }
  for (const member of rows[0]!.members as readonly string[]) {
    findings.push(warning(
      "privileges",
      `Role ${member} may act as '${role}', so it can ${could}.`,
      `revoke ${role} from ${member}, unless it is the one that migrates`,
    ));
  }
  return findings;
}

/** The role that queries run as has its views, and what they ask. */
async function checkExecRole(tx: postgres.TransactionSql): Promise<readonly Finding[]> {
  const rows = await tx`
    select o.name from (
        select c.oid::regclass::text as name, c.relnamespace as space, c.relacl as acl from pg_class c
         union all
        select format('function %s', p.oid::regprocedure), p.pronamespace, p.proacl from pg_proc p
         where p.proname <> 'exec_owner') o, aclexplode(o.acl) a
     where o.space in ('kontract'::regnamespace, 'kontract_private'::regnamespace)
       and a.grantee = (select r.oid from pg_roles r where r.rolname = ${EXEC_ROLE}) limit 1`;
  return rows.map(({ name }) =>
    trouble(
      "privileges",
      `Role '${EXEC_ROLE}', which runs the queries of 'exec', has rights on ${name}.`,
      `revoke all on ${name} from ${EXEC_ROLE}`,
    )
  );
}

async function checkObjects(
  tx: postgres.TransactionSql,
  gateway: string,
): Promise<readonly Finding[]> {
  const any = "select,insert,update,delete,truncate,references,trigger";
  const [row] = await tx`
    select
      has_schema_privilege(${gateway}, 'kontract', 'usage') as usage,
      has_schema_privilege(${gateway}, 'kontract', 'create')
        or has_schema_privilege(${gateway}, 'kontract_private', 'usage,create')
        or coalesce(has_schema_privilege(${gateway}, to_regnamespace('kontract_exec'), 'usage,create'), false)
        as schemas,
      array_to_json(array(select c.oid::regclass::text from pg_class c
        where c.relnamespace in ('kontract'::regnamespace, 'kontract_private'::regnamespace)
          and c.relkind in ('r', 'v', 'm', 'p') and has_table_privilege(${gateway}, c.oid, ${any}))) as tables,
      array_to_json(array(select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace in ('kontract_private'::regnamespace, to_regnamespace('kontract_exec'))
          and has_function_privilege(${gateway}, p.oid, 'execute'))) as helpers,
      array_to_json(array(select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace in
            ('kontract'::regnamespace, 'kontract_private'::regnamespace, to_regnamespace('kontract_exec'))
          and (p.proacl is null or exists (select 1 from aclexplode(p.proacl) a where a.grantee = 0)))) as public,
      array_to_json(array(select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'kontract'::regnamespace
          and not has_function_privilege(${gateway}, p.oid, 'execute'))) as missing,
      array_to_json(array(select o.name from (
          select p.oid::regprocedure::text as name, p.proowner as owner from pg_proc p
           where p.pronamespace in ('kontract'::regnamespace, 'kontract_private'::regnamespace)
           union all
          select c.oid::regclass::text, c.relowner from pg_class c
           where c.relnamespace in ('kontract'::regnamespace, 'kontract_private'::regnamespace)
             and c.relkind in ('r', 'v', 'S')) o
        where pg_get_userbyid(o.owner) <> ${OWNER_ROLE})) as foreign,
      array_to_json(array(select c.oid::regclass::text from pg_class c
        where c.oid in ('kontract.storage'::regclass, 'kontract.trxs'::regclass)
          and not c.relrowsecurity)) as open`;
  const findings: Finding[] = [];
  const list = (name: string): readonly string[] => row![name] as readonly string[];
  const say = (name: string, message: string, fix: string): void => {
    const found = list(name);
    if (found.length === 0) return;
    const names = found.slice(0, 4).join(", ") + (found.length > 4 ? `, … (${found.length})` : "");
    findings.push(trouble("privileges", `${message}: ${names}.`, fix));
  };
  if (row!.usage !== true) {
    findings.push(trouble("privileges", `Role '${gateway}' may not use schema 'kontract'.`, GIVE));
  }
  if (row!.schemas === true) {
    findings.push(trouble(
      "privileges",
      `Role '${gateway}' may create in schema 'kontract' or use schema 'kontract_private' or 'kontract_exec'.`,
      `revoke create on schema kontract from ${gateway}; ` +
        `revoke all on schema kontract_private, kontract_exec from ${gateway}`,
    ));
  }
  say(
    "tables",
    `Role '${gateway}' has rights on whole tables`,
    `revoke all on them from ${gateway} and public`,
  );
  say(
    "helpers",
    `Role '${gateway}' may execute private functions`,
    `revoke all on them from ${gateway} and public`,
  );
  say(
    "public",
    "Everyone may execute",
    "revoke all on them from public; then run 'kontract migrate up'",
  );
  say("missing", `Role '${gateway}' may not execute`, GIVE);
  say("foreign", `Objects do not belong to '${OWNER_ROLE}'`, `alter … owner to ${OWNER_ROLE}`);
  say("open", "Row policies are off", "alter table … enable row level security");
  return findings;
}
