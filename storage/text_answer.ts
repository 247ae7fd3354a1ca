/**
 * Answers that travel as one text column, since a row of columns costs the database half again. Made by
 * `get` and by the commit functions; read here and nowhere else.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { SqlRow } from "./database.ts";

/** Of a commit: the stored answer of the request's first run, or null where this run was applied. */
export function commitAnswer(row: SqlRow): Uint8Array | null {
  return storedAnswer(text(row));
}

/**
 * Of `get`: `snap|incarnation|epoch|txid|ord|data` as the columns other read functions have. It does not
 * name the row's owner. Of `get_many`: `snap|incarnation|epoch|rows`.
 *
 * @throws {KontractError} `INTERNAL` where the text is not of that form.
 */
export function readAnswer(row: SqlRow): SqlRow {
  if (row.r === undefined && row.many === undefined) return row;
  const whole = text(row);
  const replay = storedAnswer(whole);
  if (replay !== null) return { replay };
  if (row.many !== undefined) {
    const [snap, known, epoch, rows] = split(whole, 4);
    if (rows === undefined) throw new KontractError("INTERNAL");
    return { snap, inc: `${known}.${epoch}`, rows: JSON.parse(rows) };
  }
  const [snap, known, epoch, txid, ord, data] = split(whole, 6);
  if (snap === undefined || known === undefined || epoch === undefined) {
    throw new KontractError("INTERNAL");
  }
  const inc = `${known}.${epoch}`;
  if (data === undefined) return { snap, inc, txid: null, data: null };
  return { snap, inc, txid, ord, data: JSON.parse(data) };
}

function text(row: SqlRow): string {
  const answer = row.r ?? row.many;
  if (typeof answer !== "string") throw new KontractError("INTERNAL");
  return answer;
}

function storedAnswer(whole: string): Uint8Array | null {
  return whole.startsWith("R|") ? Uint8Array.fromBase64(whole.slice(2)) : null;
}

/** At most `count` parts; the last keeps its bars. */
function split(whole: string, count: number): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  while (parts.length < count - 1) {
    const bar = whole.indexOf("|", from);
    if (bar < 0) break;
    parts.push(whole.slice(from, bar));
    from = bar + 1;
  }
  parts.push(whole.slice(from));
  return parts;
}
