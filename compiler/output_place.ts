/**
 * Where a build may put its output. The folder is replaced as a whole, so it must be nobody else's: none that
 * holds the app or a part of it, and none with files that no build has made.
 *
 * @module
 */
import { basename, dirname, join, relative } from "node:path";
import type { Diagnostics } from "./diagnostic.ts";
import { isWithin, type Project } from "./project.ts";

type Places = Pick<Project, "root" | "source" | "web" | "site">;

/** Adds a problem where writing to `outDir` would remove what no build has made; `named` is the option as given. */
export function checkOutputPlace(
  { root, source, web, site }: Places,
  outDir: string,
  named: string | undefined,
  diagnostics: Diagnostics,
): void {
  // A link in this place is replaced itself; what it leads to stays.
  const place = join(real(dirname(outDir)), basename(outDir));
  const own = [source, web, join(root, ".kontract"), ...site === null ? [] : [site]].map(real);
  const held = isWithin(real(root), place)
    ? "holds the app"
    : own.some((folder) => isWithin(folder, place) || isWithin(place, folder))
    ? "holds a part of the app, or lies in one"
    : othersIn(outDir);
  if (held === null) return;
  diagnostics.add({
    code: "KT1001",
    severity: "error",
    message: `The output replaces its folder as a whole, but '${
      named ?? relative(root, outDir)
    }' ${held}.`,
    hint: named === undefined && held === OTHERS
      ? "Remove the folder, or have the tool that made it write to another one."
      : "Give it a folder of its own, which may be missing or empty.",
  });
}

const OTHERS = "has files that no build has made";

/** In every output, and in no other tool's; the page of an app that can be installed has a `manifest.json`. */
const MARK = "schema.fbs";

/** What macOS puts into a folder that is looked at. */
const NOBODYS = ".DS_Store";

/** What is in the way at `outDir`; null where it is missing, empty or the output of a build. */
function othersIn(outDir: string): string | null {
  let names: readonly string[];
  try {
    names = [...Deno.readDirSync(outDir)].map((one) => one.name).filter((name) => name !== NOBODYS);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    return "is no folder that can be read";
  }
  if (names.length === 0 || names.includes(MARK)) return null;
  return OTHERS;
}

/** The path without links; of what is not there yet, its folder's. */
function real(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(real(parent), basename(path));
  }
}
