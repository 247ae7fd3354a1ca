/**
 * Finds queries: templates with the tag `env.storage.exec`, by symbol, wherever they stand.
 *
 * Their text is fixed here. A use of `exec` that is no template is an error: what it would run could only be known
 * at run time, and nothing that is known only then is ever run.
 *
 * @module
 */
import ts from "typescript";
import type { ExecColumn, ExecDef, SourceSpan } from "../_internal/manifest.ts";
import type { Shape } from "../_internal/shape.ts";
import { sqlTextFault } from "../_internal/sql_text.ts";
import { digest } from "./digest.ts";
import { reachableTypes } from "./emit/reachable.ts";
import type { KontractSymbols } from "./kontract_symbols.ts";
import type { Lowering, Place } from "./lower/mod.ts";
import { authorText } from "./shadow.ts";
import type { Reporter } from "./source_place.ts";

/** A query in the source. */
export interface ExecSource {
  readonly node: ts.TaggedTemplateExpression;
  /** Text around the parameters. */
  readonly text: readonly string[];
  readonly parameters: readonly ts.Expression[];
  readonly row: ts.TypeNode;
  readonly span: SourceSpan;
}

const EXAMPLE = "const rows = await env.storage.exec<{ id: string; total: number }>`\n" +
  "  select id, count(*) as total from notes where topic = ${topic} group by id`;";

/** The queries of one module. */
export function execsOf(
  source: ts.SourceFile,
  kontract: KontractSymbols,
  reporter: Reporter,
): readonly ExecSource[] {
  const found: ExecSource[] = [];
  if (!authorText(source).includes("exec")) return found;
  const visit = (node: ts.Node): void => {
    if (ts.isTaggedTemplateExpression(node) && isExec(node.tag, kontract)) {
      const exec = readExec(node, reporter);
      if (exec !== null) found.push(exec);
      return ts.forEachChild(node.template, visit);
    }
    if (isExec(node, kontract)) {
      reporter.error(
        "KT4005",
        node,
        "'exec' is the tag of a template: the text of a query is fixed when the app is built.",
        EXAMPLE,
      );
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isExec(node: ts.Node, kontract: KontractSymbols): boolean {
  return ts.isPropertyAccessExpression(node) && node.name.text === "exec" &&
    kontract.isMember(node.name, "StorageOperations", "exec");
}

function readExec(node: ts.TaggedTemplateExpression, reporter: Reporter): ExecSource | null {
  const row = node.typeArguments?.[0];
  if (row === undefined) {
    reporter.error("KT4005", node.tag, "A query says what its rows are: 'exec<Row>`…`'.", EXAMPLE);
    return null;
  }
  const { template } = node;
  const spans = ts.isTemplateExpression(template) ? template.templateSpans : [];
  const head = ts.isTemplateExpression(template) ? template.head : template;
  const text = [head.text, ...spans.map((span) => span.literal.text)];
  const parameters = spans.map((span) => span.expression);
  const fault = sqlTextFault(text);
  if (fault !== null) {
    const at = fault.hole === null ? template : parameters[fault.hole]!;
    reporter.error("KT4005", at, `The query cannot be used: ${fault.what}.`, fault.hint);
    return null;
  }
  return {
    node,
    text,
    parameters,
    row,
    span: reporter.span(template),
  };
}

/** What the manifest says of all queries, each text once. */
export function execDefs(
  sources: readonly ExecSource[],
  lowering: Lowering,
  reporter: Reporter,
): readonly ExecDef[] {
  const byText = new Map<string, ExecDef>();
  for (const source of sources) {
    const def = execDef(source, lowering, reporter);
    const key = JSON.stringify(def.text);
    const first = byText.get(key);
    if (first !== undefined && first.id !== def.id) {
      reporter.error(
        "KT4005",
        source.node.tag,
        `The same query stands at ${first.source.file}:${first.source.line} with other types.`,
        "Give both the same row type and parameters of the same types, or change a text.",
      );
    }
    byText.set(key, first ?? def);
  }
  return [...byText.values()];
}

function execDef(source: ExecSource, lowering: Lowering, reporter: Reporter): ExecDef {
  const { checker } = lowering;
  const place = (node: ts.Node, path: string): Place => ({
    node,
    subject: "A query cannot have",
    path,
    owner: `exec ${JSON.stringify(source.text)}${path}`,
    depth: 0,
  });
  const parameters = source.parameters.map((node, i) =>
    // A constant in one place and a variable in another are the same query.
    lowering.lower(
      checker.getBaseTypeOfLiteralType(checker.getTypeAtLocation(node)),
      place(node, `parameter ${i + 1}`),
    )
  );
  const row = lowering.lower(checker.getTypeFromTypeNode(source.row), place(source.row, "row"));
  const { table } = lowering.names;
  const bare = row.kind === "ref" ? table[row.name] : row;
  if (bare?.kind !== "object") {
    reporter.error("KT4005", source.row, "A query's row is an object of named columns.", EXAMPLE);
  }
  const columns: readonly ExecColumn[] = bare?.kind !== "object"
    ? []
    : bare.fields.map(({ name, shape, optional }) => ({ name, shape, optional }));
  const shapes: readonly Shape[] = [...parameters, ...columns.map(({ shape }) => shape)];
  const content = { text: source.text, parameters, columns, types: reachableTypes(shapes, table) };
  return { id: digest([JSON.stringify(content)], 16), ...content, source: source.span };
}
