/**
 * What TypeScript finds wrong with an app, as diagnostics.
 *
 * @module
 */
import ts from "typescript";
import type { CheckCache } from "./check_cache.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { placeOf } from "./source_place.ts";

/** Errors of syntax in `sources`. */
export function syntaxProblems(
  root: string,
  program: ts.Program,
  sources: readonly ts.SourceFile[],
): readonly Diagnostic[] {
  return sources.flatMap((source) => program.getSyntacticDiagnostics(source))
    .map((one) => diagnosticOf(root, "KT1003", one));
}

/** Errors of types in `sources`; those of a file that means what it meant are kept from the last build. */
export function typeProblems(
  root: string,
  program: ts.Program,
  sources: readonly ts.SourceFile[],
  keys: ReadonlyMap<string, string>,
  checks: CheckCache,
): readonly Diagnostic[] {
  return sources.flatMap((source) =>
    checks.problems(
      source.fileName,
      keys.get(source.fileName) ?? "",
      () =>
        program.getSemanticDiagnostics(source).map((one) => {
          const missing = one.code === 2307 || one.code === 2792;
          return diagnosticOf(root, missing ? "KT1002" : "KT1004", one);
        }),
    )
  );
}

function diagnosticOf(
  root: string,
  code: "KT1002" | "KT1003" | "KT1004",
  one: ts.Diagnostic,
): Diagnostic {
  const text = ts.flattenDiagnosticMessageText(one.messageText, "\n");
  return {
    code,
    severity: one.category === ts.DiagnosticCategory.Error ? "error" : "warning",
    message: `TS${one.code}: ${text}`,
    ...(one.file === undefined || one.start === undefined
      ? {}
      : placeOf(root, one.file, one.start, one.length ?? 1)),
  };
}
