/**
 * Every function that the gateway's role may execute, found in the catalog, called by a thief of the connection
 * string with parameters of every kind: none, all null, and each in turn too small, too large or of another
 * form than it should be. None of it shows or changes what the session may not, and each refusal is one of
 * those a gateway understands.
 *
 * @module
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { enterTenant, testDatabase } from "../tests/postgres.ts";
import { query } from "./exec/testing/query.ts";
import { storageEngine } from "./engine.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { tableKey } from "./table_key.ts";
import { field, string, table } from "./testing/tables.ts";

const SECRET = "alice alone may know";
const VAULT = table("vault", [field("text", string)], { perm: 0 });
const OWN = table("own", [field("text", string)], { rows: "owner" });
const PARTLY = table("partly", [field("text", string, { perm: 0, default: "" })], { perm: 6 });
const ALL = query({ text: string })`select text from own where text <> ${string}`;
const TABLES = [VAULT, OWN, PARTLY];

/** By type, as SQL text. */
const ODD: Readonly<Record<string, readonly string[]>> = {
  text: [
    ...["''", "'%s%I$1'", `E'"\\'; drop'`, "'main'", "'acme'", "'alice'", "'_users'", "'vault'"],
    ...["repeat('x', 100000)", "E'\\x01'", "'[]'", "'[null]'", "'9|1:1:|2:2:|3'", '\'["a", "b"]\''],
  ],
  integer: ["-1", "0", "7", "2147483647", "-2147483648"],
  numeric: ["'NaN'", "'Infinity'", "-1", "1e300"],
  "double precision": ["'NaN'", "'Infinity'", "'-Infinity'", "-1", "1e300"],
  boolean: ["true", "false"],
  jsonb: [
    ...[
      "'null'",
      "'[]'",
      "'{}'",
      "'5'",
      `'"x"'`,
      "'[null]'",
      "'[[]]'",
      "'[{}]'",
      "'[[null,null,null,null]]'",
    ],
    ...[
      "(repeat('[', 5000) || repeat(']', 5000))::jsonb",
      `'{"text":null}'`,
      `'{"own":{"text":7}}'`,
    ],
    `'{"where":null,"order":null,"limit":null}'`,
    `'{"where":[],"order":[],"limit":-1}'`,
    `'{"where":[[["text"],"gt","number",5]],"order":[],"limit":9}'`,
    `'{"where":[[["id"],"in","text",null]],"order":[[["text"],"desc","text"]],"limit":9,"after":"null"}'`,
    `'[[["text"],"contains","text","alice"]]'`,
    `'[["a",null,1,{"id":"a","text":"x"}],["a",null,2,null]]'`,
    `'[["a","",-1,null],["b",null,1.4,{"id":"b","text":"x"}]]'`,
    `'[{"t":"vault","g":{"text":7},"r":[],"q":[],"w":[["a",null]]}]'`,
    `'[{"t":"partly","g":null,"r":[],"q":[[]],"w":[["a",{"id":"a","text":"x"}]]}]'`,
    `'[{"t":null,"w":null}]'`,
  ],
  pg_snapshot: ["'1:1:'", "'1:9223372036854775807:'", "'9223372036854775807:9223372036854775807:'"],
  xid8: ["'0'", "'18446744073709551615'"],
  "text[]": [
    "'{}'",
    "array[null]::text[]",
    "array['a', 'a']",
    "array['a', 'b', null]",
    "array[['a'], ['b']]",
    "'[2:3]={a,b}'",
    "'[0:1]={mallory,alice}'",
  ],
  "xid8[]": ["'{}'", "'{null}'", "'{0}'", "'{0,1,2}'", "'{18446744073709551615}'"],
  "jsonb[]": [
    "'{}'",
    "'{null}'",
    "array['null']::jsonb[]",
    `array['{"id":"b","text":"x"}']::jsonb[]`,
    `array[['{"id":"a","text":"x"}'], ['{}']]::jsonb[]`,
    `('[0:0]=' || array['{"id":"a","text":"x"}']::jsonb[]::text)::jsonb[]`,
  ],
  "integer[]": ["'{}'", "'{null}'", "'{0,7}'", "'{1,1,1}'", "'{-1,2147483647}'", "'[0:1]={1,2}'"],
  "numeric[]": ["'{}'", "'{null}'", "'{NaN}'", "'{1,1}'"],
  "pg_snapshot[]": ["'{}'", "'{null}'", "array['1:9223372036854775807:']::pg_snapshot[]"],
  bytea: ["'\\x'", "'\\x00ff'"],
  "bytea[]": ["'{}'", "'{null}'", "array['\\x00', '\\x01']::bytea[]"],
};

