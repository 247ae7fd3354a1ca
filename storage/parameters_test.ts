/**
 * Whoever holds the connection string and a live session id calls any function with any parameters: the
 * table's bits and the route's hold whatever is missing or odd among them.
 *
 * @module
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { enterTenant, testDatabase } from "../tests/postgres.ts";
import { storageEngine } from "./engine.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { tableKey } from "./table_key.ts";
import { field, string, table } from "./testing/tables.ts";

const SECRET = "only for those who may";
const OPEN = table("open", [field("text", string)]);
const CLOSED = table("closed", [field("text", string)], { perm: 0 });
const KEPT = table("kept", [field("text", string)], { perm: 6 });
const tables = [OPEN, CLOSED, KEPT];
const row = JSON.stringify({ id: "new", text: "written" });
const NOTHING = { t: "closed", g: null, r: [], q: [], w: [] };

/** Parameters that are in order, as SQL text, for a session and a table. */
function usual(sid: string, tenant: string, name: string, bits: number): Record<string, string> {
  return {
    p_sid: `'${sid}'`,
    p_token: "'none'",
    p_owner: "'alice'",
    p_tenant: `'${tenant}'`,
    p_bits: String(bits),
    p_table: `'${name}'`,
    p_id: "'a'",
    p_ids: `'["a"]'`,
    p_query: `'{"where":[],"order":[],"limit":9}'`,
    p_where: "'[]'",
    p_after: "null",
    p_limit: "9",
    p_read: "false",
    p_data: `'${row.replace("new", "a")}'`,
    p_keys: "array['new']",
    p_rows: `array['${row}']::jsonb[]`,
    p_gone: "array['a']",
    p_sids: `array['${sid}']`,
    p_owners: "array['alice']",
    p_masks: `array[${bits}]`,
    p_lanes: "array['l']",
    p_reqnos: "array[1]",
    p_answers: "array['\\x']::bytea[]",
    p_lists: `array['["a"]']`,
    p_members: "array[1]",
    p_ops: `'${
      JSON.stringify([{ ...NOTHING, t: name, w: [["a", null], ["new", JSON.parse(row)]] }])
    }'`,
    p_name: "'made'",
    p_actor: "'alice'",
    p_family: "'f'",
    p_until_ms: "0",
    p_exec: "'none'",
    p_params: "'[]'",
    p_retention_ms: "3600000",
    p_batch: "10",
  };
}

