/**
 * A bundle as Deno starts it fastest. Deno looks at the text of its modules before it runs them:
 *
 * - It follows each `import("…")` of a literal and loads what that leads to at the start, so an app of 500
 *   lazy chunks would load 501 files. Here the literal is the argument of a function, which Deno does not follow.
 * - It parses the source map of every module it loads. A file without a line of the author's is not told of its
 *   map, which lies beside it all the same.
 *
 * What changes in a line keeps its length, so the maps hold.
 *
 * @module
 */
import { dirname, join } from "node:path/posix";
import type { OutputFiles } from "./size_report.ts";

const IMPORT = /\bimport\((?=("\.{1,2}\/[^"\\]+")\))/g;
/** Names as long as `import`; the first that a script does not have is the function's in it. */
const NAMES: readonly string[] = ["$chunk", ...Array.from("0123456789", (n) => `$chun${n}`)];
const MAP_COMMENT = /\/\/# sourceMappingURL=.*\n?$/;

/** What a script has become: a rebuild has most of them unchanged. */
const changed = new WeakMap<Uint8Array, string>();

/**
 * The same files, changed. `authored` tells of a script whether a line of it is the author's, `isMade` of a path
 * whether it is one of the bundle, where `files` are not all of it.
 */
export function forDeno(
  files: OutputFiles,
  authored: (path: string) => boolean,
  isMade: (path: string) => boolean = (path) => files.has(path),
): OutputFiles {
  const scriptOf = (path: string, text: string): string => {
    const told = authored(path) ? text : text.replace(MAP_COMMENT, "");
    const name = NAMES.find((one) => !told.includes(one));
    if (name === undefined) return told;
    const lazy = told.replaceAll(
      IMPORT,
      (call, literal: string) =>
        isMade(join(dirname(path), JSON.parse(literal))) ? `${name}(` : call,
    );
    return lazy === told ? told : withLoader(lazy, name);
  };
  return new Map([...files].map(([path, contents]) => {
    if (!path.endsWith(".js")) return [path, contents];
    if (typeof contents === "string") return [path, scriptOf(path, contents)];
    let script = changed.get(contents);
    if (script === undefined) {
      script = scriptOf(path, new TextDecoder().decode(contents));
      changed.set(contents, script);
    }
    return [path, script];
  }));
}

/** A function declaration is there from the first line on; the comment stays the last line. */
function withLoader(text: string, name: string): string {
  const loader = `function ${name}(file) { return import(file); }\n`;
  const at = text.search(MAP_COMMENT);
  const end = at < 0 ? text.length : at;
  return `${text.slice(0, end)}${loader}${text.slice(end)}`;
}
