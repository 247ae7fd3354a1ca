/**
 * Sources that no parser has the stack for: found after the fact, so that the message names the place.
 *
 * @module
 */
import { relative, sep } from "node:path";
import { codeFrame, type Diagnostics } from "./diagnostic.ts";

/** True for what a JavaScript engine throws when its stack is used up. */
export function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && /call stack/i.test(error.message);
}

/** Adds an error at the deepest brackets of an app's files; without a place where none stands out. */
export async function reportNesting(
  root: string,
  files: readonly string[],
  diagnostics: Diagnostics,
): Promise<void> {
  let deepest = { file: "", text: "", depth: 0, at: 0 };
  for (const file of files) {
    const text = await Deno.readTextFile(file).catch(() => "");
    const found = deepestPlace(text);
    if (found.depth > deepest.depth) deepest = { file, text, ...found };
  }
  const { file, text, depth, at } = deepest;
  const before = text.slice(0, at).split("\n");
  const line = before.length, column = (before.at(-1)?.length ?? 0) + 1;
  diagnostics.add({
    code: "KT1003",
    severity: "error",
    message: "A source is nested too deeply to be read.",
    hint:
      "Split the expression or the type into named parts; data of this kind belongs into a JSON file.",
    ...(depth < 200 ? {} : {
      message: `This is nested ${depth} levels deep, and cannot be read.`,
      span: { file: relative(root, file).split(sep).join("/"), line, column },
      // The line itself may be as long as the file.
      ...(column > 400 ? {} : codeFrame(text, line, column, 1)),
    }),
  });
}

/**
 * Deepest nesting of brackets and where it begins: brackets in texts and comments count too, which does
 * for finding a place in a file that is known to be too deep somewhere. Chains without brackets (`1+1+1`,
 * `[][][]`) count by their length.
 */
function deepestPlace(text: string): { readonly depth: number; readonly at: number } {
  let depth = 0, best = 0, at = 0, start = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if ("([{<".includes(character)) {
      if (depth === 0) start = i;
      if (++depth > best) [best, at] = [depth, start];
    } else if (")]}>".includes(character)) depth = Math.max(0, depth - 1);
  }
  for (const chain of text.matchAll(/(?:\[\s*\]){200,}|(?:[\w.]+\s*[-+*/|&]\s*){200,}/g)) {
    const length = chain[0].split(/\]|[-+*/|&]/).length - 1;
    if (length > best) [best, at] = [length, chain.index];
  }
  return { depth: best, at };
}
