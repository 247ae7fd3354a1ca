/**
 * JavaScript among the sources: it can be imported, and nothing in it is looked at. A mark in it would mark
 * nothing, and nobody would see it.
 *
 * @module
 */
import { basename, extname } from "node:path";
import ts from "typescript";
import type { Diagnostics } from "./diagnostic.ts";
import { readText } from "./file_texts.ts";
import { MARKS } from "./lost_marks.ts";
import { placeOf } from "./source_place.ts";

const SCRIPT = /\.(?:[cm]?jsx?|cts)$/;

/** Reports what of Kontract's marks such `files` import. */
export function checkScripts(
  root: string,
  files: readonly string[],
  diagnostics: Diagnostics,
): void {
  for (const file of files.filter((one) => SCRIPT.test(one))) {
    const text = readText(file) ?? "";
    if (!text.includes("@kontract/kontract")) continue;
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    const mark = marksIn(source)[0];
    if (mark === undefined) continue;
    const name = (mark.propertyName ?? mark.name).text;
    const wanted = basename(file, extname(file)) + (/jsx$/.test(file) ? ".tsx" : ".ts");
    diagnostics.add({
      code: "KT2003",
      severity: "error",
      message: `'${name}' marks nothing in this file: only TypeScript is looked at.`,
      hint: `Call the file '${wanted}'.`,
      ...placeOf(root, source, mark.getStart(source), mark.getWidth(source)),
    });
  }
}

function marksIn(source: ts.SourceFile): readonly ts.ImportSpecifier[] {
  return source.statements.flatMap((one) => {
    if (!ts.isImportDeclaration(one) || !ts.isStringLiteral(one.moduleSpecifier)) return [];
    const bindings = one.importClause?.namedBindings;
    const isKontract = one.moduleSpecifier.text === "@kontract/kontract";
    if (!isKontract || bindings === undefined || !ts.isNamedImports(bindings)) return [];
    return bindings.elements.filter(({ name, propertyName }) =>
      MARKS.has((propertyName ?? name).text)
    );
  });
}
