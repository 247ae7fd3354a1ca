/**
 * The module rule: what the client's module graph may take from the server's.
 *
 * From a module with routes: these routes, as stubs. From a module that uses `env`, `ctx`, `secret`,
 * `defineMiddleware`, `defineServer` or `table`: nothing. Imports of types are free, and so is what TypeScript drops
 * because only types are used; imports for effect, re-exports and dynamic imports count. This check
 * gives the messages; the bundler's load hook is the wall.
 *
 * @module
 */
import ts from "typescript";
import type { RouteDef } from "../_internal/manifest.ts";
import { checkStubUses } from "./client_uses.ts";
import type { ModuleGraph } from "./resolve.ts";
import type { ModuleClass } from "./route_source.ts";
import { appPath } from "./project.ts";
import type { Reporter } from "./source_place.ts";

/** What the check looks at. */
export interface BoundaryInput {
  readonly program: ts.Program;
  readonly graph: ModuleGraph;
  readonly modules: ReadonlyMap<string, ModuleClass>;
  readonly routes: readonly RouteDef[];
  /** The app's own error classes. */
  readonly errors: ReadonlySet<ts.Symbol>;
  readonly reporter: Reporter;
}

/** Follows the client's graph from its entry and reports each forbidden import; gives its modules. */
export function checkBoundary(entry: string, input: BoundaryInput): ReadonlySet<string> {
  const seen = new Set<string>([entry]);
  const pending = [entry];
  const own = input.modules.get(entry);
  const source = input.program.getSourceFile(entry);
  if (own?.kind === "server" && source !== undefined) {
    input.reporter.error("KT5001", source.statements[0] ?? source, entryMessage(own.what), HINT);
  }
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    const from = input.program.getSourceFile(file);
    if (from === undefined) continue;
    for (const one of valueImports(from, input.program.getTypeChecker())) {
      const target = input.graph.resolve(one.specifier.text, file, "types");
      if (target.kind !== "file") continue;
      const verdict = input.modules.get(target.file);
      if (verdict === undefined) continue;
      judge(one, target.file, verdict, input);
      if (verdict.kind === "free" && !seen.has(target.file)) {
        seen.add(target.file);
        pending.push(target.file);
      }
    }
  }
  return seen;
}

const HINT =
  "Import its types with 'import type', call backend functions from '@/client', or move what both sides " +
  "need to a module of its own.";

function entryMessage(what: string): string {
  return `This module uses '${what}' from Kontract, which exists on the server only, and it is the client's entry.`;
}

/** An import that is still there when types are gone. */
export interface ValueImport {
  readonly specifier: ts.StringLiteralLike;
  /** Names taken, with their nodes; empty where all is taken or nothing (for effect). */
  readonly names: readonly { readonly name: string; readonly node: ts.Node }[];
  /** The name of `import * as name`. */
  readonly namespace?: ts.Identifier;
}

function judge(
  one: ValueImport,
  file: string,
  verdict: ModuleClass,
  input: BoundaryInput,
): void {
  if (verdict.kind === "server") {
    input.reporter.error(
      "KT5001",
      one.specifier,
      `'${one.specifier.text}' is server code (it uses '${verdict.what}'), and this module is part of the client.`,
      HINT,
    );
  } else if (verdict.kind === "boundary") {
    const module = appPath({ root: input.reporter.root }, file);
    const routes = input.routes.filter((route) => route.module === module);
    const allowed = new Set(routes.map((r) => r.export.className ?? r.export.name));
    const checker = input.program.getTypeChecker();
    if (one.namespace !== undefined) checkStubUses(one.namespace, routes, checker, input.reporter);
    for (const { name, node } of one.names) {
      if (allowed.has(name)) {
        if (ts.isImportSpecifier(node)) checkStubUses(node.name, routes, checker, input.reporter);
        continue;
      }
      // Of a name that the module does not have TypeScript says so.
      if (isMissing(node, checker)) continue;
      input.reporter.error(
        "KT5001",
        node,
        `'${name}' stands in a module with backend functions and is none itself, so it exists on the server only.`,
        HINT,
      );
    }
  } else judgeErrors(one, input);
}

function isMissing(node: ts.Node, checker: ts.TypeChecker): boolean {
  const at = ts.isImportSpecifier(node) ? checker.getSymbolAtLocation(node.name) : undefined;
  return at !== undefined && (at.flags & ts.SymbolFlags.Alias) !== 0 &&
    checker.getAliasedSymbol(at).declarations === undefined;
}

/** A class of the server's is never what a call rejects with: that is its twin in the client module. */
function judgeErrors({ names }: ValueImport, { program, errors, reporter }: BoundaryInput): void {
  const checker = program.getTypeChecker();
  for (const { name, node } of names) {
    const at = ts.isImportSpecifier(node) ? checker.getSymbolAtLocation(node.name) : undefined;
    if (at === undefined || !(at.flags & ts.SymbolFlags.Alias)) continue;
    if (!errors.has(checker.getAliasedSymbol(at))) continue;
    reporter.error(
      "KT5001",
      node,
      `'${name}' is thrown on the server; what a call rejects with is its twin, and no instance of this class.`,
      `import { ${name} } from "@/client";`,
    );
  }
}

