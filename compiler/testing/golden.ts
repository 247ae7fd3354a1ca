/**
 * Golden files: a small program and the exact text that the compiler answers with.
 *
 * A file holds sections that begin with `=== <name>`: source files, and `expected`. Written anew, for
 * review in the diff, where `UPDATE_GOLDEN` is set.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/** One golden file. */
export interface GoldenCase {
  readonly name: string;
  readonly path: string;
  readonly files: Readonly<Record<string, string>>;
  readonly expected: string;
}

/** All cases of a folder of `testdata`, by name. */
export function goldenCases(folder: string): readonly GoldenCase[] {
  const base = new URL(`../testdata/${folder}/`, import.meta.url);
  return [...Deno.readDirSync(base)].filter((entry) => entry.name.endsWith(".txt"))
    .map((entry) => parseCase(fileURLToPath(new URL(entry.name, base))))
    .sort((a, b) => a.name < b.name ? -1 : 1);
}

function parseCase(path: string): GoldenCase {
  const files: Record<string, string> = {};
  let expected = "";
  for (const part of Deno.readTextFileSync(path).split(/^=== /m).slice(1)) {
    const end = part.indexOf("\n");
    const name = part.slice(0, end).trim(), text = part.slice(end + 1);
    if (name === "expected") expected = text;
    else files[name] = text;
  }
  const name = path.slice(path.lastIndexOf("/") + 1, -".txt".length).replaceAll("_", " ");
  return { name, path, files, expected };
}

/** Writes a case with the answer it has now. */
export function updateGolden(one: GoldenCase, actual: string): void {
  const parts = Object.entries(one.files).map(([name, text]) => `=== ${name}\n${text}`);
  Deno.writeTextFileSync(one.path, `${parts.join("")}=== expected\n${actual}`);
}
