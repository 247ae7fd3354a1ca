/**
 * Tenants: who lags behind the last migration, and whose tables are not whole. Two statements however many
 * tables there are.
 *
 * @module
 */
import type postgres from "postgres";
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
  for (const { tenant, tables } of await brokenTables(tx)) {
    findings.push(trouble(
      "tenants",
      `Tenant '${tenant}': the data, the counter or an index of ${some(tables)} are gone.`,
      "Restore a backup; for indexes alone: update kontract_private.tenants set state = '', " +
        "then run 'kontract migrate up'.",
    ));
  }
  if (findings.length > 0) return findings;
  const [row] = await tx`select count(*)::int as n from kontract_private.tenants`;
  return [ok("tenants", `${row!.n} tenant(s) beside 'main', all as they should be.`)];
}

async function brokenTables(
  tx: postgres.TransactionSql,
): Promise<readonly { readonly tenant: string; readonly tables: readonly string[] }[]> {
  // One hash join of all names: asked table by table it would take minutes where there are thousands.
  const rows = await tx`
    with wanted as (select st.owner, st.id, w.name from kontract.storage st, lateral (
             select st.ptr as name union all select st.ptr || '_seq'
             union all select st.ptr || '_' || o
               from jsonb_array_elements_text(${JSON.stringify(OWN_INDEXES)}::text::jsonb) o
             union all select jsonb_object_keys(st.indexes)) w
            where st.owner in (select t.name from kontract_private.tenants t)),
         there as (select c.relname::text as name from pg_class c
                     left join pg_index i on i.indexrelid = c.oid
                    where c.relnamespace = 'kontract_private'::regnamespace and i.indisvalid is not false)
    select w.owner as tenant, json_agg(distinct w.id) as tables from wanted w
     where not exists (select 1 from there where there.name = w.name)
     group by w.owner order by w.owner limit 50`;
  return rows.map((row) => ({
    tenant: String(row.tenant),
    tables: (row.tables as readonly string[]).map((name) => `'${name}'`),
  }));
}

function some(names: readonly string[]): string {
  return names.slice(0, NAMED).join(", ") + (names.length > NAMED ? ", …" : "");
}
