/**
 * Template literal types as patterns that are checked on the way, and back as text for declarations.
 *
 * @module
 */

/** What a place in a template matches. */
export const TEMPLATE_PARTS = {
  string: "[\\s\\S]*",
  number: "[-+]?(?:\\d+\\.?\\d*|\\.\\d+)(?:e[-+]?\\d+)?",
  bigint: "-?\\d+",
} as const;

/** Text as a pattern matches it. */
export function escapedText(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** The type of an anchored pattern, `user:${string}` in backticks; `string` for one that no template says. */
export function templateText(pattern: string): string {
  const parts: string[] = [];
  for (let at = 1; at < pattern.length - 1;) {
    const found = Object.entries(TEMPLATE_PARTS).find(([, part]) => pattern.startsWith(part, at));
    if (found !== undefined) {
      parts.push(`\${${found[0]}}`);
      at += found[1].length;
      continue;
    }
    const isEscaped = pattern[at] === "\\";
    const letter = pattern[isEscaped ? at + 1 : at]!;
    if (!isEscaped && escapedText(letter) !== letter) return "string";
    parts.push(/[\\`$]/.test(letter) ? `\\${letter}` : letter);
    at += isEscaped ? 2 : 1;
  }
  return `\`${parts.join("").replaceAll("\r", "\\r").replaceAll("\n", "\\n")}\``;
}
