/**
 * From syntax nodes to places, code frames and doc comments.
 *
 * @module
 */
import ts from "typescript";
import type { SourceSpan } from "../_internal/manifest.ts";
import { codeFrame, type Diagnostic, type DiagnosticCode, type Diagnostics } from "./diagnostic.ts";
import { appPath } from "./project.ts";
import { authorText } from "./shadow.ts";

/** Reports problems at nodes of one app. */
export class Reporter {
  readonly root: string;
  readonly diagnostics: Diagnostics;

  /** Wraps where to report to. */
  constructor(root: string, diagnostics: Diagnostics) {
    this.root = root;
    this.diagnostics = diagnostics;
  }

  /** Adds an error at `node`, which explains what TypeScript has to say about this node. */
  error(code: DiagnosticCode, node: ts.Node, message: string, hint?: string): void {
    this.explain(node);
    this.diagnostics.add(this.#errorAt(code, node, message, hint));
  }

  /** Adds a warning at `node`. */
  warning(code: DiagnosticCode, node: ts.Node, message: string, hint: string): void {
    this.diagnostics.add({ ...this.#errorAt(code, node, message, hint), severity: "warning" });
  }

  /** Adds an error that is of interest only where there is no other. */
  follows(code: DiagnosticCode, node: ts.Node, message: string, hint?: string): void {
    this.diagnostics.addFollowing(this.#errorAt(code, node, message, hint));
  }

  #errorAt(code: DiagnosticCode, node: ts.Node, message: string, hint?: string): Diagnostic {
    const source = node.getSourceFile();
    const start = node.getStart(source);
    return {
      code,
      severity: "error",
      message,
      ...(hint === undefined ? {} : { hint }),
      ...placeOf(this.root, source, start, node.getEnd() - start),
    };
  }

  /** What TypeScript finds wrong in `node`, functions' bodies left out, follows from what was reported. */
  explain(node: ts.Node): void {
    const source = node.getSourceFile();
    const place = (position: number): readonly [number, number] => {
      const { line, character } = source.getLineAndCharacterOfPosition(position);
      return [line + 1, character + 1];
    };
    this.diagnostics.explain({
      file: appPath(this, source.fileName),
      start: place(node.getStart(source)),
      end: place(bodyIn(node)?.getStart(source) ?? node.getEnd()),
    });
  }

  /** Where `node` stands. */
  span(node: ts.Node): SourceSpan {
    const source = node.getSourceFile();
    const { line, character } = source.getLineAndCharacterOfPosition(node.getStart(source));
    return { file: appPath(this, source.fileName), line: line + 1, column: character + 1 };
  }
}

/** The first function's body in a node. */
function bodyIn(node: ts.Node): ts.Node | undefined {
  if (ts.isFunctionLike(node) && "body" in node) return node.body as ts.Node | undefined;
  return ts.forEachChild(node, bodyIn);
}

/** Span and code frame of a position. */
export function placeOf(
  root: string,
  source: ts.SourceFile,
  start: number,
  length: number,
): Pick<Diagnostic, "span" | "frame" | "frameStart" | "length"> {
  const { line, character } = source.getLineAndCharacterOfPosition(start);
  return {
    span: { file: appPath({ root }, source.fileName), line: line + 1, column: character + 1 },
    ...codeFrame(authorText(source), line + 1, character + 1, length),
  };
}

/** The doc comment before a declaration: a block of `/** *\/` or lines of `///`; empty where none. */
export function docOf(node: ts.Node): string {
  return docBefore(authorText(node.getSourceFile()), node.getFullStart());
}

/** The doc comment that begins at a position where trivia begins. */
export function docBefore(text: string, position: number): string {
  const ranges = ts.getLeadingCommentRanges(text, position) ?? [];
  const last = ranges.at(-1);
  if (last === undefined) return "";
  if (last.kind === ts.SyntaxKind.MultiLineCommentTrivia) {
    const raw = text.slice(last.pos, last.end);
    return raw.startsWith("/**") ? blockText(raw) : "";
  }
  const lines: string[] = [];
  for (const range of ranges.toReversed()) {
    const raw = text.slice(range.pos, range.end);
    if (!raw.startsWith("///") || raw.startsWith("////")) break;
    lines.unshift(raw.slice(3).replace(/^ /, "").trimEnd());
  }
  return lines.join("\n").trim();
}

function blockText(raw: string): string {
  return raw.slice(3, -2).split(/\r\n|\r|\n/)
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n").trim();
}
