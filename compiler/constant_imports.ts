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
import { unwrapped } from "./wrapped.ts";

/** Of its marks the types tell, and they know an import of nothing but a literal. */
const PACKAGE = "@kontract/kontract";

/** Reports those of a module that lead to a file. */
export function checkConstantImports(
  source: ts.SourceFile,
  graph: ModuleGraph,
  checker: ts.TypeChecker,
  reporter: Reporter,
): void {
  if (!/\bimport\s*\(/.test(source.text)) return;
  for (const specifier of IMPORTS.of(source).flatMap((node) => choices(node.arguments[0]!))) {
    const isBundled = isWrittenOut(specifier);
    const names = keysIn(checker.getTypeAtLocation(specifier)) ?? [];
    const found = names.find((name) =>
      name === PACKAGE || !isBundled && (name === "@/client" ||
          !/^(?:https?|data|blob|node):/.test(name) &&
            graph.resolve(name, source.fileName, "types").kind === "file")
    );
    if (found === undefined) continue;
    reporter.error(
      "KT7001",
      specifier,
      "Only an import that is written out is bundled, and this one would find nothing.",
      `Write import(${JSON.stringify(found)}).`,
    );
  }
}

/** What `import(isNew ? "./new.ts" : "./old.ts")` may be of. */
function choices(node: ts.Expression): readonly ts.Expression[] {
  const at = unwrapped(node);
  return ts.isConditionalExpression(at)
    ? [...choices(at.whenTrue), ...choices(at.whenFalse)]
    : [at];
}

/** True for what the bundler follows: a text, or a pattern that begins with one. */
function isWrittenOut(node: ts.Expression): boolean {
  return ts.isStringLiteralLike(node) ||
    ts.isTemplateExpression(node) && /^\.\.?\//.test(node.head.text);
}

const IMPORTS: SyntaxPick<ts.CallExpression> = new SyntaxPick((node): node is ts.CallExpression =>
  ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword &&
  node.arguments[0] !== undefined && !ts.isStringLiteralLike(node.arguments[0])
);
