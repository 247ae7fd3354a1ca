/**
 * How an encoder says what is wrong with a value: a light exception that collects the path on its way
 * up, turned into one `VALIDATION` error at the edge. The value itself is never repeated.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { type Found, foundIn } from "../../_internal/found.ts";

/** A value that breaks its shape; internal to the codec. */
export class Broken {
  /** Path from the root, e.g. `users[3].name`; empty for the root itself. */
  path = "";
  /** Keeps what was expected, and what was found: in words, and in one for programs. */
  constructor(
    readonly expected: string,
    readonly words: string,
    readonly found: Found = "object",
    readonly cause?: unknown,
  ) {}
}

/** Says that `value` is not `expected`. */
export function no(expected: string, value: unknown): never {
  throw new Broken(expected, nameOf(value), foundIn(value));
}

/** Rethrows a failure one step further up: `key` is a property name or an index, "" for no step. */
export function atKey(error: unknown, key: string | number | undefined): never {
  if (error instanceof KontractError) throw error;
  const broken = error instanceof Broken
    ? error
    : new Broken("readable", "failing", "object", error);
  if (typeof key === "number") broken.path = `[${key}]${broken.path}`;
  else if (key) {
    const step = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key)
      ? `.${key}`
      : `[${JSON.stringify(key)}]`;
    broken.path = step + broken.path;
  }
  throw broken;
}

/** The public error for whatever ended an encoding. */
export function validation(error: unknown): KontractError {
  if (error instanceof KontractError) return error;
  const broken = error instanceof Broken
    ? error
    : new Broken("readable", "failing", "object", error);
  const path = broken.path.startsWith(".") ? broken.path.slice(1) : broken.path;
  const what = path === "" ? "The value" : `'${path}'`;
  return new KontractError(
    "VALIDATION",
    `${what} must be ${broken.expected}: it is ${broken.words}.`,
    { data: { path, expected: broken.expected, found: broken.found }, cause: broken.cause },
  );
}

/** What a value is, in words that reveal nothing of it. */
function nameOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  switch (typeof value) {
    case "undefined":
      return "undefined";
    case "object":
      return value instanceof Date ? "a Date" : "an object";
    case "number":
      return Number.isInteger(value) ? "an integer" : "a number";
    default:
      return `a ${typeof value}`;
  }
}
