/**
 * Judging a query before it is stored: PostgreSQL parses it as a view over the app's logical tables, and what
 * it became is looked through. Everything happens under a savepoint that is rolled back.
 *
 * The message protocol with parameters takes one statement only, and a view is one SELECT that changes
 * nothing: so a second statement, COPY, SET and the like are the parser's to refuse. What a SELECT could
 * still reach is judged by the tree: relations, functions, types and kinds of nodes.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import type postgres from "postgres";
import type { ExecDef, TableDef } from "../../../_internal/manifest.ts";
import type { ShapeTable } from "../../../_internal/shape.ts";
import { sqlTextFault } from "../../../_internal/sql_text.ts";
import { fieldKind } from "../../field_kind.ts";
import { columnType, resultExpression } from "../../exec/sql_type.ts";
import { identifier, OWNER_ROLE } from "../definer.ts";
import { isUnbounded, mayCall, mayHold, MOST_SIZE } from "./allowed.ts";
import { readTree, type TreeCall, type TreeContents } from "./node_tree.ts";
import { bodyText, checkText, locate, positionOf } from "./text.ts";

/**
 * `[field, kind, cast]` where the column is used, of kind `key` where it is the row's key; `[field, null, type]`
 * where it only keeps its place.
 */
export type ExecTableColumn = readonly [field: string, kind: string | null, type: string];

/** A query that may run. */
export interface CheckedExec {
  readonly id: string;
  readonly body: string;
  /** By table, each of its columns in order. */
  readonly tables: Readonly<Record<string, readonly ExecTableColumn[]>>;
}

/** What is wrong with one. */
export interface ExecProblem {
  readonly file: string;
  readonly line: number;
  /** Place, sentence, the line it is about, and what to write instead. */
  readonly message: string;
}

/** Outcome for all queries. */
export interface ExecReport {
  readonly checked: readonly CheckedExec[];
  readonly problems: readonly ExecProblem[];
}

/** Checks all queries of a build. `tx` acts as the admin. */
export async function checkExecs(
  tx: postgres.TransactionSql,
  execs: readonly ExecDef[],
  tables: readonly TableDef[],
  types: ShapeTable,
): Promise<ExecReport> {
  const checked: CheckedExec[] = [];
  const problems: ExecProblem[] = [];
  if (execs.length === 0) return { checked, problems };
  // Nobody can name a schema that is never the same, and no table has the name of the view.
  const unique = `kontract_check_${randomBytes(8).toString("hex")}`;
  await tx.unsafe("savepoint exec_check");
  try {
    await tx.unsafe(`create schema ${unique} authorization ${OWNER_ROLE}`);
    await tx.unsafe(`set local role ${OWNER_ROLE}`);
    // As where the text runs: a table may have the name of a type.
    await tx.unsafe(`set local search_path = pg_catalog, ${unique}`);
    await tx.unsafe("set local standard_conforming_strings = on");
    const own = tables.filter(({ name }) => !name.startsWith("_"));
    for (const table of own) await tx.unsafe(logicalTable(unique, table, types));
    for (const exec of execs) {
      const check = new Check(tx, exec, own, types, unique);
      const result = await check.run();
      if ("body" in result) checked.push(result);
      else problems.push(result);
    }
  } finally {
    await tx.unsafe("rollback to savepoint exec_check");
  }
  return { checked, problems };
}

/** Fields that SQL can name: PostgreSQL cuts names after 63 bytes. */
function columnsOf(table: TableDef): TableDef["fields"] {
  return table.fields.filter(({ name }) => new TextEncoder().encode(name).length <= 63);
}

/** A table as a query names it: no rows, the right types. */
function logicalTable(schema: string, table: TableDef, types: ShapeTable): string {
  const columns = columnsOf(table).map(({ name, shape }) => {
    const type = columnType(shape, types);
    return `null::${type}${type === "text" ? ' collate "C"' : ""} as ${identifier(name)}`;
  });
  return `create view ${schema}.${identifier(table.name)} as select ${columns.join(", ")}`;
}

/** One query's check. */
class Check {
  readonly #tx: postgres.TransactionSql;
  readonly #exec: ExecDef;
  readonly #tables: readonly TableDef[];
  readonly #types: ShapeTable;
  /** Name of the schema, and of the view in it. */
  readonly #unique: string;
  readonly #create: string;

  constructor(
    tx: postgres.TransactionSql,
    exec: ExecDef,
    tables: readonly TableDef[],
    types: ShapeTable,
    unique: string,
  ) {
    this.#tx = tx;
    this.#exec = exec;
    this.#tables = tables;
    this.#types = types;
    this.#unique = unique;
    this.#create = `create view ${unique}.${unique} as `;
  }