function* valueImports(source: ts.SourceFile, checker: ts.TypeChecker): Generator<ValueImport> {
  yield* staticImports(source, checker);
  yield* dynamicImports(source);
}

/** Imports that come before a module runs, in the order in which they do. */
export function* staticImports(
  source: ts.SourceFile,
  checker: ts.TypeChecker,
): Generator<ValueImport> {
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement) && ts.isStringLiteralLike(statement.moduleSpecifier)) {
      const found = importOf(statement, statement.moduleSpecifier, checker);
      if (found !== null) yield found;
    } else if (
      ts.isExportDeclaration(statement) && !statement.isTypeOnly &&
      statement.moduleSpecifier !== undefined && ts.isStringLiteralLike(statement.moduleSpecifier)
    ) {
      const clause = statement.exportClause;
      const elements = clause !== undefined && ts.isNamedExports(clause) ? clause.elements : null;
      const names = (elements ?? []).filter((e) => !e.isTypeOnly && isValue(e.name, checker))
        .map((e) => ({ name: (e.propertyName ?? e.name).text, node: e }));
      if (elements === null || names.length > 0) {
        yield { specifier: statement.moduleSpecifier, names };
      }
    }
  }
}

function importOf(
  statement: ts.ImportDeclaration,
  specifier: ts.StringLiteralLike,
  checker: ts.TypeChecker,
): ValueImport | null {
  const clause = statement.importClause;
  if (clause === undefined) return { specifier, names: [] };
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return null;
  const names: { name: string; node: ts.Node }[] = [];
  if (clause.name !== undefined && isValue(clause.name, checker)) {
    names.push({ name: "default", node: clause.name });
  }
  const bindings = clause.namedBindings;
  if (bindings !== undefined && ts.isNamespaceImport(bindings)) {
    return { specifier, names, namespace: bindings.name };
  }
  for (const element of bindings?.elements ?? []) {
    if (element.isTypeOnly || !isValue(element.name, checker)) continue;
    names.push({ name: (element.propertyName ?? element.name).text, node: element });
  }
  return names.length === 0 ? null : { specifier, names };
}

/** True for a name that means a value and is used as one in its file. */
function isValue(name: ts.Node, checker: ts.TypeChecker): boolean {
  const symbol = checker.getSymbolAtLocation(name);
  if (symbol === undefined || !(symbol.flags & ts.SymbolFlags.Alias)) return true;
  const target = checker.getAliasedSymbol(symbol);
  if (target.flags !== 0 && !(target.flags & ts.SymbolFlags.Value)) return false;
  return ts.isExportSpecifier(name.parent) || usedAsValue(symbol, name, checker);
}

function usedAsValue(symbol: ts.Symbol, name: ts.Node, checker: ts.TypeChecker): boolean {
  let used = false;
  const visit = (node: ts.Node): void => {
    if (used || ts.isImportDeclaration(node) || ts.isTypeNode(node) && !isExpressionType(node)) {
      return;
    }
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return;
    if (ts.isIdentifier(node) && node.text === (name as ts.Identifier).text) {
      const found = ts.isShorthandPropertyAssignment(node.parent)
        ? checker.getShorthandAssignmentValueSymbol(node.parent)
        : ts.isExportSpecifier(node.parent)
        ? checker.getExportSpecifierLocalTargetSymbol(node.parent)
        : checker.getSymbolAtLocation(node);
      if (found === symbol) used = true;
    }
    ts.forEachChild(node, visit);
  };
  visit(name.getSourceFile());
  return used;
}

/** `extends Base` parses as a type node, and is a value. */
export function isExpressionType(node: ts.TypeNode): boolean {
  return ts.isExpressionWithTypeArguments(node) && ts.isHeritageClause(node.parent) &&
    node.parent.token === ts.SyntaxKind.ExtendsKeyword;
}

/** `import(…)` of a module that is named there. */
export function* dynamicImports(source: ts.SourceFile): Generator<ValueImport> {
  if (!/\bimport\s*\(/.test(source.text)) return;
  const found: ValueImport[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const argument = node.arguments[0];
      if (argument !== undefined && ts.isStringLiteralLike(argument)) {
        found.push({ specifier: argument, names: [] });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  yield* found;
}

/** What the client gets of a module with routes: the same names, as stubs. */
export function stubModule(routes: readonly RouteDef[], clientModule: string): string {
  const lines = [`import * as client from ${JSON.stringify(clientModule)};`];
  const classes = new Map<string, string[]>();
  for (const route of routes) {
    const { className, name } = route.export;
    if (className === null) {
      lines.push(`export { ${route.name} as ${name} } from ${JSON.stringify(clientModule)};`);
    } else {
      const members = classes.get(className) ?? [];
      members.push(`  static ${name}(...args) { return client.${route.name}(...args); }`);
      classes.set(className, members);
    }
  }
  for (const [name, members] of classes) lines.push(`export class ${name} {`, ...members, "}");
  return `${lines.join("\n")}\n`;
}
