/**
 * Text of unknown origin → Markdown that VitePress shows as it was written.
 *
 * A doc comment may hold anything. Three readers must not act on it: Markdown (HTML, links that do not
 * exist, containers, file inclusion), markdown-it-attrs (`{onclick=…}`) and Vue (`{{ … }}`, also inside
 * inline code). What could mean something to one of them becomes an entity: VitePress keeps entities as
 * they are until the browser. What an author uses in prose stays: paragraphs, lists, emphasis, code, and
 * links to `http(s)` addresses.
 *
 * Fenced code is safe from Vue and from HTML, but not from `<!--@include: file-->`, which VitePress
 * resolves before it looks at anything else: code that holds `<!--` is written as HTML with entities.
 *
 * @module
 */

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "{": "&#123;",
  "}": "&#125;",
  "|": "&#124;",
  "`": "&#96;",
  "[": "&#91;",
  "]": "&#93;",
  "\\": "&#92;",
  "*": "&#42;",
  "_": "&#95;",
  "~": "&#126;",
  "#": "&#35;",
  "!": "&#33;",
  ":": "&#58;",
  "\n": "&#10;",
};

/** Replaces the given characters by entities. */
function entities(text: string, characters: RegExp): string {
  return text.replaceAll(characters, (one) => ENTITIES[one] ?? one);
}

/** Control characters, also those that reorder text, have no place on a page; tabs become spaces. */
function printable(text: string): string {
  return text.replaceAll("\t", "    ").replaceAll(/\r\n?/g, "\n")
    // deno-lint-ignore no-control-regex -- these are what is removed
    .replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f\u2028-\u202e\u2066-\u2069]/g, "");
}

/** Text with no markup at all, on one line: names, headings. */
export function plain(text: string): string {
  return entities(printable(text).replaceAll(/\s+/g, " "), /[&<>{}|`[\]\\*_~#!]/g);
}

/** Inline code. */
export function code(text: string): string {
  const clean = printable(text).replaceAll(/\s+/g, " ");
  if (clean.trim() === "") return "";
  if (!/[&<>{}|`]/.test(clean)) return `\`${clean}\``;
  return `<code v-pre>${entities(clean, /[&<>{}|`[\]\\*_~!:]/g)}</code>`;
}

/** A block of code that nothing inside can end. */
export function codeBlock(text: string, language: string): string[] {
  const lines = printable(text).replace(/\n+$/, "").split("\n");
  if (text.includes("<!--")) {
    const body = lines.map((line) => entities(line, /[&<>{}]/g)).join("\n");
    return [`<pre v-pre><code>${body}</code></pre>`];
  }
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return [fence + language, ...lines, fence];
}

/** One cell of a table: the text's words on one line. */
export function cell(text: string): string {
  return inline(printable(text).replaceAll(/\s+/g, " ").trim());
}

/** A table; no rows, no table; a column with a name and nothing in it is left out. Cells are Markdown. */
export function tableOf(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  if (rows.length === 0) return [];
  const used = head.map((name, i) => name === "" || rows.some((cells) => cells[i] !== ""));
  const row = (cells: readonly string[]): string =>
    `| ${cells.filter((_, i) => used[i]).join(" | ")} |`;
  return [row(head), row(head.map(() => "---")), ...rows.map(row), ""];
}

/** A doc comment's prose: paragraphs, lists, emphasis, code and links stay; the rest is text. */
export function prose(text: string): string[] {
  const lines: string[] = [];
  const source = printable(text).split("\n");
  for (let i = 0; i < source.length; i++) {
    const line = source[i]!;
    const fence = /^\s*(`{3,}|~{3,})\s*([\w+-]*)/.exec(line);
    if (fence === null) {
      lines.push(proseLine(line));
      continue;
    }
    const end = source.findIndex((later, at) => at > i && later.trim().startsWith(fence[1]!));
    const body = source.slice(i + 1, end === -1 ? undefined : end);
    lines.push("", ...codeBlock(body.join("\n"), fence[2]!), "");
    i = end === -1 ? source.length : end;
  }
  return lines;
}

/** Four spaces would be code, which Vue reads; what begins a block of its own is taken as text. */
function proseLine(line: string): string {
  const indent = Math.min(line.search(/\S|$/), 3);
  const body = line.trimStart();
  if (body === "") return "";
  const bullet = /^(?:[-*+]|\d{1,9}[.)])\s+(?=\S)/.exec(body)?.[0] ?? "";
  const rest = inline(body.slice(bullet.length));
  const quiet = /^(?:[-=+*_]|:::)/.test(rest) && !/^[*_]{1,2}[^\s*_]/.test(rest)
    ? `&#${rest.charCodeAt(0)};${rest.slice(1)}`
    : rest;
  return " ".repeat(indent) + bullet.trim() + (bullet === "" ? "" : " ") + quiet;
}

/** Code spans, `{@link …}`, `[text](https://…)`; everything between them is text. */
const PIECES =
  /(`+)(?!`)([\s\S]*?[^`])\1(?!`)|\{@link(?:code|plain)?\s+([^}|\s]+)(?:[|\s]+([^}]*))?\}|\[([^[\]]*)\]\((https?:\/\/[^\s()<>{}"'`\\]+)\)/g;

function inline(text: string): string {
  let made = "";
  let last = 0;
  for (const match of text.matchAll(PIECES)) {
    const [whole, , span, target, label, words, address] = match;
    made += between(text.slice(last, match.index));
    last = match.index + whole.length;
    if (span !== undefined) made += code(span.trim());
    else if (target !== undefined) made += linked(target, label);
    else made += `[${plain(words ?? "")}](${entities(address ?? "", /[&|*_~!]/g)})`;
  }
  return made + between(text.slice(last));
}

function linked(target: string, label: string | undefined): string {
  const words = label?.trim() ?? "";
  if (/^https?:\/\/[^\s()<>{}"'`\\]+$/.test(target) && !isLocal(target)) {
    return `[${plain(words === "" ? target : words)}](${entities(target, /[&|*_~!]/g)})`;
  }
  return words === "" ? code(target) : plain(words);
}

/** Prose between the pieces. Emphasis stays; an address of this machine would count as a dead link. */
function between(text: string): string {
  return entities(text, /[&<>{}|`[\]\\#!~]/g)
    .replaceAll(
      /(https?):(\/\/\S*)/gi,
      (whole, scheme: string, rest: string) => isLocal(whole) ? `${scheme}&#58;${rest}` : whole,
    );
}

function isLocal(address: string): boolean {
  return /^https?:\/\/(?:[^/@]*@)?(?:localhost|127\.|0\.0\.0\.0|\[::1\])/i.test(address);
}
