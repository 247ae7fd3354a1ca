/**
 * The triggers that guard rows and bring groups to sessions: under which settings they fire, and that the doctor
 * misses each of them, in `main` and in a tenant.
 *
 * @module
 */
import assert from "node:assert/strict";
import { testDatabase } from "../../../tests/postgres.ts";
import { storageEngine } from "../../engine.ts";
import { migrateUp } from "../../migrate/mod.ts";
import { makeTenant } from "../../migrate/tenant_admin.ts";
import { postgresDatabase } from "../../postgres_database.ts";
import { field, number, string, table } from "../../testing/tables.ts";
import { examine, type Finding } from "./mod.ts";

const THINGS = table("things", [field("n", number)]);
const USERS = table("_users", [field("ugroups", { kind: "array", element: string })]);
const TABLES = [THINGS, USERS];

Deno.test({
  name: "triggers of data tables",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(TABLES);
    const { adminUrl, gatewayRole, secrets } = db;
    const up = () => migrateUp({ adminUrl, gatewayRole, secrets, tables: TABLES });
    await makeTenant(adminUrl, "acme");
    const troubles = async (tables = TABLES): Promise<readonly Finding[]> =>
      (await examine({
        adminUrl,
        gatewayUrl: null,
        gatewayRole,
        prepares: true,
        tables,
        migrations: [],
      })).filter(({ check, level }) =>
        level !== "ok" && (check === "schema" || check === "tenants" || check === "functions")
      );
    /** Applies the statements of a finding's fix, then what else it says. */
    const mend = async ({ fix }: Finding): Promise<void> => {
      for (const [statement] of fix!.matchAll(/update [^;]*?(?:''|'state')(?=[;,]|$)/g)) {
        await db.admin.unsafe(statement);
      }
      await up();
    };
    try {
      for (const tenant of ["main", "acme"]) {
        const [things, users] = [
          await db.place("things", tenant),
          await db.place("_users", tenant),
        ];

        await t.step(`${tenant}: they fire for whoever imports as a replica`, async () => {
          const database = postgresDatabase({ url: db.gatewayUrl, max: 1 });
          const engine = storageEngine({ database, tables: TABLES });
          await engine.openSession(await db.token({ tenant, owner: "ann" }));
          await database.close();
          await db.admin.begin(async (tx) => {
            await tx`set local session_replication_role = replica`;
            await tx.unsafe(`insert into ${users} (id, data, _owner, _order)
              values ('ann', '{"id":"ann","ugroups":["admin"]}', 'ann', 1)`);
          });
          const [session] = await db.admin`
            select ugroups from kontract.trxs where tenant = ${tenant} and owner = 'ann'`;
          assert.deepEqual(session!.ugroups, ["admin"]);
          const bad = db.admin.begin(async (tx) => {
            await tx`set local session_replication_role = replica`;
            await tx.unsafe(`insert into ${things} (id, data, _owner, _order)
              values ('x', '{"id":"x","n":"one"}', 'ann', 1)`);
          });
          await assert.rejects(bad, { code: "23514" });
        });

        const [check] = await db.admin`select tgname as name from pg_trigger
          where tgrelid = ${things}::regclass and tgname like 'shape%'`;
        const harms = tenant === "main"
          ? ["drop trigger # on @", "alter table @ enable trigger #"]
          : ["alter table @ disable trigger #", "alter table @ enable replica trigger #"];
        const said = tenant === "main"
          ? [
            "Table '_users' lacks the trigger that brings changed groups to open sessions.",
            "Table 'things' lacks its check.",
          ]
          : ["Tenant 'acme': a trigger of '_users', 'things' is gone or does not always fire."];
        for (const harm of harms) {
          await t.step(`${tenant}: doctor misses what '${harm}' took away`, async () => {
            for (const [table, trigger] of [[users, "groups"], [things, String(check!.name)]]) {
              await db.admin.unsafe(harm.replace("#", trigger!).replace("@", table!));
            }
            const found = await troubles();
            assert.deepEqual(found.map(({ message }) => message), said);
            await mend(found[0]!);
            assert.deepEqual(await troubles(), []);
          });
        }
      }

      await t.step("a check that asks nothing any more is seen, and written anew", async () => {
        const [check] = await db.admin`select tgname as name from pg_trigger
          where tgrelid = ${await db.place("things", "acme")}::regclass and tgname like 'shape%'`;
        await db.admin.unsafe(`create or replace function kontract_private.${check!.name}()
          returns trigger language plpgsql as $f$ begin return new; end $f$`);
        const found = await troubles();
        assert.deepEqual(found.map(({ message }) => message), [
          `Checks of tables are not as a migration wrote them: ${check!.name}.`,
        ]);
        await mend(found[0]!);
        assert.deepEqual(await troubles(), []);
      });

      await t.step(
        "a check that came with a new field is nobody's change of functions",
        async () => {
          await db.admin.unsafe(`insert into ${await db.place("things", "main")}
          (id, data, _owner, _order) values ('x', '{"id":"x","n":1}', 'ann', 1)`);
          const tier = field("tier", string, { default: "free" });
          const wider = [table("things", [field("n", number), tier]), USERS];
          // The second run drops the check of before, which the tenant had until its turn in the first.
          for (let run = 0; run < 2; run++) {
            await migrateUp({ adminUrl, gatewayRole, secrets, tables: wider });
            assert.deepEqual(await troubles(wider), []);
          }
        },
      );
    } finally {
      await db.close();
    }
  },
});
