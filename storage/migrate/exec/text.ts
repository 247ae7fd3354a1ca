/**
 * A query's text in its forms, and the way back from a position in one to the line in the source.
 *
 * @module
 */
import type { ExecDef } from "../../../_internal/manifest.ts";
import { STORAGE_LIMITS } from "../../limits.ts";
import { parameterExpression, parameterType } from "../../exec/sql_type.ts";

/** The text with a typed null in place of each parameter: what PostgreSQL parses and judges. */
export function checkText(exec: ExecDef): string {
  return join(exec, (i) => `(null::${typeOf(exec, i)})`);
}

/** The text as it runs, inside the statement that makes JSON of its rows; columns as expressions over `q`. */
export function bodyText(exec: ExecDef, columns: readonly string[]): string {
  const inner = join(exec, (i) => parameterExpression(typeOf(exec, i), i));
  return `select coalesce(json_agg(r.j order by r.n), '[]') from (
    select json_build_array(${
    columns.join(", ")
  }) as j, row_number() over () as n from (\n${inner}\n) q
     limit ${STORAGE_LIMITS.queryRows + 1}) r`;
}

function typeOf(exec: ExecDef, i: number): ReturnType<typeof parameterType> {
  return parameterType(exec.parameters[i]!, exec.types);
}

function join(exec: ExecDef, parameter: (i: number) => string): string {
  return exec.text.map((part, i) => i === 0 ? part : parameter(i - 1) + part).join("");
}

/** Line in the source, and the text's own line with a mark, for a position (from 0) in {@link checkText}. */
export function locate(
  exec: ExecDef,
  position: number,
): { readonly line: number; readonly frame: string } {
  let at = 0;
  let shown = "";
  let mark = 0;
  for (const [i, part] of exec.text.entries()) {
    if (i > 0) {
      if (at <= position) mark = shown.length;
      at += `(null::${typeOf(exec, i - 1)})`.length;
      shown += "${…}";
    }
    if (at <= position) mark = shown.length + Math.min(position - at, part.length);
    at += part.length;
    shown += part;
  }
  const before = shown.slice(0, mark).split("\n");
  const column = before.at(-1)!.length;
  const text = shown.split("\n")[before.length - 1]!;
  return {
    line: exec.source.line + before.length - 1,
    frame: `  ${text}\n  ${" ".repeat(column)}^`,
  };
}
