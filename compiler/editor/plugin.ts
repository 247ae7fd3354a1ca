/**
 * The plugin for TypeScript's language service: it drops TS1206 ("Decorators are not valid here") where
 * the decorator is Kontract's `@backend` on a function of a file that `deno fmt` leaves alone. Everything
 * else, TS1206 on other decorators too, stays as it is.
 *
 * An editor loads plugins from `node_modules`: `kontract types --editor` puts it there. It takes
 * TypeScript as it is handed to it and imports nothing.
 *
 * @module
 */
import type ts from "typescript";

/** What the language service hands to a plugin. */
export interface PluginHost {
  readonly typescript: typeof ts;
}

/** One project's language service. */
export interface PluginInfo {
  readonly languageService: ts.LanguageService;
}

const NOT_VALID_HERE = 1206;
const PACKAGE = "@kontract/kontract";
const KEPT = /^\/\/\s*deno-fmt-ignore-file\b/;

/** True for the text of a file that `deno fmt` leaves alone: a comment at its head says so. */
export function isKeptFromFmt(
  text: string,
  { getLeadingCommentRanges }: Pick<typeof ts, "getLeadingCommentRanges">,
): boolean {
  const comments = getLeadingCommentRanges(text, 0) ?? [];
  return comments.some(({ pos, end }) => KEPT.test(text.slice(pos, end)));
}

/** Makes the plugin. */
export default function init(
  { typescript: t }: PluginHost,
): { create(info: PluginInfo): ts.LanguageService } {
  /** Kontract's `backend`, through the first import of the package that resolves. */
  const backendOf = (program: ts.Program, checker: ts.TypeChecker): ts.Symbol | undefined => {
    for (const source of program.getSourceFiles()) {
      if (source.isDeclarationFile || !source.text.includes(PACKAGE)) continue;
      for (const statement of source.statements) {
        if (!t.isImportDeclaration(statement) && !t.isExportDeclaration(statement)) continue;
        const from = statement.moduleSpecifier;
        if (from === undefined || !t.isStringLiteral(from) || from.text !== PACKAGE) continue;
        const module = checker.getSymbolAtLocation(from);
        const found = module === undefined
          ? undefined
          : checker.getExportsOfModule(module).find((one) => one.name === "backend");
        if (found !== undefined) return target(found, checker);
      }
    }
    return undefined;
  };

  const target = (symbol: ts.Symbol, checker: ts.TypeChecker): ts.Symbol =>
    symbol.flags & t.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;

  /** The decorator on a function declaration that a problem is about. */
  const decoratorAt = (source: ts.SourceFile, position: number): ts.Decorator | undefined => {
    for (const statement of source.statements) {
      if (!t.isFunctionDeclaration(statement)) continue;
      for (const modifier of statement.modifiers ?? []) {
        if (!t.isDecorator(modifier)) continue;
        if (position >= modifier.getStart(source) && position < modifier.getEnd()) return modifier;
      }
    }
    return undefined;
  };

  const isBackend = (
    problem: ts.Diagnostic,
    source: ts.SourceFile,
    program: ts.Program,
  ): boolean => {
    if (problem.code !== NOT_VALID_HERE || problem.start === undefined) return false;
    const decorator = decoratorAt(source, problem.start);
    if (decorator === undefined || !isKeptFromFmt(source.text, t)) return false;
    const { expression } = decorator;
    const callee = t.isCallExpression(expression) ? expression.expression : expression;
    const checker = program.getTypeChecker();
    const symbol = checker.getSymbolAtLocation(
      t.isPropertyAccessExpression(callee) ? callee.name : callee,
    );
    return symbol !== undefined && target(symbol, checker) === backendOf(program, checker);
  };

  const create = ({ languageService }: PluginInfo): ts.LanguageService => {
    const own = Object.create(languageService) as ts.LanguageService;
    own.getSemanticDiagnostics = (file) => {
      const problems = languageService.getSemanticDiagnostics(file);
      if (!problems.some(({ code }) => code === NOT_VALID_HERE)) return problems;
      const program = languageService.getProgram();
      const source = program?.getSourceFile(file);
      if (program === undefined || source === undefined) return problems;
      return problems.filter((one) => !isBackend(one, source, program));
    };
    return own;
  };
  return { create };
}
