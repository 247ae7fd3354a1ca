/**
 * The log of an app for a person at a terminal: a line of JSON becomes one of words, an error's stack the
 * lines below it. What is no entry of the log, as what the app itself prints, stays as it is.
 *
 * @module
 */
import { editedLines } from "./edited_lines.ts";

interface LoggedError {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly stack?: unknown;
  /** What the database said. */
  readonly failure?: unknown;
  readonly cause?: unknown;
}

/** A stream of printed lines, readable. */
export function readableLog(): TransformStream<Uint8Array, Uint8Array> {
  return editedLines((text) => text.replaceAll(/^\{"at":"[^\n]*$/gm, readableLine));
}

/** One line. */
export function readableLine(line: string): string {
  const entry = entryOf(line);
  if (entry === null) return line;
  const { at, level, event, error, ...fields } = entry;
  const time = new Date(at).toTimeString().slice(0, 8);
  const said = Object.entries(fields).map(([name, value]) =>
    `${name}=${isWord(value) ? value : JSON.stringify(value)}`
  );
  const head = [time, ...(level === "info" ? [] : [level]), event, ...said].join(" ");
  const text = typeof error === "object" && error !== null ? `${head}\n${errorText(error)}` : head;
  return text.replaceAll(ORDERS, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** What a terminal would obey. */
const ORDERS = /[^\P{Cc}\n\t]/gu;

function isWord(value: unknown): boolean {
  return typeof value === "string" && /^[^\s"\p{Cc}]+$/u.test(value);
}

function entryOf(
  line: string,
): { at: string; level: string; event: string; error?: unknown } | null {
  try {
    const entry = JSON.parse(line);
    const whole = [entry.at, entry.level, entry.event].every((part) => typeof part === "string");
    return whole && !Number.isNaN(Date.parse(entry.at)) ? entry : null;
  } catch {
    return null;
  }
}

function errorText({ name, code, message, stack, failure, cause }: LoggedError): string {
  const text = typeof stack === "string" ? stack : `${name}: ${message}`;
  const head = typeof code === "string" ? `${code} ` : "";
  const tail = failure === undefined ? "" : `\n${JSON.stringify(failure)}`;
  const lines = `  ${`${head}${text}${tail}`.replaceAll("\n", "\n  ")}`;
  if (typeof cause !== "object" || cause === null) return lines;
  return `${lines}\n  caused by\n${errorText(cause)}`;
}
