/**
 * The queries of a build, found by their text: what a call sends is an id and parameters, and a template that
 * the build does not know is refused before anything is sent.
 *
 * @module
 */
import type { ExecDef } from "../../_internal/manifest.ts";
import { KontractError } from "../../_internal/errors.ts";
import { ValidationError } from "../../_internal/error_classes.ts";
import type { Shape } from "../../_internal/shape.ts";
import { valuesJson } from "../limits.ts";
import { decodeValue, encodeValue, type Json, type JsonObject } from "../row_codec.ts";

/** A row that a query gives. */
export type ExecRow = Readonly<Record<string, unknown>>;

/** All queries of one build. */
export class ExecStatements {
  readonly #byText: ReadonlyMap<string, ExecDef>;
  /** A call site has one array of strings for its whole life. */
  readonly #bySite = new WeakMap<readonly string[], ExecDef>();

  /** Over what the compiler found. */
  constructor(execs: readonly ExecDef[]) {
    this.#byText = new Map(execs.map((exec) => [textKey(exec.text), exec]));
  }

  /**
   * The query of a tagged template.
   *
   * @throws {ValidationError} where it is not one that the build has seen
   */
  of(strings: unknown): ExecDef {
    if (!Array.isArray(strings) || !strings.every((part) => typeof part === "string")) {
      throw new ValidationError(
        "'exec' is the tag of a template: env.storage.exec<Row>`select …`.",
      );
    }
    const known = this.#bySite.get(strings) ?? this.#byText.get(textKey(strings));
    if (known === undefined) {
      throw new ValidationError(
        "This query is not one of the build: the text of 'exec' is fixed when the app is compiled.",
      );
    }
    this.#bySite.set(strings, known);
    return known;
  }
}

/** Text with numbered parameters: what two templates have alike when they are the same query. */
function textKey(text: readonly string[]): string {
  return text.map((part, i) => i === 0 ? part : `$${i}${part}`).join("\0");
}

/** The parameters as the database takes them. @throws {KontractError} `VALIDATION`, `TOO_LARGE` */
export function encodeParameters(exec: ExecDef, values: readonly unknown[]): string {
  return valuesJson(exec.parameters.map((shape, i) => {
    const value = values[i];
    if (value === undefined || value === null) return null;
    return encodeParameter(exec, shape, value, i + 1);
  }));
}

/** A value may be a caller's own, and then so is the refusal: where the query stands is in its cause. */
function encodeParameter(exec: ExecDef, shape: Shape, value: unknown, number: number): Json {
  try {
    return encodeValue(shape, value, `parameter ${number} of the query`, exec.types);
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error;
    const { file, line } = exec.source;
    const { message, data } = error;
    throw new ValidationError(message, { data, cause: new Error(`the query at ${file}:${line}`) });
  }
}

/**
 * A row as the author gets it, checked against what the source says it is.
 *
 * @throws {KontractError} `SCHEMA_MISMATCH` where it is something else
 */
export function decodeResult(exec: ExecDef, row: readonly Json[]): ExecRow {
  const pairs: [string, unknown][] = [];
  for (const [i, { name, shape, optional }] of exec.columns.entries()) {
    const json = row[i] ?? null;
    if (json === null && optional) continue;
    pairs.push([name, decodeColumn(exec, name, shape, json)]);
  }
  return Object.fromEntries(pairs);
}

function decodeColumn(
  exec: ExecDef,
  name: string,
  shape: ExecDef["columns"][number]["shape"],
  json: Json | JsonObject,
): unknown {
  try {
    const value = decodeValue(shape, json, exec.types);
    encodeValue(shape, value, name, exec.types); // only a value of this shape can be encoded
    return value;
  } catch (cause) {
    const { file, line } = exec.source;
    throw new KontractError(
      "SCHEMA_MISMATCH",
      json === null
        ? `Column '${name}' of the query at ${file}:${line} is null, and its type does not say so.`
        : `Column '${name}' of the query at ${file}:${line} does not have the declared type.`,
      { cause },
    );
  }
}
