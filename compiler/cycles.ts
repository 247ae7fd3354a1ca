/**
 * Modules that import each other, where one reads at its top level what the other has not made yet.
 *
 * Such a read throws, or gives `undefined` where a bundler has made a `var` of a `const`. A circle in
 * which imported values are read inside functions only is fine, and so is one that always begins at the
 * right end: from each module that is loaded by itself (what has a route, the front end's script, what
 * nobody imports, what `import()` names) all are gone through in the order in which JavaScript runs them.
 *
 * What counts as a read: what a module's own statements do, static parts of classes and decorators
 * included, and what functions of the app do that are called there. A function declaration itself is
 * there before anything runs.
 *
 * @module
 */
import ts from "typescript";
import { dynamicImports, isExpressionType, staticImports } from "./value_imports.ts";
import type { ImportTable } from "./file_keys.ts";
import { appPath } from "./project.ts";
import type { ModuleGraph } from "./resolve.ts";
import type { Reporter } from "./source_place.ts";

/** What the check looks at. */
export interface CycleInput {
  readonly program: ts.Program;
  readonly graph: ModuleGraph;
  /** The app's own modules. */
  readonly own: readonly ts.SourceFile[];
  /** Where imports lead to, those of types included. */
  readonly imports: ImportTable;
  /** Modules that generated code loads, absolute. */
  readonly entries: ReadonlySet<string>;
  readonly reporter: Reporter;
}

/** Reports each read that comes too early. */
export function checkCycles(input: CycleInput): void {
  const own = new Map(input.own.map((source) => [source.fileName, source]));
  const all = (file: string): readonly string[] =>
    input.imports.importsOf(file).filter((one) => own.has(one));
  for (const circle of circlesOf([...own.keys()], all)) checkCircle(circle, own, input);
}

function checkCircle(
  circle: ReadonlySet<string>,
  own: ReadonlyMap<string, ts.SourceFile>,
  input: CycleInput,
): void {
  const checker = input.program.getTypeChecker();
  const targets = (file: string, imports: Iterable<{ readonly specifier: ts.StringLiteralLike }>) =>
    [...imports].flatMap(({ specifier }) => {
      const target = input.graph.resolve(specifier.text, file, "types");
      return target.kind === "file" && circle.has(target.file) ? [target.file] : [];
    });
  const edges = new Map(
    [...circle].map((file) => [file, targets(file, staticImports(own.get(file)!, checker))]),
  );
  const next = (file: string): readonly string[] => edges.get(file) ?? [];
  const circles = circlesOf([...circle], next);
  if (circles.length === 0) return;
  const loaded = new Set([...circle].filter((file) => input.entries.has(file)));
  for (const [file, source] of own) {
    if (!input.imports.importsOf(file).some((one) => circle.has(one))) continue;
    for (const one of targets(file, dynamicImports(source))) loaded.add(one);
    if (circle.has(file)) continue;
    for (const one of targets(file, staticImports(source, checker))) loaded.add(one);
  }
  const reads = new Map([...circle].map((file) => [file, earlyReads(own.get(file)!, checker)]));
  const early = (first: string, edgesOf: (file: string) => readonly string[]): readonly Early[] => {
    const done = new Set<string>();
    return runOrder(first, edgesOf).flatMap((file) => {
      const found = (reads.get(file) ?? []).filter(({ module }) =>
        circles.some((one) => one.has(file) && one.has(module)) && !done.has(module)
      ).map((read) => ({ file, read }));
      done.add(file);
      return found;
    });
  };
  // What imports a circle may have loaded another end of it before, which takes more to find out.
  if ([...loaded].every((first) => early(first, next).length === 0)) return;
  const reported = new Set<Read>();
  for (const root of rootsOf(own, input, checker)) {
    for (const { file, read } of early(root.file, root.next)) {
      if (!reported.has(read)) report(read, file, next, input.reporter);
      reported.add(read);
    }
  }
}

/** A read, and the module that is loaded when it comes too early. */
interface Early {
  readonly file: string;
  readonly read: Read;
}

