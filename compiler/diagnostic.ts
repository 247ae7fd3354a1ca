/**
 * Compiler problems as data.
 *
 * A stage never throws because of what an author wrote: it adds a {@link Diagnostic} to the
 * {@link Diagnostics} it was given and goes on, so that one build shows everything that is wrong.
 * Files are relative to the app's folder, lines and columns count from 1. Formatting is pure: the text
 * of a source line travels inside the diagnostic.
 *
 * What follows from another problem is not listed: an error of types that begins where Kontract has
 * explained the code already ({@link Diagnostics.explain}), and what says itself that it follows
 * ({@link Diagnostics.addFollowing}) as long as there is anything else. The rest is listed by cause:
 * configuration, modules that are missing, tables, everything else, each by place.
 *
 * @module
 */
import type { SourceSpan } from "../_internal/manifest.ts";

/** All compiler codes with what each one is about. A code is never reused. */
export const DIAGNOSTIC_CODES = {
  KT1001: "configuration",
  KT1002: "module not found",
  KT1003: "syntax",
  KT1004: "type",
  KT1005: "lock file",
  KT2001: "decorator on a function",
  KT2002: "route name",
  KT2003: "place of @backend",
  KT2004: "option is not a constant",
  KT2005: "option value",
  KT2006: "public member without @backend",
  KT2007: "vanished route",
  KT2008: "generic route",
  KT2009: "parameter form",
  KT2010: "plain HTTP address",
  KT2011: "error class",
  KT2012: "streamed parameter",
  KT2013: "circular import",
  KT2014: "result that nobody waits for",
  KT2015: "call's own at the top of a module",
  KT3001: "type cannot cross",
  KT3002: "type beyond the limits of a message",
  KT4001: "table",
  KT4002: "primary key",
  KT4003: "field default",
  KT4004: "index",
  KT4005: "query",
  KT4006: "unknown table",
  KT5001: "server code in the client",
  KT5002: "file from outside the front end",
  KT5003: "global of another host",
  KT6001: "middleware",
  KT6002: "place of defineServer",
  KT7001: "bundling",
  KT7002: "size budget",
} as const;

/** A stable compiler code. */
export type DiagnosticCode = keyof typeof DIAGNOSTIC_CODES;

/** One problem. */
export interface Diagnostic {
  /** Stable code, as `KT2001`. */
  readonly code: DiagnosticCode;
  /** An error fails the build. */
  readonly severity: "error" | "warning";
  /** What is wrong, in one sentence or two. */
  readonly message: string;
  /** What to do instead; may hold several lines. */
  readonly hint?: string;
  /** Where, if it is anywhere in a file. */
  readonly span?: SourceSpan;
  /** Length of the marked text on its line. */
  readonly length?: number;
  /** The lines around the span, first one numbered `frameStart`. */
  readonly frame?: readonly string[];
  /** Line number of the first frame line. */
  readonly frameStart?: number;
}

/** Part of a file: from a place up to, and without, another. */
export interface ExplainedRange {
  readonly file: string;
  /** Line and column. */
  readonly start: readonly [line: number, column: number];
  readonly end: readonly [line: number, column: number];
}

/** Collects the diagnostics of one build; the same problem at the same place counts once. */
export class Diagnostics {
  #items: Diagnostic[] = [];
  #seen: Set<string> = new Set();
  #explained: ExplainedRange[] = [];
  readonly #following: Set<Diagnostic> = new Set();

  /** Adds one. */
  add(diagnostic: Diagnostic): void {
    const { code, message, span } = diagnostic;
    const key = JSON.stringify([code, message, span?.file, span?.line, span?.column]);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#items.push(diagnostic);
  }

  /** Adds one that is listed only where no other error is. */
  addFollowing(diagnostic: Diagnostic): void {
    this.#following.add(diagnostic);
    this.add(diagnostic);
  }

  /** Adds each. */
  addAll(diagnostics: readonly Diagnostic[]): void {
    for (const one of diagnostics) this.add(one);
  }

  /** True where at least one is an error. */
  get failed(): boolean {
    return this.#items.some((item) => item.severity === "error");
  }

  /** How many were added, those that are not listed included. */
  get added(): number {
    return this.#items.length;
  }

  /** What TypeScript finds wrong from here on follows from what was reported. */
  explain(range: ExplainedRange): void {
    this.#explained.push(range);
  }