Deno.test({
  name: "missing and odd parameters",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(tables);
    const database = postgresDatabase({ url: db.gatewayUrl });
    const engine = storageEngine({ database, tables });
    const thief = postgres(db.gatewayUrl, { max: 1, onnotice: () => {}, fetch_types: false });
    const acme = await enterTenant(db, "acme");
    const sids = {
      main: (await engine.openSession(await db.token({ owner: "alice" }))).sid,
      acme: (await engine.openSession(await acme.token({ owner: "alice" }))).sid,
    };
    const places = await db.admin`
      select owner, id, ptr from kontract.storage where id in ('open', 'closed', 'kept')`;
    for (const { ptr } of places) {
      await db.admin.unsafe(`insert into kontract_private.${ptr} (id, data, _txid, _owner, _order)
        values ('a', '${
        JSON.stringify({ id: "a", text: SECRET })
      }', pg_current_xact_id(), 'alice', 1)`);
    }
    const functions = await db.admin`
      select p.proname as name, p.proargnames[1:p.pronargs] as names
        from pg_proc p where p.pronamespace = 'kontract'::regnamespace and p.proname <> 'cur'
         and has_function_privilege(${db.gatewayRole}, p.oid, 'execute')`;
    const attempt = async (name: string, params: Record<string, string>, names: string[]) => {
      const list = names.map((each) => `${each} => ${params[each] ?? "null"}`).join(", ");
      try {
        return JSON.stringify(await thief.unsafe(`select * from kontract.${name}(${list})`));
      } catch (error) {
        return String((error as { code?: string }).code);
      }
    };
    const rows = async (): Promise<string> => {
      const all = await Promise.all(
        places.map(({ ptr }) =>
          db.admin.unsafe(`select id, data, _deleted_txid from kontract_private.${ptr}`)
        ),
      );
      return JSON.stringify(all);
    };
    /** Each function, with each parameter null in turn. */
    const sweep = async (name: string, bits: number): Promise<void> => {
      const before = await rows();
      for (const [tenant, sid] of Object.entries(sids)) {
        const params = usual(sid, tenant, name, bits);
        for (const { name: called, names } of functions) {
          if (/^(get|put)_/.test(called) && !called.endsWith(tableKey(name))) continue;
          if (called === "changes" && name === "open") continue; // it has no bits of a route
          for (const missing of ["", ...names]) {
            const answer = await attempt(called, { ...params, [missing]: "null" }, names);
            assert.ok(
              !answer.includes(SECRET),
              `${called} in ${tenant} without ${missing}: ${answer}`,
            );
            assert.equal(await rows(), before, `${called} in ${tenant} without ${missing}`);
          }
        }
      }
    };
    try {
      await t.step("no parameter's absence opens a table that is closed", () => sweep("closed", 7));

      await t.step("nor one to a route without bits", () => sweep("open", 0));

      await t.step("without the route's bits every function refuses", async () => {
        for (const [tenant, sid] of Object.entries(sids)) {
          const params = usual(sid, tenant, "open", 0);
          for (const { name, names } of functions) {
            if (!names.includes("p_bits") || name === "exec") continue;
            if (
              /^(get|put)_/.test(name) && (tenant !== "main" || !name.endsWith(tableKey("open")))
            ) {
              continue;
            }
            for (const bits of ["0", "null"]) {
              const answer = await attempt(name, { ...params, p_bits: bits }, names);
              assert.equal(answer, "42501", `${name} in ${tenant} with bits ${bits}`);
            }
          }
        }
      });

      await t.step(
        "a commit of some rows needs the right to delete for what it deletes",
        async () => {
          const before = await rows();
          const name = `put_many_${tableKey("kept")}`;
          const { names } = functions.find((each) => each.name === name)!;
          const params = usual(sids.main, "main", "kept", 7);
          const none = { p_keys: "null", p_rows: "null" };
          const odds: readonly Record<string, string>[] = [
            {},
            none,
            { p_gone: "array['none']" },
            { p_gone: "'{}'" },
            { p_gone: "array[null]::text[]" },
            { ...none, p_gone: "null" },
          ];
          for (const odd of odds) {
            const answer = await attempt(name, { ...params, ...odd }, names);
            assert.equal(answer, "42501", JSON.stringify(odd));
          }
          assert.equal(await rows(), before);
        },
      );

      await t.step("a group that is null in a user's list is no other group", async () => {
        await db.admin`update kontract.trxs set ugroups = array[null]::text[]`;
        for (const [tenant, sid] of Object.entries(sids)) {
          const params = { ...usual(sid, tenant, "open", 7), p_group: "'admin'" };
          for (const { name, names } of functions) {
            if (!names.includes("p_bits") || name === "exec") continue;
            if (
              /^(get|put)_/.test(name) && (tenant !== "main" || !name.endsWith(tableKey("open")))
            ) {
              continue;
            }
            assert.equal(await attempt(name, params, names), "42501", `${name} in ${tenant}`);
          }
        }
        await db.admin`update kontract.trxs set ugroups = '{}'`;
      });

      await t.step("grants that are no object of numbers grant nothing", async () => {
        const { names } = functions.find((each) => each.name === "query")!;
        for (const grants of ["[]", "5", "null", '"text"', '{"text":null}', "[[7]]"]) {
          const params = { ...usual(sids.main, "main", "closed", 7), p_grants: `'${grants}'` };
          assert.equal(await attempt("query", params, names), "42501", grants);
        }
      });
    } finally {
      await thief.end({ timeout: 2 });
      await database.close?.();
      await db.close();
    }
  },
});
