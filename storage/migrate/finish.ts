/**
 * What a migration tidies up after its transaction: checks, indexes that nothing wants, tables that were
 * swapped away long ago. Every run does it, so one that was killed is completed by the next.
 *
 * @module
 */
import type postgres from "postgres";
import { DEFAULT_TENANT, readStored } from "./applied.ts";
import { addCheck, dropOtherChecks, dropOtherHelpers, tableCheck } from "./checks.ts";
import { asOwner, dropUnwanted } from "./indexes.ts";
import { dropPhysical } from "./rebuild.ts";
import { OWNER_ROLE } from "./definer.ts";

/** A table that was swapped away can be swapped back for so long. */
const RETIRED_HOURS = 24;

/** Tidies up the tables of `main`, and what no table uses. Answers with a sentence for what must wait. */
export async function finish(sql: postgres.Sql): Promise<readonly string[]> {
  const waits = await finishTenant(sql, DEFAULT_TENANT);
  await asOwner(sql, async () => {
    await dropRetired(sql);
    await dropOtherHelpers(sql);
  });
  return waits;
}

/** Tidies up the tables of one tenant, but for those that are as they should be. */
export async function finishTenant(
  sql: postgres.Sql,
  tenant: string,
  leave: ReadonlySet<string> = new Set(),
): Promise<readonly string[]> {
  return await asOwner(sql, async () => {
    const waits: string[] = [];
    for (const row of await readStored(sql, tenant)) {
      if (leave.has(row.id)) continue;
      await dropUnwanted(sql, row.ptr, new Set(Object.keys(row.indexes)));
      const check = tableCheck(row.def.table, row.def.types, row.lazy);
      const done = await dropOtherChecks(sql, row.ptr, check.name) &&
        await addCheck(sql, row.ptr, check);
      if (!done) {
        waits.push(
          `the check of table '${row.id}' waits for a long transaction: migrate once more later`,
        );
      }
    }
    return waits;
  });
}

async function dropRetired(sql: postgres.Sql): Promise<void> {
  const rows = await sql`
    select st.owner, st.id, st.retired->>'ptr' as ptr from kontract.storage st
     where st.retired is not null
       and (st.retired->>'at')::timestamptz < now() - make_interval(hours => ${RETIRED_HOURS})`;
  for (const row of rows) {
    await sql.begin(async (tx) => {
      await tx.unsafe(`set local role ${OWNER_ROLE}`);
      await tx`update kontract.storage set retired = null
        where owner = ${row.owner} and id = ${row.id} and retired->>'ptr' = ${row.ptr}`;
      await dropPhysical(tx, String(row.ptr));
    });
  }
}