/** What a commit in order has to know: the table's incarnation, and the version of row `a`. */
type Known = readonly [incarnation: string, version: string];

/** Two calls of a group, mallory's and one of alice without a session, and a row that alice has. */
function group(sid: string, [incarnation, version]: Known): Readonly<Record<string, string>> {
  return {
    p_sids: `array['${sid}', 'x']`,
    p_owners: "array['mallory', 'alice']",
    p_masks: "array[7, 7]",
    p_roles: "array[null, null]::text[]",
    p_snaps: "array_fill(pg_current_snapshot(), array[2])",
    p_incs: `array['${incarnation}', '${incarnation}']`,
    p_lanes: "array['l', 'l']",
    p_reqnos: "array[1, 2]",
    p_answers: "array['\\x', '\\x']::bytea[]",
    p_lists: `array['["a"]', '["a"]']`,
    p_members: "array[1]",
    p_found: `'{${version}}'`,
  };
}

/** The same of `put_group` in its other forms: of calls that have read nothing, and that have no request id. */
function forms(
  name: string,
  values: Readonly<Record<string, string>>,
): readonly Readonly<Record<string, string>>[] {
  if (!name.startsWith("put_group_")) return [values];
  const blind = { ...values, p_found: "null" };
  return [values, blind, { ...blind, p_lanes: "null" }];
}

/** What a call in order has where it is not the one that is odd. */
function usual(
  sid: string,
  tenant: string,
  name: string,
  known: Known,
): Readonly<Record<string, string>> {
  return {
    p_sid: `'${sid}'`,
    p_tenant: `'${tenant}'`,
    p_owner: "'mallory'",
    p_bits: "7",
    p_table: `'${name}'`,
    p_id: "'a'",
    p_ids: `'["a"]'`,
    p_query: `'{"where":[],"order":[],"limit":9}'`,
    p_where: "'[]'",
    p_limit: "9",
    p_read: "false",
    p_data: `'{"id":"a","text":"mine"}'`,
    p_keys: "array['a']",
    p_rows: `array['{"id":"a","text":"mine"}']::jsonb[]`,
    ...group(sid, known),
    p_ops: `'[{"t":"${name}","g":null,"r":[],"q":[],"w":[["a",{"id":"a","text":"mine"}]]}]'`,
    p_name: "'made'",
    p_actor: "'mallory'",
    p_family: "'f'",
    p_until_ms: "0",
    p_exec: `'${ALL.id}'`,
    p_params: `'["x"]'`,
    p_retention_ms: "3600000",
    p_batch: "10",
  };
}

/**
 * What a refusal may be; see `failure.ts`. Whatever else there is says that a function has broken. 0A000 is
 * PostgreSQL's for arrays of arrays.
 */
const REFUSAL = /^(?:0A000|22...|23...|25001|28000|40001|42501|42P01|54...|55P03|72000)$/;

