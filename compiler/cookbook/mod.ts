/**
 * The cookbook: an app's functions, tables and permissions as Markdown pages for VitePress.
 *
 * Everything comes from the manifest: names, types and conditions from the source, words from doc
 * comments. The pages are the same for the same manifest; words of doc comments are shown and never
 * acted on (see `markdown.ts`).
 *
 * @module
 */
import type { Manifest } from "../../_internal/manifest.ts";
import { parseDocComment } from "./doc_comment.ts";
import { functionPage } from "./function_page.ts";
import { cell, plain, tableOf } from "./markdown.ts";
import { callers, ownTables, permissionsPage } from "./permissions.ts";
import { type CookbookPage, functionLink, type GroupPage, groupsOf, tableLink } from "./places.ts";
import { tablePage, typePage } from "./table_page.ts";

/** One file of a cookbook. */
export interface CookbookFile {
  /** Path below the cookbook's folder, with `/`. */
  readonly path: string;
  /** Contents. */
  readonly text: string;
}

/** An entry of a sidebar, as VitePress takes it; `link` is below the cookbook's folder. */
export interface SidebarItem {
  /** What is shown. */
  readonly text: string;
  /** Page without `.md`, below the cookbook's folder; empty for the index. */
  readonly link: string;
}

/** `cookbook.json`: what a site's configuration and the next run of the command need to know. */
export interface CookbookIndex {
  /** Id of the app. */
  readonly app: string;
  /** Entries in the order of the index. */
  readonly sidebar: readonly SidebarItem[];
  /** All files of this cookbook, itself included: what a new one may replace or remove. */
  readonly files: readonly string[];
}

/** Name of the {@link CookbookIndex}. */
export const COOKBOOK_INDEX = "cookbook.json";

/**
 * Writes the cookbook of an app: `index.md`, one page per endpoint group in `functions/`, `tables.md`,
 * `types.md`, `permissions.md`, and `cookbook.json`, which lists the files and holds a sidebar.
 *
 * @param manifest the app, as `build` found it
 * @returns the files, ordered by path
 *
 * @example
 * ```ts
 * import { emitCookbook } from "@kontract/kontract/compiler";
 *
 * const files = emitCookbook({ version: 1, app: "empty", build: "0", routes: [], errors: [], tables: [], execs: [], types: {} });
 * console.assert(files.some((file) => file.path === "index.md"));
 * ```
 */
export function emitCookbook(manifest: Manifest): readonly CookbookFile[] {
  const groups = groupsOf(manifest.routes);
  const pages: CookbookPage[] = [
    indexPage(manifest, groups),
    ...groups.map((group) => functionPage(manifest, group)),
    permissionsPage(manifest, groups),
  ];
  const tables = ownTables(manifest).length > 0;
  const types = Object.keys(manifest.types).length > 0;
  if (tables) pages.push(tablePage(manifest));
  if (types) pages.push(typePage(manifest));
  const files = pages.map(({ path, title, lines }) => ({ path, text: pageText(title, lines) }));
  const index: CookbookIndex = {
    app: manifest.app,
    sidebar: sidebarOf(groups, tables, types),
    files: [...files.map((file) => file.path), COOKBOOK_INDEX].sort(),
  };
  const text = `${JSON.stringify(index, null, 2)}\n`;
  return [...files, { path: COOKBOOK_INDEX, text }].sort((a, b) => a.path < b.path ? -1 : 1);
}

/** Front matter and body; at most one empty line in a row, outside of code as inside. */
function pageText(title: string, lines: readonly string[]): string {
  // VitePress looks for file inclusion before it looks for front matter.
  const quoted = JSON.stringify(title).replaceAll("<", "\\u003c");
  const front = ["---", `title: ${quoted}`, "editLink: false", "---", ""];
  return `${[...front, ...lines].join("\n").trimEnd()}\n`;
}

function indexPage(manifest: Manifest, groups: readonly GroupPage[]): CookbookPage {
  const tables = ownTables(manifest);
  return {
    path: "index.md",
    title: manifest.app,
    lines: [
      `# ${plain(manifest.app)}`,
      "",
      `${count(manifest.routes.length, "function")}, ${count(tables.length, "table")}. ` +
      "Made from the source and its comments.",
      "",
      ...groups.flatMap((group) => [
        `## ${plain(group.title)}`,
        "",
        ...tableOf(
          ["function", "callers", "purpose"],
          group.routes.map((route) => [
            functionLink(route, group, ""),
            callers(route),
            cell(parseDocComment(route.doc).summary),
          ]),
        ),
      ]),
      ...(tables.length === 0 ? [] : ["## Tables", ""]),
      ...tableOf(
        ["table", "purpose"],
        tables.map((table) => [
          tableLink(table, ""),
          cell(parseDocComment(table.doc).summary),
        ]),
      ),
      "Who may do what: [permissions](./permissions.md).",
    ],
  };
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function sidebarOf(
  groups: readonly GroupPage[],
  tables: boolean,
  types: boolean,
): readonly SidebarItem[] {
  return [
    { text: "Index", link: "" },
    ...groups.map((group) => ({ text: group.title, link: group.path.replace(/\.md$/, "") })),
    ...(tables ? [{ text: "Tables", link: "tables" }] : []),
    ...(types ? [{ text: "Types", link: "types" }] : []),
    { text: "Permissions", link: "permissions" },
  ];
}
