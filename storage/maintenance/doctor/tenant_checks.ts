/**
 * Tenants: who lags behind the last migration, and whose tables are not whole. Two statements however many
 * tables there are.
 *
 * @module
 */
import type postgres from "postgres";
import { GROUPS_TRIGGER, USERS } from "../../migrate/groups.ts";
import { hasTenants } from "../../migrate/tenant_rows.ts";
import type { MigrationStatus } from "../../migrate/status.ts";
import { type Finding, ok, trouble, warning } from "./finding.ts";
import { OWN_INDEXES } from "./schema_checks.ts";

const NAMED = 5;

/** Looks at all tenants beside `main`. As the owner. */
export async function checkTenants(
  tx: postgres.TransactionSql,
  status: MigrationStatus,
): Promise<readonly Finding[]> {
  if (!(await hasTenants(tx))) return [];
  const findings: Finding[] = [];
  if (status.lagging.length > 0) {
    findings.push(warning(
      "tenants",
      `${status.lagging.length} tenant(s) lag behind the last migration: ${some(status.lagging)}.`,
      "Run 'kontract migrate up'.",
    ));
  }
  for (const { tenant, what, tables } of await brokenTables(tx)) {
    findings.push(
      what === "part"
        ? trouble(
          "tenants",
          `Tenant '${tenant}': the data, the counter or an index of ${some(tables)} are gone.`,
          "Restore a backup; for indexes alone: update kontract_private.tenants set state = '', " +
            "then run 'kontract migrate up'.",
        )
        : trouble(
          "tenants",
          `Tenant '${tenant}': a trigger of ${some(tables)} is gone or does not always fire.`,
          "update kontract_private.tenants set state = '', then run 'kontract migrate up'.",
        ),
    );
  }
  if (findings.length > 0) return findings;
  const [row] = await tx`select count(*)::int as n from kontract_private.tenants`;
  return [ok("tenants", `${row!.n} tenant(s) beside 'main', all as they should be.`)];
}

/** What a table lacks: its data, counter or an index, or a trigger. */
type Lack = "part" | "trigger";

async function brokenTables(
  tx: postgres.TransactionSql,
): Promise<
  readonly { readonly tenant: string; readonly what: Lack; readonly tables: readonly string[] }[]
> {
  // One hash join of all names: asked table by table it would take minutes where there are thousands. Of a check
  // any will do, since each is of some declaration, and who lags has another one.
  const rows = await tx`
    with wanted as (select st.owner, st.id, w.what, w.name from kontract.storage st, lateral (
             select 'part' as what, st.ptr as name union all select 'part', st.ptr || '_seq'
             union all select 'part', st.ptr || '_' || o
               from jsonb_array_elements_text(${JSON.stringify(OWN_INDEXES)}::text::jsonb) o
             union all select 'part', jsonb_object_keys(st.indexes)
             union all select 'trigger', st.ptr || ' shape'
             union all select 'trigger', st.ptr || ' ' || ${GROUPS_TRIGGER} where st.id = ${USERS}) w
            where st.owner in (select t.name from kontract_private.tenants t)),
         there as (select c.relname::text as name from pg_class c
                     left join pg_index i on i.indexrelid = c.oid
                    where c.relnamespace = 'kontract_private'::regnamespace and i.indisvalid is not false
                   union all
                   select c.relname || ' ' || case when t.tgname like 'shape\\_%' then 'shape' else t.tgname end
                     from pg_trigger t join pg_class c on c.oid = t.tgrelid
                    where c.relnamespace = 'kontract_private'::regnamespace and t.tgenabled = 'A')
    select w.owner as tenant, w.what, json_agg(distinct w.id) as tables from wanted w
     where not exists (select 1 from there where there.name = w.name)
     group by w.owner, w.what order by w.owner, w.what limit 50`;
  return rows.map((row) => ({
    tenant: String(row.tenant),
    what: row.what as Lack,
    tables: (row.tables as readonly string[]).map((name) => `'${name}'`),
  }));
}

function some(names: readonly string[]): string {
  return names.slice(0, NAMED).join(", ") + (names.length > NAMED ? ", …" : "");
}
