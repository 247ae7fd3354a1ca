/**
 * `import { api } from "@/client"` → `import * as api from …`: our bundler follows the members of a
 * namespace that a module imports itself, and keeps all of one that another module exports.
 *
 * The name becomes spaces and the namespace follows the import, so what is around it stays where it is.
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
  return source.statements.reduceRight((text, statement) => {
    const found = apiOf(statement);
    if (found === null) return text;
    const start = found.api.getStart(source), end = statement.getEnd();
    return text.slice(0, start) + text.slice(start, found.end).replaceAll(/[^\n]/g, " ") +
      text.slice(found.end, end) +
      `${text[end - 1] === ";" ? "" : ";"} import * as ${found.api.name.text} from ${
        JSON.stringify(API_MODULE)
      };` + text.slice(end);
  }, text);
}

/** `api` among what an import names, and where it ends with its comma; null for none. */
function apiOf(
  statement: ts.Statement,
): { readonly api: ts.ImportSpecifier; readonly end: number } | null {
  if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) {
    return null;
  }
  const clause = statement.importClause;
  const bindings = clause?.namedBindings;
  if (
    statement.moduleSpecifier.text !== "@/client" || clause === undefined ||
    clause.phaseModifier !== undefined || bindings === undefined || !ts.isNamedImports(bindings)
  ) return null;
  const { elements } = bindings;
  const at = elements.findIndex((one) =>
    !one.isTypeOnly && (one.propertyName ?? one.name).text === "api"
  );
  const api = elements[at];
  return api === undefined ? null : { api, end: elements[at + 1]?.pos ?? elements.end };
}
