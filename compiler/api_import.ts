/**
 * `import { api } from "@/client"` → `import * as api from …`: our bundler follows the members of a
 * namespace that a module imports itself, and keeps all of one that another module exports.
 *
 * Only the import's own line changes; the lines stay where they are.
 *
 * @module
 */
import ts from "typescript";

/** Specifier of the module that holds the routes and nothing else. */
export const API_MODULE = "@/client/api";

/** The text with `api` imported as a namespace; the same text where it does not import it. */
export function namespacedApi(file: string, text: string): string {
  if (!text.includes("@/client") || !/\bapi\b/.test(text)) return text;
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext);
  let out = text;
  for (const statement of source.statements.toReversed()) {
    const changed = importOf(statement, source);
    if (changed === null) continue;
    const start = statement.getStart(source), end = statement.getEnd();
    const lines = text.slice(start, end).split("\n").length;
    out = out.slice(0, start) + changed + "\n".repeat(lines - 1) + out.slice(end);
  }
  return out;
}

/** The statement anew, on one line; null where it stays. */
function importOf(statement: ts.Statement, source: ts.SourceFile): string | null {
  if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) {
    return null;
  }
  const clause = statement.importClause;
  const bindings = clause?.namedBindings;
  if (
    statement.moduleSpecifier.text !== "@/client" || clause === undefined ||
    clause.phaseModifier !== undefined || bindings === undefined || !ts.isNamedImports(bindings)
  ) return null;
  const isApi = (one: ts.ImportSpecifier): boolean =>
    !one.isTypeOnly && (one.propertyName ?? one.name).text === "api";
  const found = bindings.elements.find(isApi);
  if (found === undefined) return null;
  const rest = bindings.elements.filter((one) => one !== found).map((one) => one.getText(source));
  return `import { ${rest.join(", ")} } from "@/client"; ` +
    `import * as ${found.name.text} from ${JSON.stringify(API_MODULE)};`;
}
