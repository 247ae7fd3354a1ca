/**
 * Imports that lead nowhere, in modules that an app imports from beside its folder: of another member of the
 * workspace, a linked package. Their types are not the app's to check, but it cannot be built without them.
 *
 * @module
 */
import { sep } from "node:path";
import ts from "typescript";
import type { AppGraph } from "./app_graph.ts";
import type { Diagnostics } from "./diagnostic.ts";
import { missingModule } from "./missing_module.ts";
import { REMOTE } from "./resolve.ts";
import { Reporter } from "./source_place.ts";

/** Reports them. */
export function checkOutsideImports(
  { project: { root }, graph, packageFolder }: AppGraph,
  program: ts.Program,
  diagnostics: Diagnostics,
): void {
  const reporter = new Reporter(root, diagnostics);
  for (const source of program.getSourceFiles()) {
    const { fileName: file } = source;
    if (source.isDeclarationFile || isElsewhere(file, [root + sep, packageFolder])) continue;
    for (const statement of source.statements) {
      if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue;
      const at = statement.moduleSpecifier;
      if (at === undefined || !ts.isStringLiteralLike(at)) continue;
      const found = graph.resolve(at.text, file, "types");
      if (found.kind !== "missing") continue;
      const { message, hint } = missingModule(root, file, at.text, found.reason);
      reporter.error("KT1002", at, message, hint);
    }
  }
}

/** True for a file in one of `folders`, of npm or of a registry. */
function isElsewhere(file: string, folders: readonly string[]): boolean {
  return file.startsWith(REMOTE) || file.includes(`${sep}node_modules${sep}`) ||
    folders.some((folder) => file.startsWith(folder));
}
