/**
 * Names of files that lie outside of the app's folder, as outputs and their maps have them: by package,
 * not by place. Where Deno keeps packages and how deep a clone lies is no part of a build, and a person's
 * folders are nothing to publish.
 *
 * @module
 */
import { sep } from "node:path";
import { type ModuleGraph, REMOTE } from "./resolve.ts";

/** A name as a bundler has it: `npm` and `preact@10.0.0/hooks.js`. */
export interface OutsideName {
  readonly namespace: string;
  readonly path: string;
}

/** What names depend on. */
export interface NamedFrom {
  readonly graph: ModuleGraph;
  /** The app's folder. */
  readonly root: string;
  /** Folder of Kontract's package. */
  readonly packageFolder: string;
}

/** Every namespace that a name can have. */
export const OUTSIDE = ["kontract-package", "kontract-remote", "npm", "http", "https"] as const;

/** The name of an absolute file; null for one of the app, and for one that lies in a fixed place beside it. */
export function outsideName(file: string, from: NamedFrom): OutsideName | null {
  const { graph, root, packageFolder } = from;
  if (file.startsWith(root + sep)) return null;
  const named = (namespace: typeof OUTSIDE[number], path: string): OutsideName => ({
    namespace,
    path: path.split(sep).join("/"),
  });
  const inPackage = graph.nameInPackage(file);
  if (inPackage !== null) return named("npm", inPackage);
  if (file.startsWith(packageFolder)) {
    return named("kontract-package", file.slice(packageFolder.length));
  }
  if (!file.startsWith(REMOTE)) return null;
  const [protocol = "", ...rest] = file.slice(REMOTE.length).split(sep);
  return protocol === "http" || protocol === "https"
    ? named(protocol, `//${rest.join("/")}`)
    : named("kontract-remote", [protocol, ...rest].join("/"));
}
