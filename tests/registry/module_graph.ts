/**
 * The module graph that JSR puts into a version's metadata (`moduleGraph2`): what each module imports,
 * so that Deno knows a package's whole graph before it has fetched the first module.
 *
 * @module
 */
import ts from "typescript";

/** Line and column, from 0. */
type Position = readonly [line: number, column: number];
type Range = readonly [start: Position, end: Position];

/** One import, as the metadata has it. */
export type Dependency =
  | {
    readonly type: "static";
    readonly kind: "import" | "importType" | "export" | "exportType";
    readonly specifier: string;
    readonly specifierRange: Range;
  }
  | {
    readonly type: "dynamic";
    readonly argument?: string | readonly TemplatePart[];
    readonly argumentRange: Range;
  };

type TemplatePart =
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "expr" };

/** One module of the graph. */
export interface ModuleInfo {
  readonly dependencies?: readonly Dependency[];
}

const MODULE = /\.(?:[cm]?[jt]s|[jt]sx)$/;

/** Modules of a package by path (`/mod.ts`). */
export function moduleGraph(
  files: ReadonlyMap<string, Uint8Array>,
): Readonly<Record<string, ModuleInfo>> {
  const graph: Record<string, ModuleInfo> = {};
  for (const [path, bytes] of files) {
    if (!MODULE.test(path)) continue;
    const dependencies = dependenciesOf(path, new TextDecoder().decode(bytes));
    graph[path] = dependencies.length === 0 ? {} : { dependencies };
  }
  return graph;
}

function dependenciesOf(path: string, text: string): readonly Dependency[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
  const found: Dependency[] = [];
  const range = (node: ts.Node): Range => {
    const at = (position: number): Position => {
      const { line, character } = source.getLineAndCharacterOfPosition(position);
      return [line, character];
    };
    return [at(node.getStart(source)), at(node.getEnd())];
  };
  const visit = (node: ts.Node): void => {
    const dependency = staticImport(node, range) ?? dynamicImport(node, range);
    if (dependency !== null) found.push(dependency);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function staticImport(node: ts.Node, range: (node: ts.Node) => Range): Dependency | null {
  const make = (
    kind: "import" | "importType" | "export" | "exportType",
    literal: ts.StringLiteral,
  ): Dependency => ({
    type: "static",
    kind,
    specifier: literal.text,
    specifierRange: range(literal),
  });
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    const isType = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
    return make(isType ? "importType" : "import", node.moduleSpecifier);
  }
  if (
    ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined &&
    ts.isStringLiteral(node.moduleSpecifier)
  ) {
    return make(node.isTypeOnly ? "exportType" : "export", node.moduleSpecifier);
  }
  if (
    ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) &&
    ts.isStringLiteral(node.argument.literal)
  ) {
    return make("importType", node.argument.literal);
  }
  return null;
}

function dynamicImport(node: ts.Node, range: (node: ts.Node) => Range): Dependency | null {
  if (!ts.isCallExpression(node) || node.expression.kind !== ts.SyntaxKind.ImportKeyword) {
    return null;
  }
  const argument = node.arguments[0];
  if (argument === undefined) return null;
  const argumentRange = range(argument);
  if (ts.isStringLiteral(argument) || ts.isNoSubstitutionTemplateLiteral(argument)) {
    return { type: "dynamic", argument: argument.text, argumentRange };
  }
  if (ts.isTemplateExpression(argument)) {
    return { type: "dynamic", argument: templateParts(argument), argumentRange };
  }
  return { type: "dynamic", argumentRange };
}

function templateParts(template: ts.TemplateExpression): readonly TemplatePart[] {
  const parts: TemplatePart[] = [];
  const text = (value: string): void => {
    if (value !== "") parts.push({ type: "string", value });
  };
  text(template.head.text);
  for (const span of template.templateSpans) {
    parts.push({ type: "expr" });
    text(span.literal.text);
  }
  return parts;
}
