/**
 * What is written above a property.
 *
 * The libraries are parsed without their doc comments, which are more than half of what there is to parse: one that
 * an app shows (`Pick<Deno.MemoryUsage, "rss">`) is parsed by itself.
 *
 * @module
 */
import ts from "typescript";
import { isLibrary } from "../shared_files.ts";

/** The doc comment of a property; "" where it has none. */
export function docOf(property: ts.Symbol, checker: ts.TypeChecker): string {
  const doc = ts.displayPartsToString(property.getDocumentationComment(checker)).trim();
  return doc === "" ? (property.declarations ?? []).map(libraryDoc).join("\n").trim() : doc;
}

function libraryDoc(declaration: ts.Declaration): string {
  const { fileName, text } = declaration.getSourceFile();
  if (!isLibrary(fileName)) return "";
  const member = text.slice(declaration.pos, declaration.end);
  const { statements: [parsed] } = ts.createSourceFile(
    "member.d.ts",
    `interface Of {${member}}`,
    ts.ScriptTarget.ESNext,
    true,
  );
  const [own] = parsed !== undefined && ts.isInterfaceDeclaration(parsed) ? parsed.members : [];
  const comments = own === undefined ? [] : ts.getJSDocCommentsAndTags(own).filter(ts.isJSDoc);
  return comments.map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? "").join("\n");
}
