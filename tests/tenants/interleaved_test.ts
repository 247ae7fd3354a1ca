/**
 * A tenant that is made while a migration or a rebase is at its point of change: what it is made from is what is
 * there afterwards.
 *
 * @module
 */
import assert from "node:assert/strict";
import { EXEC_SCHEMA } from "../../storage/migrate/definer.ts";
import { query } from "../../storage/exec/testing/query.ts";
import { rebase } from "../../storage/migrate/rebase.ts";
import { makeTenant } from "../../storage/migrate/tenant_admin.ts";
import { TENANTS_LOCK } from "../../storage/migrate/tenants.sql.ts";
import { ACCOUNTS, NOTES, string } from "../../storage/testing/tables.ts";
import { type TestDatabase, testDatabase } from "../postgres.ts";

/** Resolves when somebody in this database waits for an advisory lock, or when the work is done without. */
async function waiting({ admin }: TestDatabase, work: Promise<unknown>): Promise<void> {
  let done = false;
  work.finally(() => done = true).catch(() => {});
  while (!done) {
    const [row] = await admin`select 1 from pg_locks l join pg_database d on d.oid = l.database
      where not l.granted and d.datname = current_database()`;
    if (row !== undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const epochs = async ({ admin }: TestDatabase): Promise<readonly string[]> =>
  (await admin`select distinct epoch from kontract.storage`).map(({ epoch }) => String(epoch));

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "a tenant whose making waits for another epoch has that one",
  options,
  async () => {
    const db = await testDatabase([ACCOUNTS]);
    try {
      let making: Promise<boolean> | undefined;
      await db.admin.begin(async (tx) => {
        await tx.unsafe(`select pg_advisory_xact_lock(${TENANTS_LOCK})`);
        making = makeTenant(db.adminUrl, "acme");
        await waiting(db, making);
        await tx`update kontract.storage set epoch = 'after'`;
      });
      assert.equal(await making, true);
      assert.deepEqual(await epochs(db), ["after"]);
    } finally {
      await db.close();
    }
  },
);

Deno.test(
  "a rebase waits for a tenant that is being made, and gives it the new epoch",
  options,
  async () => {
    const db = await testDatabase([ACCOUNTS]);
    try {
      let rebasing: Promise<unknown> | undefined;
      await db.admin.begin(async (tx) => {
        await tx`set local role kontract_owner`;
        await tx`select kontract_private.make_tenant('acme')`;
        rebasing = rebase({ adminUrl: db.adminUrl, gatewayRole: db.gatewayRole, force: true });
        await waiting(db, rebasing);
      });
      await rebasing;
      assert.equal((await epochs(db)).length, 1);
    } finally {
      await db.close();
    }
  },
);

Deno.test(
  "views of 'exec' that another version made are replaced in every tenant",
  options,
  async () => {
    const execs = [query({ id: string })`select id from notes`];
    const db = await testDatabase([ACCOUNTS, NOTES], {}, "shared", execs);
    try {
      await makeTenant(db.adminUrl, "acme");
      const views = async (): Promise<readonly string[]> =>
        (await db.admin`
        select replace(pg_get_viewdef(c.oid), c.relname, 'tbl') || c.relacl::text as text
          from pg_class c where c.relnamespace = ${EXEC_SCHEMA}::regnamespace and c.relkind = 'v'`)
          .map(({ text }) => String(text));
      const before = await views();
      assert.deepEqual([before.length, new Set(before).size], [2, 1]);
      const names = await db.admin`
      select st.ptr from kontract.storage st where st.id = 'notes'`;
      for (const { ptr } of names) {
        // With fewer columns: PostgreSQL would not replace one by one that has others.
        await db.admin.unsafe(`
        set role kontract_owner;
        drop view ${EXEC_SCHEMA}.${ptr};
        create view ${EXEC_SCHEMA}.${ptr} as select id from kontract_private.${ptr};
        grant select on ${EXEC_SCHEMA}.${ptr} to kontract_exec;
        reset role`).simple();
      }
      await db.admin`update kontract_private.tenants set state = 'of another version'`;
      await db
        .admin`update kontract_private.meta set value = '' where name in ('state', 'generic')`;
      await db.migrate([ACCOUNTS, NOTES], {}, execs);
      assert.deepEqual(await views(), before);
    } finally {
      await db.close();
    }
  },
);
