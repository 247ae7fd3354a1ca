/**
 * Finds what an app declares: backend functions in three spellings, tables, middleware, and what each
 * module may give to the client.
 *
 * Everything is recognised by symbol identity with Kontract's own exports. Every decorator or call of
 * `backend` is either a route or an error: none is passed over in silence.
 *
 * @module
 */
import ts from "typescript";
import { errorClasses, type ErrorSource } from "./app_errors.ts";
import { execsOf, type ExecSource } from "./discover_execs.ts";
import { tableOf } from "./discover_tables.ts";
import { isKeptFromFmt } from "./editor/plugin.ts";
import type { KontractSymbols } from "./kontract_symbols.ts";
import { lostMarks, SPELLED } from "./lost_marks.ts";
import { isUnresolved } from "./lower/mod.ts";
import { middlewareOf, type MiddlewareSource, warnOfIdle } from "./middleware.ts";
import { BACKEND_OPTIONS, OptionReader, readOptions, routeMeta } from "./options.ts";
import type { ModuleClass, RouteSource, TableSource } from "./route_source.ts";
import { definesServer, type ServerFound } from "./server_definition.ts";
import { serverImport } from "./server_imports.ts";
import { authorText, functionDecorators } from "./shadow.ts";
import { docBefore, docOf, type Reporter } from "./source_place.ts";
import { unwrapped } from "./wrapped.ts";

/** What an app declares. */
export interface Discovery {
  /** By module, then by place. */
  readonly routes: readonly RouteSource[];
  readonly tables: readonly TableSource[];
  readonly execs: readonly ExecSource[];
  readonly middleware: readonly MiddlewareSource[];
  readonly errors: readonly ErrorSource[];
  /** Names of what was meant as a backend function and is none, for a reason that was reported. */
  readonly refused: ReadonlySet<string>;
  /** By absolute file name. */
  readonly modules: ReadonlyMap<string, ModuleClass>;
  /** The server's definition, or null. */
  readonly server: ServerFound | null;
}

/** Looks through the app's source files; `serverModule` is the one that may define the server. */
export function discover(
  sources: readonly ts.SourceFile[],
  kontract: KontractSymbols,
  reporter: Reporter,
  serverModule: string,
): Discovery {
  const routes: RouteSource[] = [];
  const tables: TableSource[] = [];
  const execs: ExecSource[] = [];
  const middleware = new Map<MiddlewareSource, ts.Node>();
  const errors: ErrorSource[] = [];
  const refused = new Set<string>();
  const modules = new Map<string, ModuleClass>();
  let server: ServerFound | null = null;
  for (const source of sources) {
    const scan = new ModuleScan(source, kontract, reporter, refused);
    scan.run();
    routes.push(...scan.routes);
    tables.push(...scan.tables);
    execs.push(...execsOf(source, kontract, reporter));
    for (const [one, node] of scan.middleware) middleware.set(one, node);
    errors.push(...errorClasses(source, kontract));
    modules.set(source.fileName, scan.routes.length > 0 ? { kind: "boundary" } : scan.classify());
    server = definesServer(source, serverModule, kontract, reporter) ?? server;
  }
  if (refused.size === 0 && routes.length > 0) {
    const filtered = routes.map(({ name, meta }) => ({ name, egroup: meta.egroup }));
    warnOfIdle(middleware, filtered, reporter);
  }
  const chains = [...middleware.keys()];
  return { routes, tables, execs, middleware: chains, errors, refused, modules, server };
}

const SPELLING = `Put it on a static method, which every tool keeps:\n` +
  `export class Users {\n` +
  `  @backend({ … })\n` +
  `  static async createUser(name: string): Promise<User> { … }\n` +
  `}\n` +
  `or put the line '// deno-fmt-ignore-file' at the head of this file.`;

/** One module's declarations. */
class ModuleScan {
  readonly routes: RouteSource[] = [];
  readonly tables: TableSource[] = [];
  /** With the node of its filter. */
  readonly middleware: Map<MiddlewareSource, ts.Node> = new Map();
  readonly #source: ts.SourceFile;
  readonly #kontract: KontractSymbols;
  readonly #reporter: Reporter;
  readonly #refused: Set<string>;
  /** Decorator expressions and calls that have been understood. */
  readonly #taken: Set<ts.Node> = new Set();
  #exports: ReadonlyMap<ts.Symbol, string> | null = null;

  constructor(
    source: ts.SourceFile,
    kontract: KontractSymbols,
    reporter: Reporter,
    refused: Set<string>,
  ) {
    this.#source = source;
    this.#kontract = kontract;
    this.#reporter = reporter;
    this.#refused = refused;
  }

