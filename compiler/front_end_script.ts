/**
 * The scripts that a front end begins with: `main` in its folder, else the module that its page names;
 * under another bundler those of all its pages.
 *
 * @module
 */
import { dirname, join, sep } from "node:path";
import { isFile, readText } from "./file_texts.ts";
import type { Project } from "./project.ts";

const NAMES = ["main.ts", "main.tsx", "main.js", "main.jsx"];

/**
 * Absolute files, the first of them the one that is bundled; none for a front end without code. `pages` are
 * another bundler's: its pages, the one at its root first, and scripts of its own.
 */
export function frontEndScripts(
  { root, web }: Project,
  pages: readonly string[] = [],
): readonly string[] {
  const base = pages[0] === undefined ? web : dirname(pages[0]);
  const named = pages.flatMap((page) => CODE.test(page) ? [page] : pageScripts(page, root, base));
  if (named.length > 0) return [...new Set(named)];
  const main = NAMES.map((name) => join(web, name)).find(isFile);
  return main !== undefined ? [main] : pageScripts(join(web, "index.html"), root, web).slice(0, 1);
}

const CODE = /\.[cm]?[jt]sx?$/;

/** The modules of the app that a page loads; an address such as '/main.ts' begins at `base`. */
function pageScripts(page: string, root: string, base: string): readonly string[] {
  const found: string[] = [];
  const html = (readText(page) ?? "").replaceAll(/<!--[^]*?-->/g, "");
  for (const [tag] of html.matchAll(/<script\b[^>]*>/gi)) {
    const src = /\bsrc\s*=\s*["']?([^"'\s>]+)/i.exec(tag)?.[1];
    if (src === undefined || !/\btype\s*=\s*["']?module\b/i.test(tag)) continue;
    const file = join(src.startsWith("/") ? base : dirname(page), src.replace(/[?#].*$/, ""));
    if (CODE.test(file) && file.startsWith(root + sep) && isFile(file)) found.push(file);
  }
  return found;
}
