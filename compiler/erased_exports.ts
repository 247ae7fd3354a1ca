/**
 * Exported names that are types alone: `export { User }`, `export { User } from "./user.ts"`.
 *
 * Who bundles a whole app sees that there is no such value; who reads one module does not. Their places
 * are blanked, so every position stays.
 *
 * @module
 */
import ts from "typescript";

/** Part of a text. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/** What was found in the modules of one app. Owned by one builder. */
export class ErasedExports {
  #known: Map<string, { readonly key: string; readonly ranges: readonly TextRange[] }> = new Map();

  /** Places by absolute file name; `keys` are those of what each file means (`file_keys.ts`). */
  of(
    program: ts.Program,
    own: readonly ts.SourceFile[],
    keys: ReadonlyMap<string, string>,
  ): ReadonlyMap<string, readonly TextRange[]> {
    const before = this.#known;
    this.#known = new Map();
    const found = new Map<string, readonly TextRange[]>();
    for (const source of own) {
      if (!/\bexport\b\s*(?:\{|default\b)/.test(source.text)) continue;
      const { fileName } = source;
      const key = keys.get(fileName) ?? "";
      const kept = before.get(fileName);
      const ranges = kept?.key === key
        ? kept.ranges
        : erasedExports(source, program.getTypeChecker());
      this.#known.set(fileName, { key, ranges });
      if (ranges.length > 0) found.set(fileName, ranges);
    }
    return found;
  }
}

/** Where a module names types in its export clauses or its default export. */
function erasedExports(
  source: ts.SourceFile,
  checker: ts.TypeChecker,
): readonly TextRange[] {
  const ranges: TextRange[] = [];
  for (const statement of source.statements) {
    if (ts.isExportAssignment(statement) && ts.isIdentifier(statement.expression)) {
      const symbol = checker.getSymbolAtLocation(statement.expression);
      if (symbol !== undefined && !isValue(symbol, checker)) {
        ranges.push({ start: statement.getStart(source), end: statement.getEnd() });
      }
      continue;
    }
    if (!ts.isExportDeclaration(statement) || statement.isTypeOnly) continue;
    const clause = statement.exportClause;
    if (clause === undefined || !ts.isNamedExports(clause)) continue;
    for (const [i, element] of clause.elements.entries()) {
      if (element.isTypeOnly) continue;
      const symbol = checker.getExportSpecifierLocalTargetSymbol(element);
      if (symbol === undefined || isValue(symbol, checker)) continue;
      const next = clause.elements[i + 1];
      // With its comma, which is the last thing before what comes next.
      const end = next?.getFullStart() ?? clause.elements.end;
      ranges.push({ start: element.getStart(source), end });
    }
  }
  return ranges;
}

function isValue(symbol: ts.Symbol, checker: ts.TypeChecker): boolean {
  let at: ts.Symbol = symbol;
  for (const seen = new Set<ts.Symbol>(); at.flags & ts.SymbolFlags.Alias; seen.add(at)) {
    if (seen.has(at) || at.declarations?.some(ts.isTypeOnlyImportOrExportDeclaration)) return false;
    const next = nextAlias(at, checker);
    if (next === undefined) return true;
    at = next;
  }
  return at.flags === 0 || (at.flags & ts.SymbolFlags.Value) !== 0;
}

/** One step of an alias: the whole way would jump over a type-only export in between. */
function nextAlias(symbol: ts.Symbol, checker: ts.TypeChecker): ts.Symbol | undefined {
  const { getImmediateAliasedSymbol } = checker as unknown as {
    getImmediateAliasedSymbol?: (symbol: ts.Symbol) => ts.Symbol | undefined;
  };
  return getImmediateAliasedSymbol?.(symbol) ?? checker.getAliasedSymbol(symbol);
}

/** The text with these parts blank; lines stay lines. */
export function withoutRanges(text: string, ranges: readonly TextRange[] | undefined): string {
  let out = text;
  for (const { start, end } of ranges ?? []) {
    out = out.slice(0, start) + out.slice(start, end).replaceAll(/[^\n]/g, " ") + out.slice(end);
  }
  return out;
}