  /** All that do not follow from another, causes first, then by file, line and column. */
  list(): readonly Diagnostic[] {
    const key = (d: Diagnostic) => d.span?.file ?? "";
    const left = this.#items.filter((one) => !this.#isExplained(one));
    const causes = left.filter((one) => !this.#following.has(one));
    const found = causes.some((one) => one.severity === "error") ? causes : left;
    return found.sort((a, b) =>
      causeRank(a.code) - causeRank(b.code) ||
      compareText(key(a), key(b)) || (a.span?.line ?? 0) - (b.span?.line ?? 0) ||
      (a.span?.column ?? 0) - (b.span?.column ?? 0) || compareText(a.code, b.code)
    );
  }

  #isExplained({ code, span }: Diagnostic): boolean {
    // The table that is missing may be the one that is wrong.
    if (code === "KT4006") return this.#items.some((one) => one.code === "KT4001");
    if (code !== "KT1004" || span === undefined) return false;
    const at = [span.line, span.column] as const;
    return this.#explained.some(({ file, start, end }) =>
      file === span.file && !isBefore(at, start) && isBefore(at, end)
    );
  }
}

type LineAndColumn = readonly [line: number, column: number];

function isBefore(a: LineAndColumn, b: LineAndColumn): boolean {
  return a[0] < b[0] || a[0] === b[0] && a[1] < b[1];
}

/** What makes other problems comes before them: a table that is wrong is missing in `env.storage`. */
function causeRank(code: DiagnosticCode): number {
  if (code === "KT1001" || code === "KT1005") return 0;
  if (code === "KT1002" || code === "KT1003") return 1;
  return code === "KT4001" || code === "KT4002" || code === "KT4003" ? 2 : 3;
}

/** Orders texts by code unit, the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Options of {@link formatDiagnostics}. */
export interface FormatOptions {
  /** ANSI colours. */
  readonly color?: boolean;
}

/** What a person sees in a terminal: one block per diagnostic, then a count. */
export function formatDiagnostics(
  diagnostics: readonly Diagnostic[],
  options: FormatOptions = {},
): string {
  if (diagnostics.length === 0) return "";
  const paint = options.color === true
    ? (codes: string, text: string) => `\x1b[${codes}m${text}\x1b[0m`
    : (_codes: string, text: string) => text;
  const blocks = diagnostics.map((d) => formatOne(d, paint));
  const errors = diagnostics.filter((d) => d.severity === "error").length;
  const warnings = diagnostics.length - errors;
  const count = [counted(errors, "error"), counted(warnings, "warning")].filter((t) => t !== "");
  return `${blocks.join("\n\n")}\n\n${count.join(", ")}\n`;
}

function counted(n: number, noun: string): string {
  return n === 0 ? "" : `${n} ${noun}${n === 1 ? "" : "s"}`;
}

type Paint = (codes: string, text: string) => string;

function formatOne(d: Diagnostic, paint: Paint): string {
  const tone = d.severity === "error" ? "31;1" : "33;1";
  const lines = [`${paint(tone, `${d.severity} ${d.code}`)} ${d.message}`];
  if (d.span !== undefined) {
    lines.push(paint("36", `  at ${d.span.file}:${d.span.line}:${d.span.column}`));
    lines.push(...frameLines(d, d.span, paint));
  }
  if (d.hint !== undefined) {
    lines.push(...d.hint.split("\n").map((line, i) => `  ${i === 0 ? "hint: " : "      "}${line}`));
  }
  return lines.join("\n");
}

function frameLines(d: Diagnostic, span: SourceSpan, paint: Paint): string[] {
  if (d.frame === undefined || d.frameStart === undefined) return [];
  const width = String(d.frameStart + d.frame.length - 1).length;
  const out: string[] = [];
  for (const [i, text] of d.frame.entries()) {
    const number = d.frameStart + i;
    const marked = number === span.line;
    out.push(`  ${marked ? ">" : " "} ${String(number).padStart(width)} | ${text}`.trimEnd());
    if (marked) {
      const mark = "^".repeat(Math.max(1, d.length ?? 1));
      out.push(`    ${" ".repeat(width)} | ${" ".repeat(span.column - 1)}${paint("31", mark)}`);
    }
  }
  return out;
}

/** The place of `length` characters at an index of a file's text, with its frame. */
export function placeInText(
  file: string,
  text: string,
  index: number,
  length: number,
): Pick<Diagnostic, "frame" | "frameStart" | "length" | "span"> {
  const before = text.slice(0, index).split("\n");
  const line = before.length, column = before.at(-1)!.length + 1;
  return { span: { file, line, column }, ...codeFrame(text, line, column, length) };
}

/** The lines around a place, ready for a {@link Diagnostic}; tabs become single spaces. */
export function codeFrame(
  text: string,
  line: number,
  column: number,
  length: number,
): Pick<Diagnostic, "frame" | "frameStart" | "length"> {
  const lines = text.split(/\r\n|\r|\n/);
  const first = Math.max(1, line - 1);
  const frame = lines.slice(first - 1, line + 1)
    .map((l) => l.replaceAll("\t", " ").slice(0, Math.max(160, column + 40)));
  const marked = lines[line - 1] ?? "";
  const room = Math.max(1, marked.length - column + 1);
  return { frame, frameStart: first, length: Math.max(1, Math.min(length, room)) };
}
