/**
 * Deliberately broken builds: the functions of a scratch database, altered in place. They prove that the
 * checks of the random histories can fail.
 *
 * @module
 */
import type postgres from "postgres";

/** What a broken build leaves out. */
export type Fault =
  | "no predicate validation"
  | "no locks"
  | "effects recorded last"
  | "groups that do not look at versions"
  | "groups that apply a request again"
  | "groups that keep no old versions";

const ALTERATIONS: Readonly<Record<Fault, (definition: string) => string>> = {
  "no predicate validation": (definition) =>
    definition.includes("FUNCTION kontract_private.validate_predicate(")
      ? definition.replace(
        /AS \$function\$[\s\S]*\$function\$/,
        "AS $function$ begin end $function$",
      )
      : definition,
  "no locks": (definition) =>
    definition.replaceAll(
      /pg_(?:try_)?advisory_xact_lock(?:_shared)?\(/g,
      "kontract_private.no_lock(",
    ),
  "effects recorded last": recordLast,
  "groups that do not look at versions": inGroups("t._txid = k.seen", "true"),
  "groups that apply a request again": inGroups("and m.n <> all (v_out)", ""),
  "groups that keep no old versions": inGroups("where u.ctid = any (v_rows);", "where false;"),
};

/** Replaces the first place in each function that commits a group. */
function inGroups(text: string, other: string): (definition: string) => string {
  return (definition) =>
    definition.includes("FUNCTION kontract.put_group_")
      ? definition.replace(text, other)
      : definition;
}

/** Turns "insert, and stop where it was there" into "look, and insert at the end". */
function recordLast(definition: string): string {
  const record =
    /(insert into effects [^;]*?values \(([^,]+), ([^,]+), p_lane[^;]*);\s*if not found then/;
  const found = record.exec(definition);
  if (found === null) return definition;
  const [, insert, tenant, owner] = found;
  const look = `if exists (select 1 from effects e where e.tenant = ${tenant} and e.owner = ${owner}
    and e.lane = p_lane and e.reqno = p_reqno) then`;
  const looking = definition.replace(record, () => look);
  const end = Math.max(
    ...["\n     return ", "\n     txid :="].map((text) => looking.lastIndexOf(text)),
  );
  return `${looking.slice(0, end)}\n if p_lane is not null then ${insert}; end if;${
    looking.slice(end)
  }`;
}

/** Breaks the installed build. Throws where nothing of the kind was found in it. */
export async function breakBuild(admin: postgres.Sql, fault: Fault): Promise<void> {
  await admin.unsafe(`create function kontract_private.no_lock(bigint) returns boolean
    language sql volatile security definer as 'select true'`);
  await admin.unsafe("grant execute on function kontract_private.no_lock(bigint) to public");
  const functions = await admin`
    select pg_get_functiondef(p.oid) as definition from pg_proc p
     where p.pronamespace in ('kontract'::regnamespace, 'kontract_private'::regnamespace)`;
  let altered = 0;
  for (const { definition } of functions) {
    const broken = ALTERATIONS[fault](String(definition));
    if (broken === definition) continue;
    await admin.unsafe(broken);
    altered++;
  }
  if (altered === 0) throw new Error(`There is nothing to alter for '${fault}'.`);
}