/** Modules that are loaded by themselves, and what each module imports as a value. */
function* rootsOf(
  own: ReadonlyMap<string, ts.SourceFile>,
  { graph, entries, imports }: CycleInput,
  checker: ts.TypeChecker,
): Generator<{ readonly file: string; readonly next: (file: string) => readonly string[] }> {
  const targets = (file: string, found: Iterable<{ readonly specifier: ts.StringLiteralLike }>) =>
    [...found].flatMap(({ specifier }) => {
      const target = graph.resolve(specifier.text, file, "types");
      return target.kind === "file" && own.has(target.file) ? [target.file] : [];
    });
  const known = new Map<string, readonly string[]>();
  const next = (file: string): readonly string[] => {
    const edges = known.get(file) ?? targets(file, staticImports(own.get(file)!, checker));
    known.set(file, edges);
    return edges;
  };
  const imported = new Set([...own.keys()].flatMap((file) => imports.importsOf(file)));
  const roots = new Set([
    ...[...entries].filter((file) => own.has(file)),
    ...[...own.keys()].filter((file) => !imported.has(file)),
    ...[...own].flatMap(([file, source]) => targets(file, dynamicImports(source))),
  ]);
  for (const file of roots) yield { file, next };
}

function report(
  { node, declaration, name, module }: Read,
  file: string,
  next: (file: string) => readonly string[],
  reporter: Reporter,
): void {
  for (const one of [node, declaration]) {
    const whole = ts.findAncestor(one, ts.isVariableDeclaration);
    if (whole !== undefined) reporter.explain(whole);
  }
  const path = (one: string): string => appPath({ root: reporter.root }, one);
  const way = wayTo(file, module, next).map(path);
  reporter.error(
    "KT2013",
    node,
    `'${name}' is read while '${path(file)}' is loaded, and '${
      path(module)
    }' may not have made it yet: ` +
      "they import each other.",
    `Move '${name}' to a module that imports neither, or read it inside a function.\n${
      [path(module), ...wayTo(module, file, next).map(path), ...way].join(" → ")
    }`,
  );
}

/** Something that exists only when its module has run. */
interface Read {
  /** Where it is read, in the module that is loaded. */
  readonly node: ts.Node;
  readonly declaration: ts.Node;
  readonly name: string;
  /** Absolute file name of the module that makes it. */
  readonly module: string;
}

/** What a module reads of other modules while it runs. */
function earlyReads(source: ts.SourceFile, checker: ts.TypeChecker): readonly Read[] {
  const reads: Read[] = [];
  const entered = new Set<ts.Node>();
  /** `at` is the place in `source` that leads here, where that is another. */
  const visit = (node: ts.Node, at: ts.Node | null): void => {
    const each = (one: ts.Node | undefined): void => one && visit(one, at);
    if (isType(node) || ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    if (ts.isClassLike(node)) return classParts(node, each);
    if (ts.isFunctionLike(node)) return;
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) enter(node, at);
    if (ts.isIdentifier(node)) return read(node, at);
    if (ts.isPropertyAccessExpression(node)) {
      visit(node.expression, at);
      if (isNamespace(node.expression, checker)) read(node.name, at);
      return;
    }
    if (ts.isPropertyAssignment(node)) return each(node.initializer);
    ts.forEachChild(node, each);
  };
  const enter = (call: ts.CallExpression | ts.NewExpression, at: ts.Node | null): void => {
    for (const body of bodiesOf(call, checker)) {
      if (entered.has(body)) continue;
      entered.add(body);
      visit(body, at ?? call.expression);
    }
  };
  const read = (node: ts.Identifier | ts.MemberName, at: ts.Node | null): void => {
    const declaration = declarationOf(node, checker);
    if (declaration === undefined || !isTop(declaration)) return;
    const module = declaration.getSourceFile();
    if (module === source || module.isDeclarationFile) return;
    reads.push({ node: at ?? node, declaration, name: node.text, module: module.fileName });
  };
  ts.forEachChild(source, (node) => visit(node, null));
  return reads;
}

function isType(node: ts.Node): boolean {
  return ts.isTypeNode(node) && !isExpressionType(node) || ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node);
}

/** What of a class runs with its declaration. */
function classParts(node: ts.ClassLikeDeclaration, each: (node: ts.Node) => void): void {
  const decorators = (one: ts.Node): void =>
    (ts.canHaveDecorators(one) ? ts.getDecorators(one) ?? [] : []).forEach((d) =>
      each(d.expression)
    );
  decorators(node);
  for (const clause of node.heritageClauses ?? []) {
    if (clause.token === ts.SyntaxKind.ExtendsKeyword) {
      for (const type of clause.types) each(type.expression);
    }
  }
  for (const member of node.members) {
    decorators(member);
    if (member.name !== undefined && ts.isComputedPropertyName(member.name)) {
      each(member.name.expression);
    }
    if (ts.isClassStaticBlockDeclaration(member)) each(member.body);
    else if (ts.isPropertyDeclaration(member) && isStatic(member)) {
      if (member.initializer !== undefined) each(member.initializer);
    }
  }
}

function isStatic(member: ts.ClassElement): boolean {
  return (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static) !== 0;
}

