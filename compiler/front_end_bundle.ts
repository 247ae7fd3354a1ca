/**
 * What the bundles of a front end have in common.
 *
 * @module
 */
import { join, sep } from "node:path";
import type { Analysis } from "./analysis.ts";
import { API_MODULE } from "./api_import.ts";
import { stubModule } from "./boundary.ts";
import type { Bundle, BundleInput } from "./bundle.ts";
import type { Diagnostics } from "./diagnostic.ts";
import type { Layout } from "./host_output.ts";
import type { ClientFiles } from "./manifest_output.ts";
import { appPath } from "./project.ts";

/** What a front end is made from. */
export interface FrontEndInput {
  readonly analysis: Analysis;
  /** Files of the client module by name, with a mark for the build's hash. */
  readonly client: ClientFiles;
  readonly outDir: string;
  readonly minify: boolean;
  readonly layout: Layout;
  readonly diagnostics: Diagnostics;
}

/** What all of them are bundled from. */
export function bundledFrom(
  { analysis, outDir, minify, layout }: FrontEndInput,
): Omit<BundleInput, "entries" | "aliases" | "overlay"> {
  return {
    graph: analysis.graph,
    graphFile: analysis.graphFile,
    root: analysis.project.root,
    purpose: "browser",
    virtual: new Map(),
    packageFolder: analysis.packageFolder,
    appended: new Map(),
    pure: (file) => isPackageFile(analysis, file),
    outdir: join(outDir, "public"),
    minify,
    mode: layout === "modules" ? "development" : "production",
    jsx: analysis.project.compilerOptions,
  };
}

/** Where the client module is, whose files are in `folder`. */
export function clientAliases(folder: string): ReadonlyMap<string, string> {
  return new Map([
    ["@/client", join(folder, "client.js")],
    [API_MODULE, join(folder, "routes.js")],
  ]);
}

/** What the bundler does with a module of the app, when the client imports it. */
export function clientGuard(
  analysis: Analysis,
): (file: string) => { readonly stub: string } | { readonly refuse: string } | null {
  return (file) => {
    const found = analysis.discovery.modules.get(file);
    if (found === undefined || found.kind === "free") return null;
    const module = appPath(analysis.project, file);
    if (found.kind === "server") {
      return {
        refuse:
          `'${module}' is server code (it uses '${found.what}') and cannot be part of the client.`,
      };
    }
    const routes = analysis.manifest.routes.filter((route) => route.module === module);
    return { stub: stubModule(routes, "@/client") };
  };
}

/** True for a module of the package itself, whose imports have no side effects. */
export function isPackageFile(analysis: Analysis, file: string): boolean {
  return file.startsWith(analysis.packageFolder) &&
    !file.startsWith(analysis.project.root + sep);
}

/** Holds a bundle against the guard once more: a wall of its own. */
export function refuseServer(made: Bundle, analysis: Analysis): void {
  const guard = clientGuard(analysis);
  if (made.inputs.some((file) => guard(file) !== null)) {
    throw new Error("Invariant: a server module passed the load hook into the client's bundle.");
  }
}
