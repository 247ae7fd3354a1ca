/**
 * The structured log: one JSON line per event, redacted.
 *
 * Redaction works on two levels. By name: fields that hold secrets by their nature never print. By
 * form: tokens, long random texts and passwords in connection strings are cut out of any text, an
 * error's message and stack included. Bytes print as their length. So a mistake in a caller's choice of
 * fields costs readability, not a key.
 *
 * @module
 */
import type { Clock, Log } from "./ports.ts";

const SECRET_NAME =
  /(?:^|[^a-z])(?:authorization|cookie|password|passwd|secrets?|tokens?|tickets?|payload|arguments|args|sid|refresh|access|keys?|url)$/i;
const CAMEL = /([a-z0-9])([A-Z])/g;

const FORMS: readonly (readonly [RegExp, string])[] = [
  // user:password@ of a URL.
  [/(:\/\/[^\s:@/]*):[^\s@/]*@/g, "$1:[redacted]@"],
  // A JWT or another dotted token.
  [/\b[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}\b/g, "[redacted]"],
  // Bearer tokens of any form.
  [/\bBearer\s+\S+/gi, "Bearer [redacted]"],
  // 32 and more characters of base64url or hex: no word has them, keys do.
  [/\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])(?![0-9a-f]{8}-[0-9a-f]{4}-)[\w-]{32,}={0,2}/g, "[redacted]"],
];

const MAX_TEXT = 8192;
const MAX_DEPTH = 6;
const MAX_ITEMS = 50;

/** Cuts secrets out of a text. */
export function redactText(text: string): string {
  let out = text.slice(0, MAX_TEXT);
  for (const [form, instead] of FORMS) out = out.replace(form, instead);
  return out.length < text.length && text.length > MAX_TEXT ? `${out}…` : out;
}

/** A copy of any value that can be printed: bounded, plain, redacted. */
export function redact(value: unknown, name = "", depth = 0): unknown {
  if (SECRET_NAME.test(name.replace(CAMEL, "$1_$2")) && value !== null && value !== undefined) {
    return "[redacted]";
  }
  switch (typeof value) {
    case "string":
      return redactText(value);
    case "bigint":
      return String(value);
    case "function":
    case "symbol":
      return `[${typeof value}]`;
    case "object":
      return value === null ? null : redactObject(value, depth);
    default:
      return value;
  }
}

function redactObject(value: object, depth: number): unknown {
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= MAX_DEPTH) return "[deep]";
  if (value instanceof Error) {
    const { name, message, stack, cause } = value;
    const failure = (value as { failure?: unknown }).failure;
    const code = (value as { code?: unknown }).code;
    return {
      name,
      ...(typeof code === "string" ? { code } : {}),
      message: redactText(message),
      ...(stack === undefined ? {} : { stack: redactText(stack) }),
      ...(failure === undefined ? {} : { failure: redact(failure, "", depth + 1) }),
      ...(cause === undefined ? {} : { cause: redact(cause, "", depth + 1) }),
    };
  }
  if (Array.isArray(value)) {
    return value.slice(0, MAX_ITEMS).map((item) => redact(item, "", depth + 1));
  }
  return Object.fromEntries(
    Object.entries(value).slice(0, MAX_ITEMS).map((
      [name, inner],
    ) => [name, redact(inner, name, depth + 1)]),
  );
}

/** Where lines go: level and one line of JSON. */
export type LogSink = (level: "info" | "warn" | "error", line: string) => void;

const toConsole: LogSink = (level, line) => {
  if (level === "error") console.error(line);
  else if (level === "warn") console.warn(line);
  else console.log(line);
};

/** A log that redacts; prints to the console where no sink is given. */
export function createLog(clock: Clock, sink: LogSink = toConsole): Log {
  const write =
    (level: "info" | "warn" | "error") =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      const at = new Date(clock.now()).toISOString();
      const safe = redact(fields) as Readonly<Record<string, unknown>>;
      sink(level, JSON.stringify({ at, level, event, ...safe }));
    };
  return { info: write("info"), warn: write("warn"), error: write("error") };
}
