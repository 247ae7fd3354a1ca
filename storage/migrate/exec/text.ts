/**
 * A query's text in its forms, and the way back from a position in one to the line in the source.
 *
 * What is judged is what runs: both forms are the same text in the same brackets, and differ in one word, the
 * source of the parameters.
 *
 * @module
 */
import type { ExecDef } from "../../../_internal/manifest.ts";
import { STORAGE_LIMITS } from "../../limits.ts";
import { parameterExpression, parameterType } from "../../exec/sql_type.ts";

/** Parameters where the text is judged, and where it runs. */
const JUDGED = "(null::jsonb)";
const RUN = "$2";

const OPEN = "from (\n";
const CLOSE = "\n) q";
const BEFORE = `select q.* ${OPEN}`;

/** What PostgreSQL parses and judges. */
export function checkText(exec: ExecDef): string {
  return BEFORE + inner(exec, JUDGED) + CLOSE;
}

/** The text as it runs, inside the statement that makes JSON of its rows; columns as expressions over `q`. */
export function bodyText(exec: ExecDef, columns: readonly string[]): string {
  return `select coalesce(json_agg(r.j order by r.n), '[]') from (
    select json_build_array(${columns.join(", ")}) as j, row_number() over () as n ${OPEN}${
    inner(exec, RUN)
  }${CLOSE}
     limit ${STORAGE_LIMITS.queryRows + 1}) r`;
}

function inner(exec: ExecDef, source: string): string {
  return exec.text.map((part, i) => i === 0 ? part : parameter(exec, i - 1, source) + part)
    .join("");
}

function parameter(exec: ExecDef, i: number, source: string): string {
  return parameterExpression(parameterType(exec.parameters[i]!, exec.types), i, source);
}

/** Position in {@link checkText} of an offset in a part of the text. */
export function positionOf(exec: ExecDef, part: number, offset: number): number {
  let at = BEFORE.length + offset;
  for (let i = 0; i < part; i++) at += exec.text[i]!.length + parameter(exec, i, JUDGED).length;
  return at;
}

/** Line in the source, and the text's own line with a mark, for a position (from 0) in {@link checkText}. */
export function locate(
  exec: ExecDef,
  position: number,
): { readonly line: number; readonly frame: string } {
  let at = BEFORE.length;
  let shown = "";
  let mark = 0;
  for (const [i, part] of exec.text.entries()) {
    if (i > 0) {
      if (at <= position) mark = shown.length;
      at += parameter(exec, i - 1, JUDGED).length;
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
