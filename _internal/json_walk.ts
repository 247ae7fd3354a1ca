/**
 * What the JSON codec's two halves share: the state of one walk, failures that know their path, and
 * numbers that JSON has no words for.
 *
 * @module
 */
import type { Found } from "./found.ts";
import type { ShapeTable } from "./shape.ts";

/** State of one encoding or decoding. */
export interface Walk {
  readonly types: ShapeTable;
  /** True: properties that a shape does not know are passed over. */
  lenient: boolean;
  /** Current nesting; bounds the stack and ends cycles. */
  depth: number;
  /** Attempts at union variants; bounds backtracking. */
  tries: number;
}

/** A value that does not have the declared type; becomes `VALIDATION` at the edge. */
export class Mismatch extends Error {
  /** Where, from the root. */
  path = "";
  /** Keeps the rule that was broken; whoever knows the value adds what was found. */
  constructor(readonly expected: string, public found: Found | null = null) {
    super(expected);
  }
}

/** Asserts, or says what was expected. */
export function must(
  condition: boolean,
  expected: string,
  found?: Found,
): asserts condition {
  if (!condition) throw new Mismatch(expected, found);
}

/** Says what was expected. */
export function refuse(expected: string): never {
  throw new Mismatch(expected);
}

/** Runs `work`; a failure in it gets `key` in front of its path. */
export function atPath<T>(key: string | number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Mismatch) {
      const step = typeof key === "number"
        ? `[${key}]`
        : /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key)
        ? `.${key}`
        : `[${JSON.stringify(key)}]`;
      error.path = step + error.path;
    }
    throw error;
  }
}

/** A number as JSON: a string where JSON would lose it. */
export function numberToJson(value: number): number | string {
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? value : String(value);
}

/** The inverse of {@link numberToJson}. */
export function numberFromJson(json: unknown): number {
  switch (json) {
    case "NaN":
      return NaN;
    case "Infinity":
      return Infinity;
    case "-Infinity":
      return -Infinity;
    case "-0":
      return -0;
  }
  must(typeof json === "number", "a number");
  return json;
}
