/**
 * Decorators on function declarations: parsed, found, and read as legal TypeScript.
 *
 * `@backend({...}) async function f()` is no TypeScript (TS1206), and its arguments would not be
 * checked. In the text that TypeScript and esbuild get, the `@` is a `;`, and so is a blank right
 * after the decorator: the same length, the same positions, and the decorator's call becomes an
 * ordinary statement whose types are checked. What an author sees in code frames is always the own text.
 *
 * @module
 */
import ts from "typescript";

/** A decorator on a function declaration: positions in both texts. */
export interface FunctionDecorator {
  /** Position of the `@`. */
  readonly start: number;
  /** End of the decorator's expression. */
  readonly end: number;
  /** Where the declaration's own trivia begins, for doc comments. */
  readonly declarationStart: number;
  /** Name of the function, or "" where it has none. */
  readonly functionName: string;
}

interface Shadow {
  readonly text: string;
  readonly decorators: readonly FunctionDecorator[];
}

const shadows: WeakMap<ts.SourceFile, Shadow> = new WeakMap();

/** Parses a file; one with decorated functions is parsed as its shadow. */
export function parseShadowed(
  file: string,
  text: string,
  version: ts.ScriptTarget | ts.CreateSourceFileOptions,
): ts.SourceFile {
  const source = ts.createSourceFile(file, text, version);
  if (!text.includes("@") || source.isDeclarationFile) return source;
  const decorators = decoratedFunctions(source);
  if (decorators.length === 0) return source;
  const shadow = ts.createSourceFile(file, shadowText(text, decorators), version);
  shadows.set(shadow, { text, decorators });
  return shadow;
}

/** The text with its function decorators made statements; the same text where there are none. */
export function legalText(file: string, text: string): string {
  // Parsing takes longer than all the rest of it.
  if (!text.includes("@") || !/\bfunction\b/.test(text)) return text;
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext);
  return shadowText(text, decoratedFunctions(source));
}

/** The text as its author wrote it. */
export function authorText(source: ts.SourceFile): string {
  return shadows.get(source)?.text ?? source.text;
}

/** Decorators on function declarations of a parsed file. */
export function functionDecorators(source: ts.SourceFile): readonly FunctionDecorator[] {
  return shadows.get(source)?.decorators ?? [];
}

function decoratedFunctions(source: ts.SourceFile): readonly FunctionDecorator[] {
  const found: FunctionDecorator[] = [];
  for (const statement of source.statements) {
    if (!ts.isFunctionDeclaration(statement)) continue;
    for (const modifier of statement.modifiers ?? []) {
      if (modifier.kind !== ts.SyntaxKind.Decorator) continue;
      found.push({
        start: modifier.getStart(source),
        end: modifier.getEnd(),
        declarationStart: statement.getFullStart(),
        functionName: statement.name?.text ?? "",
      });
    }
  }
  return found;
}

function shadowText(text: string, decorators: readonly FunctionDecorator[]): string {
  let out = text;
  for (const { start, end } of decorators) {
    out = `${out.slice(0, start)};${out.slice(start + 1)}`;
    if (/[ \t]/.test(out[end] ?? "")) out = `${out.slice(0, end)};${out.slice(end + 1)}`;
  }
  return out;
}