  async run(): Promise<CheckedExec | ExecProblem> {
    const fault = sqlTextFault(this.#exec.text);
    if (fault !== null) {
      const { what, hint, part, offset } = fault;
      return this.#problem(positionOf(this.#exec, part, offset), what, hint);
    }
    await this.#tx.unsafe("savepoint exec_one");
    try {
      // simple: false makes it one statement, whatever the text says.
      await this.#tx.unsafe(this.#create + checkText(this.#exec), [], {
        simple: false,
        prepare: false,
      } as postgres.UnsafeQueryOptions);
      return await this.#judge();
    } catch (error) {
      return this.#refusedByParser(error);
    } finally {
      await this.#tx.unsafe("rollback to savepoint exec_one");
    }
  }

  async #judge(): Promise<CheckedExec | ExecProblem> {
    const [view] = await this.#tx.unsafe(
      `select c.oid::int8::text as oid, r.ev_action::text as tree
         from pg_class c join pg_rewrite r on r.ev_class = c.oid
        where c.oid = '${this.#unique}.${this.#unique}'::regclass`,
    );
    const tree = readTree(String(view!.tree));
    const problem = this.#foreignNode(tree.foreignNodes) ??
      await this.#foreignRelation(tree.relations, String(view!.oid)) ??
      await this.#foreignFunction(tree) ??
      await this.#foreignType(tree.types) ?? this.#wholeRow(tree.wholeRows);
    if (problem !== null) return problem;
    const tables = await this.#columnsUsed(String(view!.oid));
    if (Object.keys(tables).length === 0) {
      return this.#problem(null, "it reads no table", `The app has ${this.#names()}.`);
    }
    const columns = await this.#resultColumns();
    if (!Array.isArray(columns)) return columns as ExecProblem;
    return { id: this.#exec.id, body: bodyText(this.#exec, columns), tables };
  }

  #foreignNode(nodes: ReadonlySet<string>): ExecProblem | null {
    const [node] = nodes;
    if (node === undefined) return null;
    return this.#problem(
      null,
      `it has a part that a query may not have (${node.toLowerCase()})`,
      "A query is a plain SELECT: no FOR UPDATE, TABLESAMPLE, XML or SQL/JSON constructor, no current_user or " +
        "current_date. Take who is calling from ctx as a parameter, and the time from now().",
    );
  }

  async #foreignRelation(found: ReadonlySet<number>, own: string): Promise<ExecProblem | null> {
    const rows = await this.#tx.unsafe(
      `select c.relname as name, n.nspname as schema from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.oid::int8 = any ($1::text::int8[]) and c.oid::int8 <> $2::text::int8
          and (n.nspname <> $3 or c.relkind <> 'v') limit 1`,
      [list(found), own, this.#unique],
    );
    const [row] = rows;
    if (row === undefined) return null;
    return this.#problem(
      String(row.name),
      `it names the relation '${row.schema}.${row.name}', which is not a table of the app`,
      `The app has ${this.#names()}.`,
    );
  }

  async #foreignType(found: ReadonlySet<number>): Promise<ExecProblem | null> {
    const rows = await this.#tx.unsafe(
      `select t.typname as name, n.nspname as schema from pg_type t join pg_namespace n on n.oid = t.typnamespace
        where t.oid::int8 = any ($1::text::int8[])`,
      [list(found)],
    );
    const row = rows.find(({ name, schema }) => schema !== "pg_catalog" || !mayHold(String(name)));
    if (row === undefined) return null;
    return row.schema === this.#unique
      ? this.#problem(
        String(row.name),
        `it takes a whole row of '${row.name}' as one value`,
        WHOLE_ROW_HINT,
      )
      : this.#problem(
        String(row.name),
        `it has a value of type '${row.name}'`,
        "Values are text, numbers, booleans, dates and times, json, uuid, bytes, and arrays of them.",
      );
  }

  /** Of a join, say: its type is `record`, and its columns are in no list of dependencies. */
  #wholeRow(found: boolean): ExecProblem | null {
    if (!found) return null;
    return this.#problem(null, "it takes a whole row as one value", WHOLE_ROW_HINT);
  }

  async #foreignFunction(
    { functions, operators, calls }: TreeContents,
  ): Promise<ExecProblem | null> {
    const rows = await this.#tx.unsafe(
      `select p.oid::int8::text as oid, p.proname as name, n.nspname as schema, p.provolatile as volatility
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where p.oid::int8 = any ($1::text::int8[])
           or p.oid in (select o.oprcode from pg_operator o where o.oid::int8 = any ($2::text::int8[]))`,
      [list(functions), list(operators)],
    );
    const row = rows.find(({ name, schema, volatility }) =>
      schema !== "pg_catalog" || !mayCall(String(name), String(volatility))
    );
    if (row === undefined) return this.#unbounded(rows, calls);
    return this.#problem(
      String(row.name),
      `it calls '${row.name}', which is not a function that a query may call`,
      "Functions of PostgreSQL that depend on their arguments alone may be called, and those that format, " +
        "convert and aggregate.",
    );
  }

  #unbounded(
    rows: postgres.RowList<postgres.Row[]>,
    calls: readonly TreeCall[],
  ): ExecProblem | null {
    const names = new Map(rows.map(({ oid, name }) => [Number(oid), String(name)]));
    const call = calls.find(({ id, constants }) => isUnbounded(names.get(id) ?? "", constants));
    if (call === undefined) return null;
    const name = names.get(call.id)!;
    return this.#problem(
      name,
      `it calls '${name}' with a length that is not a number in the text`,
      `A parameter or a row could ask for gigabytes. Write the length as a number up to ${MOST_SIZE}.`,
    );
  }

  async #columnsUsed(view: string): Promise<CheckedExec["tables"]> {
    const rows = await this.#tx.unsafe(
      `select c.relname as name, d.refobjsubid as column
         from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
         join pg_class c on d.refclassid = 'pg_class'::regclass and c.oid = d.refobjid
        where r.ev_class::int8 = $1::text::int8 and c.oid <> r.ev_class order by 1, 2`,
      [view],
    );
    const used = new Map<string, Set<number>>();
    for (const { name, column } of rows) {
      const numbers = used.get(String(name)) ?? new Set();
      used.set(String(name), numbers.add(Number(column)));
    }
    return Object.fromEntries(
      this.#tables.filter(({ name }) => used.has(name)).map((table) => [
        table.name,
        // Attributes stand in the order of the declaration; 0 is the table as such.
        columnsOf(table).map((field, i) =>
          this.#tableColumn(field, table.primkey, used.get(table.name)!.has(i + 1))
        ),
      ]),
    );
  }

  #tableColumn(
    { name, shape }: TableDef["fields"][number],
    key: string,
    used: boolean,
  ): ExecTableColumn {
    const type = columnType(shape, this.#types);
    if (used && name === key) return [name, "key", ""];
    return used
      ? [name, fieldKind(shape, this.#types), type === "timestamptz" ? "::timestamptz" : ""]
      : [name, null, type];
  }

  async #resultColumns(): Promise<readonly string[] | ExecProblem> {
    const rows = await this.#tx.unsafe(
      `select a.attname as name, format_type(a.atttypid, null) as type from pg_attribute a
        where a.attrelid = '${this.#unique}.${this.#unique}'::regclass and a.attnum > 0 order by a.attnum`,
    );
    const given = new Map(rows.map((row) => [String(row.name), String(row.type)]));
    const expressions: string[] = [];
    for (const { name, shape } of this.#exec.columns) {
      const type = given.get(name);
      if (type === undefined) {
        return this.#problem(
          null,
          `it gives no column '${name}', which its row type has`,
          `It gives ${quoted([...given.keys()])}: name a column with 'as "${name}"'.`,
        );
      }
      given.delete(name);
      const at = `q.${identifier(name)}`;
      const expression = resultExpression(shape, this.#exec.types, type, at);
      if (expression === null) {
        return this.#problem(
          name,
          `its column '${name}' is ${type}, which the declared type does not hold`,
          `Change the row type, or convert: ${name}::….`,
        );
      }
      expressions.push(expression);
    }
    const [more] = given.keys();
    if (more === undefined) return expressions;
    return this.#problem(
      more,
      `it gives a column '${more}' that its row type does not have`,
      "Add it to the type, or select what is needed only.",
    );
  }

  #refusedByParser(error: unknown): ExecProblem {
    const { code, message, position, hint, severity } = error as Record<string, unknown>;
    if (typeof severity !== "string" || typeof code !== "string") throw error;
    const at = Number(position) - 1 - this.#create.length;
    const known = READABLE.get(code)?.(String(message)) ?? String(message);
    return this.#problem(
      Number.isFinite(at) && at >= 0 ? at : null,
      known,
      typeof hint === "string" && !/schema|cast/.test(hint)
        ? hint
        : `The app has ${this.#names()}.`,
    );
  }

  #names(): string {
    if (this.#tables.length === 0) return "no tables";
    return `the tables ${quoted(this.#tables.map(({ name }) => name))}`;
  }

  #find(word: string): number {
    const { text } = this.#exec;
    const part = text.findIndex((one) => one.includes(word));
    return part < 0 ? -1 : positionOf(this.#exec, part, text[part]!.indexOf(word));
  }

  /** `where`: a position in {@link checkText}, or a word to find there. */
  #problem(where: number | string | null, what: string, hint: string): ExecProblem {
    const { file, line } = this.#exec.source;
    const position = typeof where === "string" ? this.#find(where) : where ?? -1;
    const place = position < 0 ? { line, frame: "" } : locate(this.#exec, position);
    const frame = place.frame === "" ? "" : `\n${place.frame}`;
    return {
      file,
      line: place.line,
      message:
        `${file}:${place.line}: the query of env.storage.exec cannot be used: ${what}.${frame}\n  ${hint}`,
    };
  }
}

const WHOLE_ROW_HINT =
  "Name the fields, or build an object of them: jsonb_build_object('id', n.id).";

/** What the parser says about things that no view has, in our words. */
const READABLE: ReadonlyMap<string, (message: string) => string> = new Map([
  [
    "42601",
    (message) => /multiple commands/.test(message) ? "it is more than one statement" : message,
  ],
  [
    "0A000",
    (message) =>
      /data-modifying|SELECT INTO/.test(message) ? "it writes; a query only reads" : message,
  ],
]);

function list(numbers: ReadonlySet<number>): string {
  return `{${[...numbers].join(",")}}`;
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(", ");
}