  run(): void {
    for (const [i, statement] of this.#source.statements.entries()) {
      if (ts.isClassDeclaration(statement)) this.#class(statement);
      else if (ts.isVariableStatement(statement)) this.#variables(statement);
      else if (ts.isFunctionDeclaration(statement)) this.#function(statement, i);
    }
    lostMarks(this.#source, this.#kontract, this.#taken, this.#reporter);
  }

  /** What the module may give to the client, for one without routes. */
  classify(): ModuleClass {
    const found = serverImport(this.#source, this.#kontract);
    return found === null ? { kind: "free" } : { kind: "server", what: found };
  }

  #class(node: ts.ClassDeclaration): void {
    const table = tableOf(node, this.#kontract, this.#reporter);
    if (table !== null) this.tables.push(table);
    const before = this.routes.length;
    let marked = false;
    for (const member of node.members) {
      const decorator = this.#backendOf(member);
      if (decorator === null) {
        this.#unknownDecorators(member);
        continue;
      }
      marked = true;
      this.#taken.add(decorator.expression);
      if (!ts.isCallExpression(decorator.expression)) this.#bare(decorator);
      this.#method(node, member, decorator);
    }
    if (marked) this.#openMembers(node);
    if (table !== null && this.routes.length > before) {
      this.#reporter.error(
        "KT4001",
        node.name ?? node,
        "A table class cannot have backend functions.",
        "Move them to a class of their own.",
      );
    }
  }

  #backendOf(node: ts.Node): ts.Decorator | null {
    return this.#kontract.decoratorsOf(node).find((d) => d.name === "backend")?.node ?? null;
  }

