/**
 * Queries for tests, as the compiler would have found them.
 *
 * @module
 */
import type { ExecDef } from "../../../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../../../_internal/shape.ts";
import { tableKey } from "../../table_key.ts";
import type { AnyRow, AnyStorage } from "../../testing/tables.ts";

/**
 * A query whose rows have these columns; parameters are given by their shapes:
 * `` query({ id: string })`select id from notes where text = ${string}` ``.
 */
export function query(
  columns: Readonly<Record<string, Shape>>,
  types: ShapeTable = {},
): (strings: TemplateStringsArray, ...parameters: Shape[]) => ExecDef {
  return (strings, ...parameters) => {
    const text = [...strings];
    return {
      id: tableKey(JSON.stringify([text, parameters, columns])),
      text,
      parameters,
      columns: Object.entries(columns).map(([name, shape]) => ({ name, shape, optional: false })),
      types,
      source: { file: "src/queries.ts", line: 10, column: 5 },
    };
  };
}

/** Runs one in a call. */
export function exec(storage: AnyStorage, def: ExecDef, ...values: unknown[]): Promise<AnyRow[]> {
  const tag = storage.exec as unknown as (
    strings: readonly string[],
    ...values: unknown[]
  ) => Promise<AnyRow[]>;
  return tag(def.text, ...values);
}
