/**
 * Where things stand in a cookbook: pages, anchors and the links between them.
 *
 * @module
 */
import type { RouteDef, TableDef } from "../../_internal/manifest.ts";
import { plain } from "./markdown.ts";

/** A page before it becomes text. */
export interface CookbookPage {
  readonly path: string;
  readonly title: string;
  readonly lines: readonly string[];
}

/** The functions of one endpoint group; `egroup` is null for those without one. */
export interface GroupPage {
  readonly egroup: string | null;
  readonly title: string;
  readonly path: string;
  readonly routes: readonly RouteDef[];
}

/** Routes by endpoint group, groups and functions by name; those without a group come last. */
export function groupsOf(routes: readonly RouteDef[]): readonly GroupPage[] {
  const names = [...new Set(routes.map((route) => route.meta.egroup))]
    .sort((a, b) => a === null ? 1 : b === null ? -1 : a < b ? -1 : 1);
  const taken = new Set<string>();
  return names.map((egroup) => {
    const title = egroup ?? (names.length === 1 ? "Functions" : "Other functions");
    return {
      egroup,
      title,
      path: `functions/${unique(slug(title), taken)}.md`,
      routes: routes.filter((route) => route.meta.egroup === egroup)
        .toSorted((a, b) => a.name < b.name ? -1 : 1),
    };
  });
}

/** File names are compared without case by some file systems; `index` means the folder. */
function slug(text: string): string {
  const name = text.toLowerCase().replaceAll(/[^a-z0-9_]+/g, "-").replaceAll(/^-+|-+$/g, "");
  return name === "" || name === "index"
    ? `group${name === "" ? "" : `-${name}`}`
    : name.slice(0, 80);
}

function unique(name: string, taken: Set<string>): string {
  let free = name;
  for (let i = 2; taken.has(free); i++) free = `${name}-${i}`;
  taken.add(free);
  return free;
}

/** Anchor of a name: the name, where it is made of letters, digits and `_`. */
export function anchorOf(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_]/g, (one) => `-${one.codePointAt(0)!.toString(16)}-`);
}

/** A link to a function; `up` leads to the cookbook's root. */
export function functionLink(route: RouteDef, group: GroupPage, up: string): string {
  return `[${plain(route.name)}](${up || "./"}${group.path}#${anchorOf(route.name)})`;
}

/** A link to a table. */
export function tableLink(table: TableDef, up: string): string {
  return `[${plain(table.name)}](${up || "./"}tables.md#${anchorOf(table.name)})`;
}

/** A link to a named type. */
export function typeLink(name: string, up: string): string {
  return `[${plain(name)}](${up || "./"}types.md#${anchorOf(name)})`;
}
