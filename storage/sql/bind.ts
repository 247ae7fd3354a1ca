/**
 * What is sent of a statement and its parameters: those that are null are written into its text. Each parameter
 * costs both ends of the connection, and of those that every read and every commit has most are null.
 *
 * @module
 */
import type { SqlParam } from "../database.ts";

/** Forms of one statement at most, each prepared on each connection that meets it; others are sent as they are. */
const FORMS = 16;

const forms = new Map<string, Map<number, string>>();

/** The text for parameters of which some are null, and the others. */
export function bind(
  text: string,
  params: readonly SqlParam[],
): readonly [text: string, values: SqlParam[]] {
  const values: SqlParam[] = [];
  let nulls = 0;
  for (let i = 0; i < params.length; i++) {
    const param = params[i]!;
    if (param === null) nulls |= 1 << i;
    else values.push(param);
  }
  if (nulls === 0) return [text, values];
  const form = formOf(text, nulls);
  return form === null ? [text, [...params]] : [form, values];
}

function formOf(text: string, nulls: number): string | null {
  let known = forms.get(text);
  if (known === undefined) forms.set(text, known = new Map());
  let form = known.get(nulls);
  if (form === undefined) {
    if (known.size >= FORMS) return null;
    known.set(nulls, form = write(text, nulls));
  }
  return form;
}

/** Bit `n` of `nulls` stands for parameter `n + 1`; those that stay are numbered anew. */
function write(text: string, nulls: number): string {
  return text.replace(/\$(\d+)/g, (_, digits: string) => {
    const at = Number(digits) - 1;
    if ((nulls >> at & 1) === 1) return "null";
    let before = 0;
    for (let i = 0; i < at; i++) before += nulls >> i & 1;
    return `$${at + 1 - before}`;
  });
}
