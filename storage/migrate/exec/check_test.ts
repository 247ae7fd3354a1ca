import assert from "node:assert/strict";
import type { ExecDef } from "../../../_internal/manifest.ts";
import type { Shape } from "../../../_internal/shape.ts";
import { KontractError } from "../../../_internal/errors.ts";
import { testDatabase } from "../../../tests/postgres.ts";
import { query } from "../../exec/testing/query.ts";
import { field, NOTES, number, PEOPLE, string, table } from "../../testing/tables.ts";
import { parameterExpression } from "../../exec/sql_type.ts";
import { checkExecs, type ExecReport } from "./check.ts";
import { readTree } from "./node_tree.ts";
import { bodyText, checkText } from "./text.ts";

const USERS = table("_secrets", [field("hash", string)]);
// A table may have the name of a type.
const TYPES = [
  table("text", [field("size", number)]),
  table("numeric", [field("text", string)]),
];
const TABLES = [NOTES, PEOPLE, USERS, ...TYPES];
const one = query({ x: string });
const LIST = { kind: "array", element: string } as const;

/** What must never be stored, each with words of the message. */
const ATTACKS: readonly (readonly [string, ExecDef, RegExp])[] = [
  [
    "the sessions",
    one`select owner as x from kontract.trxs`,
    /'kontract.trxs', which is not a table of the app/,
  ],
  [
    "the verification keys",
    one`select kid as x from kontract_private.keys`,
    /'kontract_private.keys'/,
  ],
  ["a physical table", one`select ptr as x from kontract.storage`, /'kontract.storage'/],
  ["a table of Kontract's own", one`select hash as x from _secrets`, /_secrets/],
  [
    "a table that is not there",
    one`select x from nothing`,
    /"nothing" does not exist[^]*'notes', 'people'/,
  ],
  ["the roles", one`select rolname::text as x from pg_roles`, /'pg_catalog.pg_roles'/],
  ["the passwords", one`select passwd as x from pg_catalog.pg_shadow`, /'pg_catalog.pg_shadow'/],
  [
    "the settings",
    one`select current_setting('kontract.sid') as x from notes`,
    /'current_setting'/,
  ],
  [
    "changing a setting",
    one`select set_config('role', 'postgres', false) as x from notes`,
    /'set_config'/,
  ],
  ["waiting", one`select pg_sleep(10)::text as x from notes`, /calls 'pg_sleep'/],
  [
    "waiting in a filter",
    one`select id as x from notes where pg_sleep(10)::text = ''`,
    /calls 'pg_sleep'/,
  ],
  [
    "waiting in an order",
    one`select id as x from notes order by pg_sleep(10)::text`,
    /calls 'pg_sleep'/,
  ],
  ["reading files", one`select pg_read_file('/etc/passwd') as x from notes`, /'pg_read_file'/],
  ["large objects", one`select lo_get(1)::text as x from notes`, /'lo_get'/],
  [
    "running text",
    one`select query_to_xml('select 1', true, true, '')::text as x from notes`,
    /xml/,
  ],
  [
    "Kontract's functions",
    one`select kontract.open_session(${string})::text as x from notes`,
    /kontract|open_session/,
  ],
  ["advisory locks", one`select pg_advisory_lock(1)::text as x from notes`, /'pg_advisory_lock'/],
  [
    "the transaction's number",
    one`select pg_current_xact_id()::text as x from notes`,
    /pg_current_xact_id|xid8/,
  ],
  ["chance", one`select random()::text as x from notes`, /'random'/],
  ["who the role is", one`select current_user::text as x from notes`, /sqlvaluefunction/],
  ["names of relations", one`select 'kontract.trxs'::regclass::text as x from notes`, /regclass/],
  [
    "two statements",
    one`select id as x from notes; select 'b' as x from notes`,
    /more than one statement/,
  ],
  [
    "a second that drops",
    one`select id as x from notes; drop schema kontract cascade`,
    /more than one statement/,
  ],
  ["leaving the brackets", one`select id as x from notes) q, (select 1`, /closes a bracket that/],
  ["a comment that never ends", one`select id as x from notes /* `, /a comment is not closed/],
  ["COPY", one`copy notes to program 'id'`, /syntax error/],
  ["COPY in WITH", one`with a as (copy notes to '/tmp/x') select 1::text as x`, /syntax error/],
  ["SET ROLE", one`set role postgres`, /syntax error/],
  ["DO", one`do $$ begin perform pg_sleep(1); end $$`, /syntax error/],
  ["SELECT INTO", one`select id as x into temp taken from notes`, /it writes|INTO/],
  ["INSERT", one`insert into notes (id) values ('a')`, /syntax error/],
  [
    "DELETE in WITH",
    one`with gone as (delete from notes returning id) select id as x from gone`,
    /it writes|cannot/,
  ],
  ["locking rows", one`select id as x from notes for update`, /rowmarkclause|lock/i],
  ["EXPLAIN", one`explain select id as x from notes`, /syntax error/],
  ["TABLE of another schema", one`table kontract.trxs`, /kontract.trxs/],
  [
    "a check option",
    one`select id as x from notes with check option`,
    /syntax error/,
  ],
  ["a whole row", one`select to_jsonb(p)::text as x from people p`, /whole row of 'people'/],
  ["a row as text", one`select p::text as x from people p`, /whole row of 'people'/],
  [
    "comparing rows",
    one`select a.id as x from people a join people b on a = b`,
    /whole row of 'people'/,
  ],
  [
    "counting rows as values",
    one`select count(p)::text as x from people p`,
    /whole row of 'people'/,
  ],
  ["a parameter of its own", one`select $1::text as x from notes`, /no parameter \$1/],
  ["nothing of the app", one`select 'x' as x`, /reads no table/],
  [
    "a column that is not declared",
    one`select id as x, text from notes`,
    /a column 'text' that its row type does not have/,
  ],
  ["a column that is missing", one`select id from notes`, /no column 'x'/],
  [
    "a column of another type",
    query({ x: number })`select id as x from notes`,
    /'x' is text, which the declared type/,
  ],
  ["a column twice", one`select id as x, text as x from notes`, /more than once/],
  [
    "a table by another spelling",
    one`select U&"kid" as x from kontract_private.U&"\\006Beys"`,
    /keys|syntax/,
  ],
  [
    "a function by name of its operator",
    one`select (id operator(pg_catalog.~~) 'a')::text as x, pg_backend_pid()::text as y from notes`,
    /pg_backend_pid/,
  ],
  [
    "a name that plays a field of the tree",
    one`select id as x from notes ":funcid", (select pg_sleep(1)::text as ":relid") y`,
    /pg_sleep/,
  ],
  [
    "SQL in the rest of a comment with a parameter",
    one`select (case when true then ( -- ${LIST} || (select string_agg(kid, ',') from kontract_private.keys) as x from notes /*
      select 'a'::text) end) as x from notes -- */`,
    /parameter 1 stands in a comment[^]*\n {2}select \(case when true then \( -- \$\{…\} \|\|[^]*\^/,
  ],
  [
    "a function in the rest of a comment with a parameter",
    one`select (case when true then ( -- ${LIST} || kontract_private.make_tenant('x')::text as x from notes /*
      select 'a'::text) end) as x from notes -- */`,
    /parameter 1 stands in a comment/,
  ],
  [
    "a parameter in a block comment",
    one`select id as x from notes /* /* */ ${LIST} */`,
    /parameter 1 stands in a comment/,
  ],
  [
    "a parameter in a string",
    one`select id as x from notes where text like '%${string}%'`,
    /parameter 1 stands in a string/,
  ],
  [
    "a parameter in a string with escapes",
    one`select id as x from notes where text = E'\\' ${LIST}'`,
    /parameter 1 stands in a string/,
  ],
  [
    "a parameter in a dollar quoted string",
    one`select id as x from notes where text = $a$ ${LIST} $a$`,
    /parameter 1 stands in a string/,
  ],
  [
    "a parameter in a name",
    one`select id as x from notes "n${string}"`,
    /parameter 1 stands in a quoted name/,
  ],
  [
    "a string that never ends",
    one`select id as x from notes where text = 'a`,
    /a string is not closed/,
  ],
  [
    "leaving the brackets for good",
    one`select id as x from notes) z, (select id as x from notes`,
    /bracket/,
  ],
  [
    "a length that a parameter says",
    one`select repeat(text, ${number}::int) as x from notes`,
    /calls 'repeat' with a length that is not a number in the text[^]*repeat[^]*\^/,
  ],
  ["a length that a row says", one`select lpad('', length(id)) as x from notes`, /calls 'lpad'/],
  [
    "a length of gigabytes",
    one`select rpad(text, 1000000000, ' ') as x from notes`,
    /calls 'rpad'/,
  ],
  [
    "a length inside another",
    one`select repeat(repeat(text, ${number}::int), 2) as x from notes`,
    /calls 'repeat'/,
  ],
  ["a width", one`select format('%1000000000s', id) as x from notes`, /calls 'format'/],
  [
    "a list of a length",
    one`select array_fill(1, array[1000000])::text as x from notes`,
    /calls 'array_fill'/,
  ],
  ["a whole row of a query", one`select q::text as x from (select id from notes) q`, /whole row/],
  ["a table of the catalog's name", one`select x from pg_class`, /pg_class/],
  [
    "a whole row of a join",
    query({
      x: { kind: "unknown" },
    })`select to_jsonb(j) as x from (people a join notes b on true) j`,
    /whole row/,
  ],
];

/** What must stay possible. */
const FINE: readonly ExecDef[] = [
  one`select upper(text) as x from notes where text ilike ${string} order by length(text) desc limit ${number}`,
  one`select distinct on (text) text as x from notes union select name from people`,
  one`with recursive r(n, x) as (select 1, 'a'::text union all select n + 1, x || 'a' from r where n < 5)
      select r.x from r, notes`,
  one`select string_agg(text, ', ' order by id) as x from notes group by grouping sets ((), (text)) having count(*) > 0`,
  one`select coalesce(nullif(text, ''), greatest(id, 'x'), case when id like 'a%' then 'b' else 'c' end) as x from notes`,
  one`select text as x from notes where exists (select from people p where p.name = text) and id in ('a', 'b')`,
  one`select concat_ws('-', id, to_char(now(), 'YYYY')) as x from notes ":funcid 2626"`,
  one`select text as x from notes where id in (select name from people where name like 'a%')
       and (id, text) not in (select name, name from people) and id = any (select name from people)`,
  one`select lpad(id, 8, '0') || repeat('-', 10) || rpad(text, 10000) as x from notes`,
  one`select numeric.text as x from numeric join text on text.id = numeric.id::text
       where numeric.id = ${string}::text and text.size > ${number}::numeric`,
  query({
    n: number,
    x: string,
  })`select row_number() over (partition by text order by id) as n, text as x from notes`,
  query({
    x: { kind: "unknown" },
  })`select jsonb_build_object('id', n.id, 'all', jsonb_agg(p.name)) as x
      from notes n left join people p on p.id = n.id group by n.id`,
];

function migrated(
  db: Awaited<ReturnType<typeof testDatabase>>,
  execs: readonly ExecDef[],
): Promise<void> {
  return db.migrate(TABLES, {}, execs);
}

Deno.test({
  name: "judging a query before it is stored",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(TABLES);
    try {
      // Each at a line of its own, so that its problem is found among all.
      const execs = ATTACKS.map(([, attack], i) => ({
        ...attack,
        source: { ...attack.source, line: 100 * (i + 1) },
      }));
      let report: ExecReport | null = null;
      // The driver fails a transaction in which any statement failed, savepoint or not.
      await db.admin.begin(async (tx) => {
        report = await checkExecs(tx, execs, TABLES, {});
      }).catch(() => {});
      assert.ok(report !== null);
      const { checked, problems } = report as ExecReport;
      for (const [i, [what, , words]] of ATTACKS.entries()) {
        await t.step(`refused: ${what}`, () => {
          assert.ok(!checked.some(({ id }) => id === execs[i]!.id), "it would be stored");
          const own = problems.filter(({ line }) => Math.floor(line / 100) === i + 1);
          assert.equal(own.length, 1);
          assert.match(own[0]!.message, words);
          assert.match(own[0]!.message, /^src\/queries\.ts:\d+: the query of env\.storage\.exec/);
        });
      }

      await t.step("a migration with one of them is refused", async () => {
        await assert.rejects(migrated(db, [ATTACKS[0]![1]]), (error: unknown) => {
          assert.ok(error instanceof KontractError, String(error));
          assert.equal(error.code, "MIGRATION_REFUSED", error.message);
          return true;
        });
      });

      await t.step("plain SQL is taken", async () => {
        await migrated(db, []);
        await db.admin`delete from kontract_private.execs`;
        await migrated(db, FINE);
        const [row] = await db.admin`select count(*)::int as n from kontract_private.execs`;
        assert.equal(row!.n, FINE.length);
      });

      await t.step("the check leaves nothing behind, and a refusal changes nothing", async () => {
        await assert.rejects(migrated(db, [FINE[0]!, ATTACKS[0]![1]]));
        const [row] = await db.admin`
          select (select count(*)::int from pg_namespace where nspname like 'kontract_check%') as schemas,
                 (select count(*)::int from kontract_private.execs) as execs`;
        assert.deepEqual({ ...row }, { schemas: 0, execs: FINE.length });
      });

      await t.step("all that is wrong is told at once, each with its line and a mark", async () => {
        const first = one`
          select titel as x
            from notes where text = ${string}`;
        const second = one`select id as x
            from notes where text = ${string} and nme = 'x'`;
        await assert.rejects(migrated(db, [first, second]), (error: unknown) => {
          assert.ok(error instanceof KontractError);
          assert.equal(
            error.message,
            `src/queries.ts:11: the query of env.storage.exec cannot be used: column "titel" does not exist.
            select titel as x
                   ^
  The app has the tables 'notes', 'people', 'text', 'numeric'.
src/queries.ts:11: the query of env.storage.exec cannot be used: column "nme" does not exist.
              from notes where text = \${…} and nme = 'x'
                                               ^
  The app has the tables 'notes', 'people', 'text', 'numeric'.`,
          );
          return true;
        });
      });

      await t.step("the gateway role can neither read nor write the stored texts", async () => {
        const { default: postgres } = await import("postgres");
        const gateway = postgres(db.gatewayUrl, { max: 1, onnotice: () => {} });
        try {
          for (
            const text of [
              "select * from kontract_private.execs",
              "insert into kontract_private.execs values ('a', 'b', '{}')",
              "select kontract_exec.run('select ''[1]''::json', null, null, null)",
              "select kontract_private.exec_view('a', '[]', 'a', '{}', '{}', '{}', null, false)",
              "select kontract_private.exec_owner('a')",
            ]
          ) await assert.rejects(gateway.unsafe(text), /permission denied/, text);
        } finally {
          await gateway.end();
        }
      });
    } finally {
      await db.close();
    }
  },
});

Deno.test("a tree's nodes and numbers are found whatever a name pretends to be", () => {
  const { foreignNodes, functions, relations, types } = readTree(
    "({QUERY :targetList ({TARGETENTRY :resname :funcid :resno 1 :expr {FUNCEXPR :funcid 42 :args <>}} " +
      "{TARGETENTRY :resname a\\ \\{PARAM\\ \\}:relid :expr {CONST :consttype 25 :constvalue 4 [ 123 0 ]}}) " +
      ":rtable ({RTE :relid 7 :coltypes (o 25 23)}) :rowMarks ({ROWMARKCLAUSE :rti 1})})",
  );
  assert.deepEqual([...functions], [1, 42].filter((n) => functions.has(n)));
  assert.ok(functions.has(42));
  assert.deepEqual([...relations], [7]);
  assert.deepEqual([...types], [25, 23]);
  assert.deepEqual([...foreignNodes], ["ROWMARKCLAUSE"]);
});

Deno.test("a query is judged as the text that runs, but for where its parameters come from", () => {
  const shapes: readonly Shape[] = [string, number, LIST, { kind: "unknown" }, { kind: "date" }];
  for (const shape of shapes) {
    const exec = one`select id as x from notes -- a comment
      where id = ${shape} and '--' <> ${shape} -- the end`;
    const bracketed = (text: string): string => /as n from (\(\n[^]*\n\) q)\s/.exec(text)![1]!;
    const run = bracketed(bodyText(exec, ["q.x"]));
    assert.ok(run.includes("$2"));
    assert.equal(checkText(exec), `select q.* from ${run.replaceAll("$2", "(null::jsonb)")}`);
  }
  for (const type of ["text", "numeric", "jsonb", "text[]", "timestamptz[]"] as const) {
    assert.match(parameterExpression(type, 0, "$2"), /^\((?:(?!--|\/\*|['"\n]).)*\)$/);
  }
});
