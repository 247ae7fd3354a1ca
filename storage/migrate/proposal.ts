/**
 * The text of a new migration file: what the plan found out, written down as code for a person to finish.
 *
 * Where the answer is certain (a field that only goes), the code is complete. Where it is not, it throws
 * with the question, so that nothing unfinished can be applied.
 *
 * @module
 */
import type { FieldDef, TableDef } from "../../_internal/manifest.ts";
import { bareShape, takes } from "../field_kind.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import type { MigrationProblem } from "./plan.ts";

/** What a proposal is made from. */
export interface ProposalInput {
  readonly problems: readonly MigrationProblem[];
  /** Tables in the database that the source does not declare. */
  readonly undeclared: readonly string[];
  readonly tables: readonly TableDef[];
  readonly types: ShapeTable;
  /** How the app imports Kontract. */
  readonly specifier: string;
}

/** Source of a migration file. */
export function proposeMigration(input: ProposalInput): string {
  const tables = [...new Set(input.problems.map(({ table }) => table))];
  const up = tables.map((name) => transformOf(name, input));
  const down = tables.map((name) => backOf(name, input));
  for (const name of input.undeclared) {
    up.push(
      `    // Table '${name}' is not declared any more and is kept. To remove it with all its rows:
    // m.dropTable(${JSON.stringify(name)});
    // Or, where it has a new name: m.renameTable(${JSON.stringify(name)}, "new name");`,
    );
  }
  if (up.length === 0) {
    up.push(`    // m.transform("table", (row) => ({ ...row, field: "value" }));`);
    down.push(`    // m.transform("table", ({ field: _, ...row }) => row);`);
  }
  const body = [...up, ...down].join("\n");
  const question = body.includes("unanswered(")
    ? `/** Stops the migration until its author has said it. */
function unanswered(what: string): never {
  throw new Error(\`Say in this file \${what}.\`);
}

`
    : "";
  return `import type { Migration } from ${JSON.stringify(input.specifier)};

${question}const migration: Migration = {
  up(m) {
${up.join("\n")}
  },
${down.length === 0 ? "" : `  down(m) {\n${down.join("\n")}\n  },\n`}};

export default migration;
`;
}

function transformOf(name: string, input: ProposalInput): string {
  const table = input.tables.find((candidate) => candidate.name === name);
  const own = input.problems.filter((problem) => problem.table === name);
  const notes = own.map(({ message }) => `    // ${message}`);
  const removed = own.filter(({ kind }) => kind === "removed").map(({ field }) => field!);
  const changed = own.filter(({ kind }) => kind === "narrowed" || kind === "required")
    .map(({ kind, field }) => {
      const def = table?.fields.find((candidate) => candidate.name === field);
      const value = kind === "required" ? givenOf(field!) : valueOf(field!, def, input.types);
      return `      ${key(field!)}: ${value},`;
    });
  const gone = removed.map((field, i) => `${key(field)}: _${i}, `).join("");
  const parameter = removed.length > 0 ? `{ ${gone}...row }` : "row";
  return `${notes.join("\n")}
    m.transform(${JSON.stringify(name)}, (${parameter}) => ({
      ...row,
${changed.length > 0 ? `${changed.join("\n")}\n` : ""}    }));`;
}

function backOf(name: string, input: ProposalInput): string {
  const own = input.problems.filter((problem) => problem.table === name);
  const added = own.filter(({ kind }) => kind === "required").map(({ field }) => field!);
  const lost = own.filter(({ kind }) => kind === "removed" || kind === "narrowed").map((
    { field },
  ) =>
    `      ${key(field!)}: unanswered(${JSON.stringify(`what '${name}.${field}' was before`)}),`
  );
  const parameter = added.length > 0
    ? `{ ${added.map((field, i) => `${key(field)}: _${i}, `).join("")}...row }`
    : "row";
  return `    m.transform(${JSON.stringify(name)}, (${parameter}) => ({
      ...row,
${lost.length > 0 ? `${lost.join("\n")}\n` : ""}    }));`;
}

/** The value where the row has one; what it is where a row lacks it, only the author knows. */
function givenOf(field: string): string {
  const value = `row[${JSON.stringify(field)}]`;
  return `${value} === undefined ? ${lacking(field)} : ${value}`;
}

function lacking(field: string): string {
  return `unanswered(${JSON.stringify(`what '${field}' is in rows that lack it`)})`;
}

/** A conversion that is usually meant, else a question. Nothing is made of a value that is not there. */
function valueOf(field: string, def: FieldDef | undefined, types: ShapeTable): string {
  const convert = def && CONVERSIONS.get(bareShape(def.shape, types).kind);
  if (!convert) return `unanswered(${JSON.stringify(`what '${field}' becomes`)})`;
  const value = `row[${JSON.stringify(field)}]`;
  const mayLack = def.optional || takes("null", def.shape, types);
  return `${value} == null ? ${mayLack ? value : lacking(field)} : ${convert}(${value})`;
}

const CONVERSIONS: ReadonlyMap<string, string> = new Map([
  ["string", "String"],
  ["number", "Number"],
  ["boolean", "Boolean"],
]);

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