  /** What has a decorator that TypeScript cannot find may be a backend function. */
  #unknownDecorators(member: ts.ClassElement): void {
    const { checker } = this.#kontract;
    for (
      const { expression } of ts.canHaveDecorators(member) ? ts.getDecorators(member) ?? [] : []
    ) {
      const callee = ts.isCallExpression(expression) ? expression.expression : expression;
      if (member.name !== undefined && isUnresolved(checker.getTypeAtLocation(callee))) {
        this.#refused.add(member.name.getText());
      }
    }
  }

  #bare(decorator: ts.Node): void {
    this.#reporter.error(
      "KT2003",
      decorator,
      "@backend is called: its options stand in parentheses, and there are none.",
      "Write @backend({}), with options between the braces.",
    );
  }

  #method(owner: ts.ClassDeclaration, member: ts.ClassElement, decorator: ts.Decorator): void {
    const at = member.name ?? decorator;
    const flags = ts.getCombinedModifierFlags(member);
    const refuse = (node: ts.Node, message: string, hint = methodHint(member)): void => {
      this.#reporter.explain(decorator);
      if (member.name !== undefined) this.#refuse(member.name.getText(), decorator.expression);
      this.#reporter.error("KT2003", node, message, hint);
    };
    if (ts.isPropertyDeclaration(member)) {
      return refuse(at, `'${at.getText()}' is a field: @backend belongs on a static method.`);
    }
    if (ts.isMethodDeclaration(member) && ts.isPrivateIdentifier(member.name)) {
      return refuse(at, `'${at.getText()}' must be public: clients call it.`);
    }
    if (!ts.isMethodDeclaration(member) || !ts.isIdentifier(member.name)) {
      return refuse(at, "@backend belongs on a static method with a plain name.");
    }
    const { text } = member.name;
    if (!(flags & ts.ModifierFlags.Static)) {
      return refuse(at, `'${text}' must be static: there is no instance to call it on.`);
    }
    if (flags & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) {
      return refuse(at, `'${text}' must be public: clients call it.`);
    }
    const className = this.#exportName(owner.name);
    if (className === null) {
      return refuse(
        owner.name ?? owner,
        `Class '${owner.name?.text ?? ""}' has backend functions and must be exported by name.`,
        `export class ${owner.name?.text ?? "Users"} { … }`,
      );
    }
    this.#route({
      node: member.name,
      declaration: member,
      options: argumentOf(decorator.expression),
      className,
      member: text,
      doc: docOf(member),
    });
  }

  #misplaced(node: ts.Node, message: string, hint: string = SPELLED): void {
    this.#reporter.error("KT2003", node, message, hint);
  }

  /** `call` is what `backend` was given. */
  #refuse(name: string, call: ts.Expression): void {
    this.#refused.add(name);
    const options = argumentOf(call);
    for (
      const one of options !== undefined && ts.isObjectLiteralExpression(options)
        ? options.properties
        : []
    ) {
      if (
        ts.isPropertyAssignment(one) && one.name.getText() === "name" &&
        ts.isStringLiteralLike(one.initializer)
      ) this.#refused.add(one.initializer.text);
    }
  }

  /** A lost decorator would turn a server function into an unprotected one: nothing may be undecided. */
  #openMembers(node: ts.ClassDeclaration): void {
    // Of a function with overloads one has the decorator.
    const marked = new Set(
      node.members.filter((one) => this.#backendOf(one) !== null).map((one) => one.name?.getText()),
    );
    for (const member of node.members) {
      const flags = ts.getCombinedModifierFlags(member);
      if (!(flags & ts.ModifierFlags.Static) || this.#backendOf(member) !== null) continue;
      if (flags & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) continue;
      if (member.name === undefined || ts.isPrivateIdentifier(member.name)) continue;
      const name = member.name.getText();
      if (marked.has(name)) continue;
      this.#refused.add(name);
      this.#reporter.error(
        "KT2006",
        member.name,
        `'${name}' is public and static in a class with backend functions, but has no @backend.`,
        `Add @backend({ … }) if clients may call it, or make it private: 'static #${name}'.`,
      );
    }
  }

  #variables(statement: ts.VariableStatement): void {
    for (const declaration of statement.declarationList.declarations) {
      const { initializer } = declaration;
      const call = initializer === undefined ? undefined : unwrapped(initializer);
      if (call === undefined || !ts.isCallExpression(call)) continue;
      const name = this.#kontract.calleeName(call);
      if (isUnresolved(this.#kontract.checker.getTypeAtLocation(call.expression))) {
        this.#refused.add(declaration.name.getText());
      }
      if (name === "defineMiddleware") {
        const found = middlewareOf(
          declaration,
          call,
          this.#reporter,
          this.#kontract.checker,
          (n) => this.#exportName(n),
        );
        this.#taken.add(call);
        if (found !== null) this.middleware.set(found, call.arguments[0] ?? call);
      }
      if (name !== "backend") continue;
      this.#taken.add(call);
      this.#call(statement, declaration, call);
    }
  }

  #call(
    statement: ts.VariableStatement,
    declaration: ts.VariableDeclaration,
    call: ts.CallExpression,
  ): void {
    if (call.arguments.length !== 2) {
      for (const more of call.arguments.slice(2)) this.#reporter.explain(more);
      this.#refuse(declaration.name.getText(), call);
      return this.#reporter.error(
        "KT2003",
        call,
        "backend(options, function) takes the function as its second argument.",
        callHint(declaration),
      );
    }
    const exported = ts.isIdentifier(declaration.name) ? this.#exportName(declaration.name) : null;
    const isConst = (statement.declarationList.flags & ts.NodeFlags.Const) !== 0;
    if (exported === null || !isConst) {
      this.#refuse(declaration.name.getText(), call);
      // A name that is declared twice: TypeScript says so.
      if (isConst && isExportedName(declaration)) return;
      return this.#reporter.error(
        "KT2003",
        declaration.name,
        `A backend function must be exported as a const: '${declaration.name.getText()}' is not.`,
        callHint(declaration),
      );
    }
    this.#route({
      node: declaration.name,
      declaration: call.arguments[1]!,
      options: call.arguments[0],
      className: null,
      member: exported,
      doc: docOf(statement),
    });
  }

  #function(node: ts.FunctionDeclaration, index: number): void {
    const decorators = functionDecorators(this.#source).filter((d) =>
      d.declarationStart <= node.getStart() && node.getStart() >= d.end &&
      this.#precedes(d.start, index)
    );
    for (const decorator of decorators) {
      const expression = this.#statementAt(decorator.start);
      if (expression === null) continue;
      const name = this.#kontract.calleeName(expression);
      if (name === null) this.#strange(expression);
      if (name !== "backend") continue;
      this.#taken.add(expression);
      if (!ts.isCallExpression(expression)) this.#bare(expression);
      if (!isKeptFromFmt(authorText(this.#source), ts)) {
        this.#refuse(node.name?.text ?? "", expression);
        this.#reporter.error(
          "KT2001",
          expression,
          "'deno fmt' deletes decorators on function declarations, and this would then run in the client.",
          SPELLING,
        );
        continue;
      }
      const exported = this.#exportName(node.name);
      if (exported === null) {
        this.#refuse(node.name?.text ?? "", expression);
        this.#misplaced(node.name ?? node, "A backend function must be exported by name.");
        continue;
      }
      this.#route({
        node: node.name ?? node,
        declaration: node,
        options: argumentOf(expression),
        className: null,
        member: exported,
        doc: docBefore(authorText(this.#source), decorator.declarationStart),
      });
    }
  }

  /** Another's decorator on a function: in the text that TypeScript gets it is none. */
  #strange(expression: ts.Expression): void {
    const callee = ts.isCallExpression(expression) ? expression.expression : expression;
    if (isUnresolved(this.#kontract.checker.getTypeAtLocation(callee))) return;
    this.#reporter.error(
      "KT2003",
      expression,
      `Decorators are not valid on functions (TS1206), but for '@backend': '${callee.getText()}' would not run.`,
      "Put it on a static method of a class.",
    );
  }

  /** True where only decorators' statements stand between a position and statement `index`. */
  #precedes(position: number, index: number): boolean {
    for (let i = index - 1; i >= 0; i--) {
      const statement = this.#source.statements[i]!;
      if (statement.getStart() <= position) return true;
      const isDecorator = ts.isEmptyStatement(statement) || ts.isExpressionStatement(statement);
      if (!isDecorator) return false;
    }
    return false;
  }

  /** The expression that stands right behind a decorator's `@`. */
  #statementAt(start: number): ts.Expression | null {
    const found = this.#source.statements.find((statement) =>
      ts.isExpressionStatement(statement) && statement.getStart() > start &&
      statement.getFullStart() <= start + 1
    );
    return found !== undefined && ts.isExpressionStatement(found) ? found.expression : null;
  }

  #route(found: {
    readonly node: ts.Node;
    readonly declaration: ts.Node;
    readonly options: ts.Expression | undefined;
    readonly className: string | null;
    readonly member: string;
    readonly doc: string;
  }): void {
    const checker = this.#kontract.checker;
    const options = readOptions(found.options, BACKEND_OPTIONS, checker, this.#reporter);
    const name = new OptionReader(options, this.#reporter).take(
      "name",
      found.member,
      "a text",
      (v): v is string => typeof v === "string",
    );
    const signatures = checker.getTypeAtLocation(found.declaration).getCallSignatures();
    if (signatures.length !== 1) {
      this.#refused.add(name);
      this.#reporter.explain(found.declaration);
      return this.#reporter.error(
        "KT2003",
        found.node,
        signatures.length === 0
          ? `'${found.member}' is not a function.`
          : `'${found.member}' has several overloads; a client could not tell which it calls.`,
      );
    }
    this.routes.push({
      name,
      file: this.#source.fileName,
      className: found.className,
      member: found.member,
      node: found.node,
      signature: signatures[0]!,
      meta: routeMeta(options, this.#reporter),
      httpNode: options.get("http")?.node,
      doc: found.doc,
      span: this.#reporter.span(found.node),
    });
  }

  #exportName(name: ts.Node | undefined): string | null {
    const symbol = name === undefined
      ? undefined
      : this.#kontract.checker.getSymbolAtLocation(name);
    if (symbol === undefined) return null;
    this.#exports ??= this.#exportedSymbols();
    return this.#exports.get(symbol) ?? null;
  }

  #exportedSymbols(): ReadonlyMap<ts.Symbol, string> {
    const checker = this.#kontract.checker;
    const module = checker.getSymbolAtLocation(this.#source);
    const names = new Map<ts.Symbol, string>();
    for (const symbol of module === undefined ? [] : checker.getExportsOfModule(module)) {
      if (symbol.name === "default") continue;
      const target = symbol.flags & ts.SymbolFlags.Alias
        ? checker.getAliasedSymbol(symbol)
        : symbol;
      const local = target.valueDeclaration;
      const inner = local === undefined
        ? undefined
        : checker.getSymbolAtLocation((local as ts.NamedDeclaration).name ?? local);
      // Of several names the one that it is declared with.
      for (const one of inner === undefined ? [target] : [target, inner]) {
        if (!names.has(one) || symbol.name === inner?.name) names.set(one, symbol.name);
      }
    }
    return names;
  }
}