/** Bodies of what a call runs, where it is written in the app. */
export function bodiesOf(
  call: ts.CallExpression | ts.NewExpression,
  checker: ts.TypeChecker,
): readonly ts.Node[] {
  let callee: ts.Expression = call.expression;
  while (ts.isParenthesizedExpression(callee)) callee = callee.expression;
  const target = ts.isFunctionExpression(callee) || ts.isArrowFunction(callee)
    ? callee
    : declarationOf(ts.isPropertyAccessExpression(callee) ? callee.name : callee, checker);
  if (target === undefined || target.getSourceFile().isDeclarationFile) return [];
  if (ts.isClassLike(target)) {
    return target.members.flatMap((member) =>
      ts.isConstructorDeclaration(member)
        ? member.body ?? []
        : ts.isPropertyDeclaration(member) && !isStatic(member)
        ? member.initializer ?? []
        : []
    );
  }
  const made = ts.isVariableDeclaration(target) || ts.isPropertyDeclaration(target)
    ? target.initializer
    : target;
  return made !== undefined && ts.isFunctionLike(made) && "body" in made && made.body !== undefined
    ? [made.body as ts.Node]
    : [];
}

function declarationOf(node: ts.Node, checker: ts.TypeChecker): ts.Declaration | undefined {
  const symbol = ts.isShorthandPropertyAssignment(node.parent)
    ? checker.getShorthandAssignmentValueSymbol(node.parent)
    : checker.getSymbolAtLocation(node);
  const target = symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias
    ? checker.getAliasedSymbol(symbol)
    : symbol;
  return target?.valueDeclaration;
}

function isNamespace(node: ts.Expression, checker: ts.TypeChecker): boolean {
  return ts.isIdentifier(node) &&
    checker.getSymbolAtLocation(node)?.declarations?.some(ts.isNamespaceImport) === true;
}

/** True for what a module makes at its top when it runs: no function declaration, and nothing further inside. */
function isTop(declaration: ts.Declaration): boolean {
  if (ts.isBindingElement(declaration)) return isTop(declaration.parent.parent as ts.Declaration);
  const statement = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  return statement.parent !== undefined && ts.isSourceFile(statement.parent) &&
    (ts.isVariableStatement(statement) || ts.isClassDeclaration(statement) ||
      ts.isEnumDeclaration(statement) || ts.isExportAssignment(statement));
}

/** Modules in the order in which they run, where `first` is loaded. */
function runOrder(first: string, next: (file: string) => readonly string[]): readonly string[] {
  const order: string[] = [];
  const entered = new Set([first]);
  const stack = [{ file: first, at: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const one = next(top.file)[top.at++];
    if (one === undefined) {
      order.push(top.file);
      stack.pop();
    } else if (!entered.has(one)) {
      entered.add(one);
      stack.push({ file: one, at: 0 });
    }
  }
  return order;
}

/** Shortest way along imports, without its start. */
function wayTo(
  from: string,
  to: string,
  next: (file: string) => readonly string[],
): readonly string[] {
  const ways = new Map<string, readonly string[]>([[from, []]]);
  for (const [file, way] of ways) {
    if (file === to) return way;
    for (const one of next(file)) if (!ways.has(one)) ways.set(one, [...way, one]);
  }
  return [];
}

/** Sets of more than one module in which each reaches each (Tarjan's algorithm, without recursion). */
function circlesOf(
  files: readonly string[],
  next: (file: string) => readonly string[],
): readonly ReadonlySet<string>[] {
  const number = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const isOpen = new Set<string>();
  const found: ReadonlySet<string>[] = [];
  for (const root of files) {
    if (number.has(root)) continue;
    const stack = [{ file: root, at: 0 }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { file } = top;
      if (top.at === 0) {
        number.set(file, number.size);
        lowest.set(file, number.size - 1);
        open.push(file);
        isOpen.add(file);
      }
      const one = next(file)[top.at++];
      if (one !== undefined) {
        if (!number.has(one)) stack.push({ file: one, at: 0 });
        else if (isOpen.has(one)) lower(file, number.get(one)!);
        continue;
      }
      stack.pop();
      const above = stack.at(-1);
      if (above !== undefined) lower(above.file, lowest.get(file)!);
      if (lowest.get(file) !== number.get(file)) continue;
      const circle = open.splice(open.indexOf(file));
      for (const each of circle) isOpen.delete(each);
      if (circle.length > 1) found.push(new Set(circle));
    }
  }
  return found;

  function lower(file: string, to: number): void {
    lowest.set(file, Math.min(lowest.get(file)!, to));
  }
}
