/**
 * Functions, tables and queries against the build, and the state of the garbage collector.
 *
 * @module
 */
import type postgres from "postgres";
import type { ExecDef } from "../../../_internal/manifest.ts";
import { readStored, type StoredTable } from "../../migrate/applied.ts";
import { functionsDigest } from "../../migrate/bootstrap.ts";
import { checksOf, forgedChecks, tableCheck } from "../../migrate/checks.ts";
import { identifier, literal } from "../../migrate/definer.ts";
import { askTables } from "../../migrate/every_table.ts";
import { execsDigest } from "../../migrate/exec/install.ts";
import { followsGroups, USERS } from "../../migrate/groups.ts";
import { FUNCTIONS_VERSION } from "../../migrate/mod.ts";
import { FROZEN } from "../../migrate/rebuild.ts";
import type { MigrationStatus } from "../../migrate/status.ts";
import { type Finding, ok, trouble, warning } from "./finding.ts";

const MIGRATE = "Run 'kontract migrate up'.";
/** Suffixes of the indexes that every data table has. */
export const OWN_INDEXES: readonly string[] = ["live", "old", "changed", "order"];
const MARKER_LATE_MINUTES = 10;
const GARBAGE_NOTED = 10_000;

/** The installed functions: this build's, and as it wrote them. As the owner. */
export async function checkFunctions(
  tx: postgres.TransactionSql,
  meta: ReadonlyMap<string, string>,
): Promise<Finding> {
  if (meta.get("generic") !== FUNCTIONS_VERSION) {
    return trouble("functions", "The functions in the database are another version's.", MIGRATE);
  }
  const forged = await forgedChecks(tx);
  if (forged.length > 0) {
    return trouble(
      "functions",
      `Checks of tables are not as a migration wrote them: ${forged.join(", ")}.`,
      "Find out who. To have them written anew: update kontract_private.meta set value = '' where " +
        "name = 'state'; update kontract_private.tenants set state = ''; then run 'kontract migrate up'.",
    );
  }
  if (meta.get("functions") !== await functionsDigest(tx)) {
    return trouble(
      "functions",
      "Functions in the database are not as the last migration wrote them: somebody changed them.",
      "Find out who. To have them written anew: update kontract_private.meta set value = '' where " +
        "name in ('state', 'generic'), then run 'kontract migrate up'.",
    );
  }
  return ok("functions", "The functions are this build's, unchanged.");
}

/** Declared against applied, and applied against what is really there. As the owner. */
export async function checkSchema(
  tx: postgres.TransactionSql,
  status: MigrationStatus,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { name, state } of status.files) {
    if (state === "pending") {
      findings.push(warning("schema", `Migration '${name}' is not applied.`, MIGRATE));
    } else if (state !== "applied") {
      findings.push(trouble(
        "schema",
        `Migration '${name}' was applied and is now ${state}.`,
        `Restore migrations/${name}.ts as it was.`,
      ));
    }
  }
  for (const { message } of status.problems) {
    findings.push(
      trouble("schema", message, "Run 'kontract migrate create <name>' and finish the file."),
    );
  }
  for (const step of status.steps) {
    findings.push(warning("schema", `The source is ahead of the database: ${step}.`, MIGRATE));
  }
  for (const name of status.undeclared) {
    findings.push(warning(
      "schema",
      `Table '${name}' is not declared any more and is kept.`,
      "Leave it, or drop it in a migration with m.dropTable.",
    ));
  }
  for (const row of await readStored(tx)) findings.push(...await checkTable(tx, row));
  return findings.length > 0 ? findings : [ok("schema", "The tables are as declared.")];
}

/** Tables whose rows or counter are gone: what else is asked about a schema would fail. As the owner. */
export async function checkData(tx: postgres.TransactionSql): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { id, ptr } of await readStored(tx)) {
    const [there] = await tx`
      select to_regclass(${physical(ptr)}) is not null
         and to_regclass(${physical(`${ptr}_seq`)}) is not null as yes`;
    if (there?.yes === true) continue;
    findings.push(trouble("schema", `The data of table '${id}' are gone.`, "Restore a backup."));
  }
  return findings;
}

function physical(name: string): string {
  return `kontract_private.${identifier(name)}`;
}

