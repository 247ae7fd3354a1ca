/**
 * The module rule: what the client's module graph may take from the server's.
 *
 * From a module with routes: these routes, as stubs. From a module that uses `env`, `ctx`, `secret`,
 * `defineMiddleware`, `defineServer` or `table`: nothing. Imports of types are free, and so is what TypeScript drops
 * because only types are used; imports for effect, re-exports and dynamic imports count. This check
 * gives the messages; the bundler's load hook is the wall. A module that is imported as the client runs is a
 * value that can be passed on, so what is taken of it is found by types (`dynamic_uses.ts`).
 *
 * @module
 */
import ts from "typescript";
import type { RouteDef } from "../_internal/manifest.ts";
import { checkStubUses, reportNoStub, SHARING_HINT } from "./client_uses.ts";
import { checkDynamicUses, type Stubs } from "./dynamic_uses.ts";
import { locatedIn } from "./located_code.ts";
import type { ModuleGraph } from "./resolve.ts";
import type { ModuleClass } from "./route_source.ts";
import { appPath } from "./project.ts";
import type { Reporter } from "./source_place.ts";
import { staticImports, type ValueImport, valueImports } from "./value_imports.ts";

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

/** Follows the client's graph from its entries and reports each forbidden import; gives its modules. */
export function checkBoundary(
  entries: readonly string[],
  input: BoundaryInput,
): ReadonlySet<string> {
  const seen = new Set<string>(entries);
  const pending = [...entries];
  for (const entry of entries) {
    const own = input.modules.get(entry);
    const source = input.program.getSourceFile(entry);
    if (own === undefined || own.kind === "free" || source === undefined) continue;
    input.reporter.error(
      "KT5001",
      ownImport(own, source, input.program.getTypeChecker()) ?? source.statements[0] ?? source,
      entryMessage(own),
      SHARING_HINT,
    );
  }
  let importsAsItRuns = false;
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    const from = input.program.getSourceFile(file);
    if (from === undefined) continue;
    checkLocated(from, input);
    for (const one of valueImports(from, input.program.getTypeChecker())) {
      const target = input.graph.resolve(one.specifier.text, file, "types");
      if (target.kind !== "file") continue;
      const verdict = input.modules.get(target.file);
      if (verdict === undefined) continue;
      importsAsItRuns ||= one.isDynamic === true;
      judge(one, target.file, verdict, input);
      if (verdict.kind === "free" && !seen.has(target.file)) {
        seen.add(target.file);
        pending.push(target.file);
      }
    }
  }
  if (importsAsItRuns) checkValues(seen, input);
  return seen;
}

/** Reports `new URL("../src/users.ts", import.meta.url)`: bundlers publish such a file as it is. */
function checkLocated(source: ts.SourceFile, { graph, modules, reporter }: BoundaryInput): void {
  for (const { node, path } of locatedIn(source)) {
    const target = graph.resolve(path, source.fileName, "types");
    const kind = target.kind === "file" ? modules.get(target.file)?.kind : undefined;
    if (kind === "server" || kind === "boundary") {
      reporter.error("KT5001", node, locatedMessage(path), SHARING_HINT);
    }
  }
}

/** What is wrong with publishing a file of the server's. */
export function locatedMessage(path: string): string {
  return `'${path}' is server code, and a bundler publishes a file that client code locates, as it is.`;
}

/** Any module of the client may have got another one as a value. */
function checkValues(client: ReadonlySet<string>, input: BoundaryInput): void {
  const { program, modules, reporter } = input;
  const isBoundary = (file: string): boolean => modules.get(file)?.kind === "boundary";
  const stubs: Stubs = {
    names: stubNames(input, isBoundary),
    isBoundary,
    checker: program.getTypeChecker(),
    reporter,
  };
  for (const file of client) {
    const source = program.getSourceFile(file);
    if (source !== undefined && !isBoundary(file)) checkDynamicUses(source, stubs);
  }
}

function stubNames(
  { program, modules, routes, reporter: { root } }: BoundaryInput,
  isBoundary: (file: string) => boolean,
): Stubs["names"] {
  const checker = program.getTypeChecker();
  const names = new Map<ts.Symbol, Set<string>>();
  for (const file of [...modules.keys()].filter(isBoundary)) {
    const source = program.getSourceFile(file);
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    if (module === undefined) continue;
    const exported = new Map(checker.getExportsOfModule(module).map((one) => [one.name, one]));
    for (
      const { export: { className, name } } of routes.filter((one) =>
        one.module === appPath({ root }, file)
      )
    ) {
      const found = exported.get(className ?? name);
      if (found === undefined) continue;
      const symbol = found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
      const own = names.get(symbol) ?? new Set();
      if (className !== null) own.add(name);
      names.set(symbol, own);
    }
  }
  return names;
}

/** Where a module imports what makes it the server's; undefined where it takes it in another way. */
function ownImport(
  own: ModuleClass,
  source: ts.SourceFile,
  checker: ts.TypeChecker,
): ts.Node | undefined {
  if (own.kind !== "server") return undefined;
  return [...staticImports(source, checker)].flatMap(({ names }) => names)
    .find(({ name }) => name === own.what)?.node;
}

function entryMessage(own: Exclude<ModuleClass, { readonly kind: "free" }>): string {
  const what = own.kind === "server"
    ? `uses '${own.what}' from Kontract, which exists on the server only`
    : "has backend functions, of which a client gets stubs and nothing else";
  return `This module ${what}, and it is the client's entry.`;
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
      SHARING_HINT,
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
      reportNoStub(name, node, input.reporter);
    }
  } else {
    judgeErrors(one, input);
    judgeReexported(one, input);
  }
}

/** What a module of the client exports again of one with backend functions and has no stub: 'export * from'. */
function judgeReexported({ names }: ValueImport, input: BoundaryInput): void {
  const { program, modules, reporter } = input;
  const checker = program.getTypeChecker();
  for (const { name, node } of names) {
    const at = ts.isImportSpecifier(node) ? checker.getSymbolAtLocation(node.name) : undefined;
    if (at === undefined || !(at.flags & ts.SymbolFlags.Alias)) continue;
    const target = checker.getAliasedSymbol(at);
    const file = target.declarations?.[0]?.getSourceFile().fileName;
    if (file === undefined || modules.get(file)?.kind !== "boundary") continue;
    const hasStub = stubNames(input, (one) => one === file).has(target);
    if (!hasStub) reportNoStub(name, node, reporter);
  }
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
