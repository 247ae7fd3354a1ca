/**
 * The script that a front end begins with: `main` in its folder, else the module that its page names.
 *
 * @module
 */
import { dirname, join, sep } from "node:path";
import { isFile, readText } from "./file_texts.ts";
import type { Project } from "./project.ts";

const NAMES = ["main.ts", "main.tsx", "main.js", "main.jsx"];

/** Absolute file, or null for a front end without code. `page` is another bundler's, and comes first. */
export function frontEndScript({ root, web }: Project, page?: string): string | null {
  const named = page === undefined ? null : pageScript(page, root);
  return named ?? NAMES.map((name) => join(web, name)).find(isFile) ??
    pageScript(join(web, "index.html"), root);
}

/** The first module of the app that a page loads. */
function pageScript(page: string, root: string): string | null {
  const html = (readText(page) ?? "").replaceAll(/<!--[^]*?-->/g, "");
  for (const [tag] of html.matchAll(/<script\b[^>]*>/gi)) {
    const src = /\bsrc\s*=\s*["']?([^"'\s>]+)/i.exec(tag)?.[1];
    if (src === undefined || !/\btype\s*=\s*["']?module\b/i.test(tag)) continue;
    const file = join(dirname(page), src.replace(/[?#].*$/, ""));
    if (/\.[cm]?[jt]sx?$/.test(file) && file.startsWith(root + sep) && isFile(file)) return file;
  }
  return null;
}
