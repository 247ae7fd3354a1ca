/**
 * `import(name)` where `name` is a constant: to TypeScript it is anything, and bundlers follow what is written out
 * alone. What it leads to would not be in the bundle, and marks in there would be lost.
 *
 * @module
 */
import ts from "typescript";
import { keysIn } from "./dynamic_uses.ts";
import type { ModuleGraph } from "./resolve.ts";
import type { Reporter } from "./source_place.ts";
import { SyntaxPick } from "./syntax_pick.ts";

/** What an app imports that no configuration of its own has to name. */
const KONTRACTS: ReadonlySet<string> = new Set(["@kontract/kontract", "@/client"]);

/** Reports those of a module that lead to a file. */
export function checkConstantImports(
  source: ts.SourceFile,
  graph: ModuleGraph,
  checker: ts.TypeChecker,
  reporter: Reporter,
): void {
  if (!/\bimport\s*\(/.test(source.text)) return;
  for (const node of IMPORTS.of(source)) {
    const [specifier] = node.arguments;
    const names = keysIn(checker.getTypeAtLocation(specifier!)) ?? [];
    const found = names.find((name) =>
      KONTRACTS.has(name) ||
      !/^(?:https?|data|blob|node):/.test(name) &&
        graph.resolve(name, source.fileName, "types").kind === "file"
    );
    if (found === undefined) continue;
    reporter.error(
      "KT7001",
      specifier!,
      "Only an import that is written out is bundled, and this one would find nothing.",
      `Write import(${JSON.stringify(found)}).`,
    );
  }
}

const IMPORTS: SyntaxPick<ts.CallExpression> = new SyntaxPick((node): node is ts.CallExpression =>
  ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword &&
  node.arguments[0] !== undefined && !ts.isStringLiteralLike(node.arguments[0])
);
