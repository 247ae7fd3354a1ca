/**
 * Scripts inside of a page. Pages are published as they are, and a browser finds no module of the app by itself:
 * only the script that a page names is bundled.
 *
 * @module
 */
import { dirname, join } from "node:path/posix";
import ts from "typescript";
import { type Diagnostics, placeInText } from "./diagnostic.ts";
import { readText } from "./file_texts.ts";
import { appPath, type Project } from "./project.ts";

const SCRIPT = /(<script\b[^>]*>)([^]*?)<\/script\s*>/gi;
/** What the front end's script is published as. */
const MAIN = "main.js";

/**
 * Warns of what such scripts import and no browser finds; Vite, which may serve the page, does. `files` are what is
 * published, by their path in the page's folder.
 */
export function checkInlineScripts(
  project: Project,
  files: ReadonlyMap<string, string>,
  entry: string | null,
  diagnostics: Diagnostics,
): void {
  const main = entry ?? join(project.web, "main.ts");
  const source = `./${appPath({ root: project.web }, main)}`;
  for (const [name, file] of files) {
    if (!name.endsWith(".html")) continue;
    const text = readText(file) ?? "";
    const html = text.replaceAll(/<!--[^]*?-->/g, (comment) => " ".repeat(comment.length));
    const hasNames = /<script\b[^>]*\btype\s*=\s*["']?importmap\b/i.test(html);
    for (const { index, 1: tag = "", 2: script = "" } of html.matchAll(SCRIPT)) {
      if (/\bsrc\s*=/i.test(tag) || !/\btype\s*=\s*["']?module\b/i.test(tag)) continue;
      for (const { fileName: specifier, pos } of ts.preProcessFile(script).importedFiles) {
        if (isThere(specifier, name) || hasNames && !/^[./]/.test(specifier)) continue;
        diagnostics.add({
          code: "KT7001",
          severity: "warning",
          message:
            `A script inside of a page is not bundled, and no browser finds '${specifier}' by itself.`,
          hint: `Put the script into '${appPath(project, main)}': ` +
            `<script type="module" src="${name === "index.html" ? source : `/${MAIN}`}"></script>`,
          ...placeInText(
            appPath(project, file),
            text,
            index + tag.length + pos,
            specifier.length + 2,
          ),
        });
      }
    }
  }

  /** True for what a page at `name` gets from its server or another. */
  function isThere(specifier: string, name: string): boolean {
    if (/^(?:[a-z][a-z\d+.-]*:|\/\/)/i.test(specifier)) return true;
    if (!/^\.{0,2}\//.test(specifier)) return false;
    const path = join("/", specifier.startsWith("/") ? "" : dirname(name), specifier).slice(1)
      .replace(/[?#].*$/, "");
    return path === MAIN && entry !== null || files.has(path);
  }
}
