/**
 * Operations of Kontract's that nobody waits for: `env.storage.users.set(…);` as a statement.
 *
 * The call may end before the operation does, and then it is refused, or done and its error lost.
 * `void` before it says that this is meant.
 *
 * @module
 */
import ts from "typescript";
import type { Diagnostic } from "./diagnostic.ts";
import { placeOf } from "./source_place.ts";

/** The statements of a module whose promise is dropped; `isKontract` tells the package's own files. */
export function lostPromises(
  root: string,
  source: ts.SourceFile,
  checker: ts.TypeChecker,
  isKontract: (file: string) => boolean,
): readonly Diagnostic[] {
  if (!source.text.includes("@kontract/kontract") && !/\benv\b/.test(source.text)) return [];
  const found: Diagnostic[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isExpressionStatement(node) && isOperation(node.expression, checker, isKontract)) {
      const start = node.getStart(source);
      found.push({
        code: "KT2014",
        severity: "error",
        message:
          "Nobody waits for this: the call may end before it is done, and its failure is lost.",
        hint: "Write 'await' before it; or 'void', if it may be lost.",
        ...placeOf(root, source, start, node.expression.getEnd() - start),
      });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isOperation(
  node: ts.Expression,
  checker: ts.TypeChecker,
  isKontract: (file: string) => boolean,
): boolean {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false;
  const member = checker.getSymbolAtLocation(node.expression.name)?.valueDeclaration;
  if (member === undefined || !isKontract(member.getSourceFile().fileName)) return false;
  const type = checker.getTypeAtLocation(node);
  return checker.getAwaitedType(type) !== type;
}
