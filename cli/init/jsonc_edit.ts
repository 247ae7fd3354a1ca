/**
 * Adds members to JSON with comments and leaves every other character of the text as it is.
 *
 * The text must have been parsed before (see `jsonc.ts`): here its structure is taken for granted.
 *
 * @module
 */

/** A value of JSON. */
export type Json = string | boolean | null | number | readonly Json[] | {
  readonly [key: string]: Json;
};

/** Characters of an array that stays on one line. */
const SHORT = 50;

interface Container {
  /** Position after the opening bracket. */
  readonly start: number;
  /** Position of the closing bracket. */
  readonly end: number;
  /** Position after the last member's value, or -1 in an empty one. */
  readonly last: number;
  /** True where a comma follows the last member. */
  readonly comma: boolean;
  /** Start of each member's value, by key or index. */
  readonly values: ReadonlyMap<string, number>;
}

/** Adds `key: value` at the end of the object at `path`. */
export function addMember(
  text: string,
  path: readonly string[],
  key: string,
  value: Json,
): string {
  return append(text, path, `${JSON.stringify(key)}: ${render(value, path.length + 1)}`);
}

/** Adds `value` at the end of the array at `path`. */
export function addElement(text: string, path: readonly string[], value: Json): string {
  return append(text, path, render(value, path.length + 1));
}

function append(text: string, path: readonly string[], member: string): string {
  let at = skipBlank(text, 0);
  for (const key of path) {
    const next = container(text, at).values.get(key);
    if (next === undefined) throw new Error(`Invariant: there is no member '${key}'.`);
    at = next;
  }
  const { start, end, last, comma } = container(text, at);
  const inner = "  ".repeat(path.length + 1);
  const outer = "  ".repeat(path.length);
  if (last < 0) {
    const kept = text.slice(start, end).trimEnd();
    return `${text.slice(0, start)}${kept}\n${inner}${member}\n${outer}${text.slice(end)}`;
  }
  const wide = text.slice(start, end).includes("\n");
  if (!wide) return `${text.slice(0, last)}, ${member}${text.slice(last)}`;
  const before = `${text.slice(0, last)}${comma ? "" : ","}`;
  // A comment beside the last member stays beside it.
  const rest = text.slice(last, end).trimEnd();
  return `${before}${rest}\n${inner}${member}\n${outer}${text.slice(end)}`;
}

/** As `deno fmt` would have it: objects over lines, short arrays on one. */
function render(value: Json, depth: number): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const isArray = Array.isArray(value);
  const members = Object.entries(value).map(([key, one]) =>
    `${isArray ? "" : `${JSON.stringify(key)}: `}${render(one as Json, depth + 1)}`
  );
  const [open, close] = isArray ? "[]" : "{}";
  const line = `${open}${members.join(", ")}${close}`;
  if (members.length === 0 || (isArray && line.length <= SHORT)) return line;
  const inner = `\n${"  ".repeat(depth + 1)}`;
  return `${open}${inner}${members.join(`,${inner}`)}\n${"  ".repeat(depth)}${close}`;
}

/** Reads the object or array that begins at `at`. */
function container(text: string, at: number): Container {
  const isObject = text[at] === "{";
  const start = at + 1;
  const values = new Map<string, number>();
  let last = -1;
  let comma = false;
  let position = skipBlank(text, start);
  while (text[position] !== "}" && text[position] !== "]") {
    let key = `${values.size}`;
    if (isObject) {
      const afterKey = skipValue(text, position);
      key = JSON.parse(text.slice(position, afterKey)) as string;
      position = skipBlank(text, skipBlank(text, afterKey) + 1);
    }
    values.set(key, position);
    last = skipValue(text, position);
    position = skipBlank(text, last);
    comma = text[position] === ",";
    if (comma) position = skipBlank(text, position + 1);
    else if (text[position] === undefined) throw new Error("Invariant: the text is not JSON.");
  }
  return { start, end: position, last, comma, values };
}

/** Position after the value at `at`. */
function skipValue(text: string, at: number): number {
  if (text[at] === "{" || text[at] === "[") return container(text, at).end + 1;
  const scalar = /"(?:[^"\\]|\\.)*"|[\w.+-]+/y;
  scalar.lastIndex = at;
  if (!scalar.test(text)) throw new Error("Invariant: the text is not JSON.");
  return scalar.lastIndex;
}

/** Position after white space and comments. */
function skipBlank(text: string, at: number): number {
  const blank = /(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y;
  blank.lastIndex = at;
  blank.test(text);
  return blank.lastIndex;
}