Deno.test({
  name: "parameters of every kind",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(TABLES, {}, "shared", [ALL]);
    const database = postgresDatabase({ url: db.gatewayUrl });
    const engine = storageEngine({ database, tables: TABLES });
    const thief = postgres(db.gatewayUrl, { max: 1, onnotice: () => {}, fetch_types: false });
    const acme = await enterTenant(db, "acme");
    const sids = {
      main: (await engine.openSession(await db.token({ owner: "mallory" }))).sid,
      acme: (await engine.openSession(await acme.token({ owner: "mallory" }))).sid,
    };
    const places = await db.admin`select owner, id, ptr from kontract.storage`;
    for (const { ptr } of places) {
      await db.admin.unsafe(`insert into kontract_private.${ptr} (id, data, _txid, _owner, _order)
        values ('a', '{"id":"a","text":"${SECRET}"}', pg_current_xact_id(), 'alice', 1)`);
    }
    const knownOf = async (logical: string): Promise<Known> => {
      const { ptr } = places.find(({ owner, id }) => owner === "main" && id === logical)!;
      const [row] = await db.admin.unsafe(
        `select i.value || '.' || st.epoch as incarnation, u._txid::text as version
           from kontract_private.incarnation i, kontract.storage st, kontract_private.${ptr} u
          where st.ptr = $1 and u.id = 'a' and u._deleted_txid is null`,
        [ptr],
      );
      return [String(row!.incarnation), String(row!.version)];
    };
    const functions = await db.admin`
      select p.proname as name, p.proargnames[1:p.pronargs] as names,
             array(select format_type(a, null) from unnest(p.proargtypes) a) as types
        from pg_proc p where p.pronamespace = 'kontract'::regnamespace and p.pronargs > 0
         and has_function_privilege(${db.gatewayRole}, p.oid, 'execute') order by 1`;
    /** SQLSTATE or "ok". */
    const attempt = async (
      name: string,
      names: readonly string[],
      values: Readonly<Record<string, string>>,
    ): Promise<string> => {
      const list = names.map((each) => `${each} => ${values[each] ?? "null"}`).join(", ");
      const text = `select * from kontract.${name}(${list})`;
      const [code, said] = await thief.unsafe(text).then(
        (rows) => ["ok", JSON.stringify(rows)],
        ({ code, message, ...more }) => [
          // A query that the build does not have is refused by a code of ours.
          code === "42883" && message === "exec" ? "22023" : String(code),
          JSON.stringify({ message, ...more }),
        ],
      );
      // A group leaves out whom other functions refuse.
      if (code === "ok" && /_group_/.test(name) && /:(?:null|"")\}/.test(said!)) return "28000";
      assert.ok(!said!.includes(SECRET), `${text}: ${said}`);
      assert.ok(
        code === "ok" || REFUSAL.test(code!),
        `${text.slice(0, 999)}: ${said!.slice(0, 999)}`,
      );
      return code!;
    };
    /** What mallory may not touch: alice's rows, her field of a row that both may write, her requests. */
    const untouched = async (): Promise<void> => {
      const effects = await db
        .admin`select lane from kontract_private.effects where owner = 'alice'`;
      assert.deepEqual([...effects], []);
      for (const { owner, id, ptr } of places) {
        const [row] = await db.admin.unsafe(
          `select data->>'text' as text from kontract_private.${ptr}
            where id = 'a' and _owner = 'alice' and _deleted_txid is null`,
        );
        assert.equal(row?.text, SECRET, `${id} of ${owner}`);
      }
    };
    /** A function of one table, and not of this one. */
    const ofOther = (name: string, logical: string): boolean =>
      /^(get|put)_/.test(name) && !name.endsWith(tableKey(logical));
    try {
      await t.step("the catalog tells every function and type", () => {
        assert.ok(functions.length > 20);
        for (const { types } of functions) {
          for (const type of types) assert.ok(Object.hasOwn(ODD, type), type);
        }
      });

      await t.step("without a session, nothing answers, whatever else is given", async () => {
        for (const { name, names, types } of functions) {
          if (ofOther(name, "own")) continue;
          assert.equal(await attempt(name, names, {}), "28000", `${name} of nothing`);
          for (const sid of ["", "x", randomBytes(32).toString("base64url")]) {
            const known = await knownOf("own");
            for (const values of forms(name, usual(sid, "main", "own", known))) {
              assert.equal(await attempt(name, names, values), "28000", name);
              for (const [i, each] of names.entries()) {
                if (each === "p_sid" || each === "p_token") continue;
                for (const odd of sid === "x" ? ["null", ...ODD[types[i]]!] : []) {
                  const code = await attempt(name, names, { ...values, [each]: odd });
                  assert.notEqual(code, "ok", `${name} with ${each} ${odd}`);
                }
              }
            }
          }
        }
        await untouched();
      });

      for (const { name: logical } of TABLES) {
        await t.step(`of table ${logical} a session sees and changes what it may`, async () => {
          for (const [tenant, sid] of Object.entries(sids)) {
            const values = usual(sid, tenant, logical, await knownOf(logical));
            for (const { name, names, types } of functions) {
              if (ofOther(name, tenant === "main" ? logical : "")) continue;
              await attempt(name, names, { p_sid: values.p_sid! });
              for (const form of forms(name, values)) {
                for (const [i, each] of names.entries()) {
                  for (const odd of ["null", ...ODD[types[i]]!]) {
                    await attempt(name, names, { ...form, [each]: odd });
                  }
                }
              }
            }
            await untouched();
          }
        });
      }
    } finally {
      await thief.end({ timeout: 2 });
      await database.close();
      await db.close();
    }
  },
});