/** How a member is written as a backend function. */
function methodHint(member: ts.ClassElement): string {
  const value = ts.isPropertyDeclaration(member) ? member.initializer : member;
  const name = member.name !== undefined && ts.isMemberName(member.name)
    ? member.name.text.replace(/^#/, "")
    : null;
  const written = value !== undefined &&
    (ts.isMethodDeclaration(value) || ts.isArrowFunction(value) || ts.isFunctionExpression(value));
  if (!written || name === null) return SPELLED;
  const parameters = value.parameters.map((one) => one.getText()).join(", ");
  const result = value.type === undefined ? "" : `: ${value.type.getText()}`;
  return `@backend({ … }) static async ${name}(${parameters})${result} { … }`;
}

function argumentOf(expression: ts.Expression): ts.Expression | undefined {
  return ts.isCallExpression(expression) ? expression.arguments[0] : undefined;
}

/** How the call form is written, for this very name. */
function isExportedName(declaration: ts.VariableDeclaration): boolean {
  return ts.isIdentifier(declaration.name) &&
    (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Export) !== 0;
}

function callHint({ name }: ts.VariableDeclaration): string {
  const own = ts.isIdentifier(name) ? name.text : "createUser";
  return `export const ${own} = backend({ … }, async (name: string) => { … });`;
}
