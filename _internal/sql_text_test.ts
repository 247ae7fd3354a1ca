import assert from "node:assert/strict";
import postgres from "postgres";
import { testDatabase } from "../tests/postgres.ts";
import { sqlTextFault } from "./sql_text.ts";
import { Random } from "./testing/random.ts";

Deno.test("a parameter is refused in every comment, string and quoted name, and nowhere else", () => {
  const inside: readonly (readonly [string, RegExp])[] = [
    ["select 1 -- ", /comment/],
    ["select 1 + -- a\r--", /comment/],
    ["select 1 /* a", /comment/],
    ["select 1 /* /* */ ", /comment/],
    ["select 1 */*", /comment/],
    ["select '", /string/],
    ["select 'it''s ", /string/],
    ["select e'\\' ", /string/],
    ["select E'a' -- part\n '\\' ", /string/],
    ["select U&'\\' || '", /string/],
    ["select $$ ' ", /string/],
    ["select $a$ $$ $b$ ", /string/],
    ['select "', /quoted name/],
    ['select U&"a""', /quoted name/],
  ];
  for (const [before, what] of inside) {
    const fault = sqlTextFault([before, ""]);
    assert.equal(fault?.hole, 0, before);
    assert.match(fault.what, what);
  }
  for (
    const before of [
      "select ",
      "select 1 -- a\n + ",
      "select 1 -- a\r + ",
      "select /* /* */ */ ",
      "select 'a\\' || ",
      "select fine'\\' || ",
      "select E'\\'' || ",
      "select E'a' '\\' || ",
      'select "a""b" || ',
      "select $a$ $b$ ' $a$ || ",
      "select a$b$ || ",
      "select 1 - - ",
    ]
  ) assert.equal(sqlTextFault([before, ""]), null, before);
});

Deno.test("a text that would not stay in its brackets, or ends in the middle of something, is refused", () => {
  for (
    const text of [
      "a) q, (b",
      ")",
      "(",
      "a;",
      "a; b",
      "'",
      '"',
      "/*",
      "/* /* */",
      "$$",
      "E'\\'",
      "\0",
      "'\ud800'",
      "'\udc00\ud800'",
      "1$a$",
      "1E'a'",
    ]
  ) assert.equal(sqlTextFault([text])?.hole, null, text);
  for (
    const text of [
      "(a) (b)",
      "a -- ( ; '",
      "'); (' /* ) */",
      '")"',
      "$$)$$",
      "1e5 + 1_000 + 0xff",
      "'\ud83c\udf32'",
    ]
  ) {
    assert.equal(sqlTextFault([text]), null, text);
  }
});

const FRAGMENTS = [
  "'",
  "'",
  "''",
  '"',
  "\\",
  "\\'",
  "$",
  "$$",
  "$a$",
  "$a",
  "--",
  "-",
  "/*",
  "*/",
  "*",
  "/",
  "\n",
  "\r",
  " ",
  "E'",
  "e",
  "U&'",
  'U&"',
  "a",
  "_1",
  "1",
  "1e",
  "é",
  ",",
  "||",
  "+",
  "\n'",
  "--a\n",
];
const OPENERS = [
  "'",
  "E'",
  "U&'",
  '"',
  'U&"',
  "$$",
  "$a$",
  "--",
  "/*",
  "/*/*",
  "1",
  "a",
  "N'",
  "E'a'\n'",
  "1+",
  "",
];
/** Ends most of what may be open, so that texts are whole often. */
const TAILS = ["", "\n", "'", '"', "*/", "*/*/", "$a$", "$$", "\n'"];

Deno.test({
  name: "PostgreSQL sees code exactly where a parameter is allowed",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([]);
    const sql = postgres(db.adminUrl, { max: 1, onnotice: () => {}, fetch_types: false });
    try {
      const random = new Random(20_261_128);
      const seen = { code: 0, enclosed: 0 };
      const rounds = Deno.env.get("KONTRACT_LONG") === "1" ? 100_000 : 6_000;
      for (let round = 0; round < rounds; round++) {
        const inner = random.list(6, () => random.pick(FRAGMENTS)).join("");
        const before = `select ${random.pick(OPENERS)}${inner}`;
        const after = random.pick(TAILS);
        const found = await seenBy(sql, before, after);
        if (found === "unknown") continue;
        seen[found]++;
        const fault = sqlTextFault([before, after]);
        const where = JSON.stringify([before, after]);
        if (found === "enclosed") assert.notEqual(fault, null, where);
        // What is refused in code is refused for another reason, and by name.
        else assert.ok(fault?.hole !== 0 || /runs into/.test(fault.what), where);
      }
      assert.ok(seen.code > rounds / 50 && seen.enclosed > rounds / 10, JSON.stringify(seen));
    } finally {
      await sql.end();
      await db.close();
    }
  },
});

/**
 * What PostgreSQL takes a hole for. A lone `$` is a token that no grammar has, so that the parser stops at it
 * wherever it is code; an error before it tells nothing.
 */
async function seenBy(
  sql: postgres.Sql,
  before: string,
  after: string,
): Promise<"code" | "enclosed" | "unknown"> {
  const hole = [...before].length + 2;
  try {
    await sql.unsafe(`${before}( $ )${after}`);
    return "enclosed";
  } catch (error) {
    const { position, code, message } = error as Record<string, unknown>;
    if (code !== "42601") return code === "42703" || code === "42704" ? "enclosed" : "unknown";
    const at = Number(position) - 1;
    if (at === hole || at === hole - 1) return "code";
    return at > hole || /^unterminated/.test(String(message)) ? "enclosed" : "unknown";
  }
}