async function checkTable(
  tx: postgres.TransactionSql,
  row: StoredTable,
): Promise<readonly Finding[]> {
  const ptr = physical(row.ptr);
  const findings: Finding[] = [];
  const indexes = await tx`
    select c.relname as name, i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid
     where i.indrelid = to_regclass(${ptr})`;
  const valid = new Set(indexes.filter((index) => index.valid).map(({ name }) => String(name)));
  const wanted = [
    ...OWN_INDEXES.map((suffix) => `${row.ptr}_${suffix}`),
    ...Object.keys(row.indexes),
  ];
  const missing = wanted.filter((name) => !valid.has(name));
  if (missing.length > 0) {
    const declared = missing.map((name) => row.indexes[name]?.join(", ") ?? name);
    findings.push(trouble(
      "schema",
      `Table '${row.id}' lacks ${missing.length} of its indexes (${declared.join("; ")}).`,
      "update kontract_private.meta set value = '' where name = 'state', then run 'kontract migrate up'.",
    ));
  }
  const [frozen] = await tx`select 1 from pg_constraint
    where conrelid = to_regclass(${ptr}) and conname = ${FROZEN}`;
  if (frozen !== undefined) {
    findings.push(trouble(
      "schema",
      `Table '${row.id}' is frozen.`,
      `alter table ${ptr} drop constraint ${FROZEN}`,
    ));
  }
  const { name } = tableCheck(row.def.table, row.def.types, row.lazy);
  if ((await checksOf(tx, row.ptr)).get(name) !== true) {
    findings.push(warning("schema", `Table '${row.id}' lacks its check.`, MIGRATE));
  }
  if (row.id === USERS && !(await followsGroups(tx, row.ptr))) {
    findings.push(trouble(
      "schema",
      `Table '${USERS}' lacks the trigger that brings changed groups to open sessions.`,
      `update kontract_private.meta set value = '' where name = 'state', then run 'kontract migrate up'.`,
    ));
  }
  return findings;
}

/** The build's queries against the stored ones, and these against what was stored. As the owner. */
export async function checkQueries(
  tx: postgres.TransactionSql,
  meta: ReadonlyMap<string, string>,
  execs: readonly ExecDef[],
): Promise<readonly Finding[]> {
  if (meta.get("execs") !== await execsDigest(tx)) {
    return [trouble(
      "queries",
      "Queries in the database are not as the last migration wrote them: somebody changed them.",
      "Find out who. To have them written anew: update kontract_private.meta set value = '' where " +
        "name = 'state', then run 'kontract migrate up'.",
    )];
  }
  const rows = await tx`select id from kontract_private.execs`;
  const stored = new Set(rows.map(({ id }) => String(id)));
  const missing = execs.filter(({ id }) => !stored.has(id));
  if (missing.length === 0) return [ok("queries", "The queries are this build's, unchanged.")];
  return missing.map(({ source: { file, line } }) =>
    warning("queries", `The query at ${file}:${line} is not stored.`, MIGRATE)
  );
}

/** Markers, horizon, and what waits to be removed in all tenants. As the owner. */
export async function checkGarbage(
  tx: postgres.TransactionSql,
  adminUrl: string,
): Promise<Finding> {
  const [row] = await tx`
    select floor(extract(epoch from now() - max(m.at)) / 60)::int as minutes,
           (select o.horizon::text from kontract_private.markers o
             where o.at < now() - interval '2 hours' order by o.at desc limit 1) as horizon,
           (select floor(extract(epoch from now() - min(r.at)) / 60)::int
             from kontract_private.migrations r) as age
      from kontract_private.markers m`;
  const cron =
    "Let the app's schedule run (Workers: its cron trigger), or run 'kontract gc' by a timer.";
  if (row?.minutes === null || row?.minutes === undefined) {
    const age = Number(row?.age ?? 0);
    // An hour is what every version is kept.
    return age < 60
      ? ok("garbage", `Nothing is to be collected yet: the database is ${age} minutes old.`)
      : warning("garbage", "Garbage collection has never run.", cron);
  }
  if (Number(row.minutes) > MARKER_LATE_MINUTES) {
    return warning("garbage", `Garbage collection last ran ${row.minutes} minutes ago.`, cron);
  }
  let waiting = 0;
  if (row.horizon !== null) {
    const closed = `select count(*) from (select 1 from kontract_private.%1$I u
      where u._deleted_txid < ${literal(String(row.horizon))}::xid8 limit ${GARBAGE_NOTED}) o`;
    for await (const { answer } of askTables({ adminUrl, name: "kontract doctor" }, closed)) {
      waiting += answer;
      if (waiting >= GARBAGE_NOTED) break;
    }
  }
  return waiting >= GARBAGE_NOTED
    ? warning(
      "garbage",
      `${waiting} or more old versions wait to be removed.`,
      "Run 'kontract gc' once.",
    )
    : ok("garbage", `Garbage collection ran ${row.minutes} minutes ago; ${waiting} versions wait.`);
}
