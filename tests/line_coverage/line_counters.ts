/**
 * Which lines of modules ran in a runtime that tells no coverage itself (workerd): counters are written into
 * their text, and what they say is added to the report of `deno task coverage`.
 *
 * A line has run where every counter in it was passed: those of its statements, of the branches of its
 * conditions, and of the functions that begin or end in it. Line numbers stay as they are.
 *
 * @module
 */
import { join } from "node:path";
import ts from "typescript";

/** Name of the global set of passed counters. */
export const PASSED = "kontractPassed";

/** Ending of their reports in a folder of coverage. */
export const COUNTED = ".lcov";

/** The folder that a run's coverage is written to; null where nothing is measured. */
export function coverageFolder(): string | null {
  return Deno.env.get("DENO_COVERAGE_DIR") || null;
}

/** Counters of some modules. */
export class LineCounters {
  /** Lines of each counted file; a line's value are the counters in it. */
  readonly #files: Map<string, ReadonlyMap<number, ReadonlySet<number>>> = new Map();
  #next = 0;

  /** A module's text with counters. */
  count(file: string, text: string): string {
    const marker = new Marker(
      ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true),
      this.#next,
    );
    this.#next = marker.next;
    this.#files.set(file, marker.lines());
    return `const $passed = (id) => void (globalThis.${PASSED} ??= new Set()).add(id);${marker.text()}`;
  }

  /** Lines that ran, in lcov's format. */
  report(passed: Iterable<number>): string {
    const known = new Set(passed);
    return [...this.#files].map(([file, lines]) => {
      const ran = [...lines].filter(([, ids]) => [...ids].every((id) => known.has(id)));
      return [`SF:${file}`, ...ran.map(([line]) => `DA:${line},1`), "end_of_record\n"].join("\n");
    }).join("");
  }

  /** Adds what ran to a run's coverage. */
  async save(folder: string, passed: Iterable<number>): Promise<void> {
    await Deno.writeTextFile(join(folder, `${crypto.randomUUID()}${COUNTED}`), this.report(passed));
  }
}

/** Counters of one file. */
class Marker {
  /** The next free counter. */
  next: number;
  readonly #source: ts.SourceFile;
  readonly #insertions: { readonly at: number; readonly text: string }[] = [];
  /** Each character's innermost counter; -1 for none. */
  readonly #owners: Int32Array;

  constructor(source: ts.SourceFile, first: number) {
    this.next = first;
    this.#source = source;
    this.#owners = new Int32Array(source.text.length).fill(-1);
    this.#statements(source.statements);
    ts.forEachChild(source, this.#visit);
  }

  text(): string {
    // What is inserted first at one place belongs to the outer node.
    const sorted = this.#insertions.toSorted((a, b) => a.at - b.at);
    let from = 0;
    let out = "";
    for (const { at, text } of sorted) {
      out += this.#source.text.slice(from, at) + text;
      from = at;
    }
    return out + this.#source.text.slice(from);
  }

  lines(): Map<number, Set<number>> {
    const lines = new Map<number, Set<number>>();
    let line = 1;
    for (const [at, owner] of this.#owners.entries()) {
      const char = this.#source.text.charAt(at);
      if (char === "\n") line++;
      if (/\s/.test(char) || owner === -1) continue;
      lines.set(line, (lines.get(line) ?? new Set()).add(owner));
    }
    return lines;
  }

  #visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node)) return;
    if (ts.isFunctionLike(node) && "body" in node && node.body !== undefined) {
      const body = node.body as ts.ConciseBody;
      if (ts.isBlock(body)) this.#block(body, node.getStart(this.#source), node.end);
      else this.#expression(body, node);
    } else if (ts.isBlock(node) && !ts.isFunctionLike(node.parent)) {
      this.#block(node, node.getStart(this.#source) + 1, node.end);
    } else if (ts.isCaseOrDefaultClause(node)) this.#statements(node.statements);
    else if (ts.isConditionalExpression(node)) {
      this.#expression(node.whenTrue, node.whenTrue);
      this.#expression(node.whenFalse, node.whenFalse);
    } else if (ts.isBinaryExpression(node) && SHORT_CIRCUITS.has(node.operatorToken.kind)) {
      this.#expression(node.right, node.right);
    } else if (ts.isIfStatement(node)) {
      this.#single(node.thenStatement);
      this.#single(node.elseStatement);
    } else if (ts.isIterationStatement(node, false)) this.#single(node.statement);
    ts.forEachChild(node, this.#visit);
  };

  /** A counter behind the brace of a block, for the characters of its own. */
  #block(block: ts.Block, from: number, to: number): void {
    this.#insert(block.getStart(this.#source) + 1, `$passed(${this.#own(from, to)});`);
    this.#statements(block.statements);
  }

  #statements(statements: readonly ts.Statement[]): void {
    for (const statement of statements) {
      if (DECLARATIONS.has(statement.kind)) continue;
      const from = statement.getStart(this.#source);
      this.#insert(from, `$passed(${this.#own(from, statement.end)});`);
    }
  }

  /** A counter for a statement that stands alone where a block could. */
  #single(statement: ts.Statement | undefined): void {
    if (statement === undefined || ts.isBlock(statement)) return;
    const from = statement.getStart(this.#source);
    this.#insert(from, `{$passed(${this.#own(from, statement.end)});`);
    this.#insert(statement.end, "}");
  }

  /** A counter that is passed before an expression, for all of `owner`. */
  #expression(expression: ts.Expression, owner: ts.Node): void {
    const id = this.#own(owner.getStart(this.#source), owner.end);
    this.#insert(expression.getStart(this.#source), `($passed(${id}),`);
    this.#insert(expression.end, ")");
  }

  #insert(at: number, text: string): void {
    this.#insertions.push({ at, text });
  }

  /** A new counter that owns these characters, until one inside takes some. */
  #own(from: number, to: number): number {
    this.#owners.fill(this.next, from, to);
    return this.next++;
  }
}

const SHORT_CIRCUITS: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
  ts.SyntaxKind.AmpersandAmpersandEqualsToken,
  ts.SyntaxKind.BarBarEqualsToken,
  ts.SyntaxKind.QuestionQuestionEqualsToken,
]);

/** Statements that do nothing themselves. */
const DECLARATIONS: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.FunctionDeclaration,
  ts.SyntaxKind.InterfaceDeclaration,
  ts.SyntaxKind.TypeAliasDeclaration,
  ts.SyntaxKind.ImportDeclaration,
  ts.SyntaxKind.ExportDeclaration,
  ts.SyntaxKind.ModuleDeclaration,
]);
