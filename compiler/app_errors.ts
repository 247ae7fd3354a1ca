/**
 * An app's own error classes: `class RoomFull extends AppError<"ROOM_FULL", { seats: number }>`.
 *
 * Every class of the sources whose code is one text gets a twin in the client module, so that
 * `instanceof RoomFull` and the type of `data` hold on both sides. Its data travels as JSON, so a type
 * that JSON changes is refused.
 *
 * @module
 */
import ts from "typescript";
import { isErrorCode } from "../_internal/errors.ts";
import type { ErrorDef } from "../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../_internal/shape.ts";
import { compareText } from "./diagnostic.ts";
import type { KontractSymbols } from "./kontract_symbols.ts";
import type { Lowering } from "./lower/mod.ts";
import { docOf, type Reporter } from "./source_place.ts";

/** An error class in the source. */
export interface ErrorSource {
  readonly name: string;
  readonly code: string;
  /** The class's name, for messages. */
  readonly node: ts.Identifier;
  readonly symbol: ts.Symbol;
  /** Type of `data`. */
  readonly data: ts.Type | null;
  /** Status that its constructor gives, where it is a plain number. */
  readonly status: number | null;
  readonly doc: string;
}

/** The error classes of a module. */
export function errorClasses(
  source: ts.SourceFile,
  kontract: KontractSymbols,
): readonly ErrorSource[] {
  return source.statements.filter(ts.isClassDeclaration).flatMap((node) => {
    if (node.name === undefined || !extendsAppError(node, kontract)) return [];
    const symbol = kontract.checker.getSymbolAtLocation(node.name);
    if (symbol === undefined) return [];
    const type = kontract.checker.getDeclaredTypeOfSymbol(symbol);
    const code = propertyType(type, "code", kontract);
    // A base class of several errors has no code of its own.
    if (code === null || !code.isStringLiteral()) return [];
    return [{
      name: node.name.text,
      code: code.value,
      node: node.name,
      symbol,
      data: propertyType(type, "data", kontract),
      status: statusOf(node),
      doc: docOf(node),
    }];
  });
}

function extendsAppError(node: ts.ClassDeclaration, kontract: KontractSymbols, depth = 0): boolean {
  const base = node.heritageClauses?.find((one) => one.token === ts.SyntaxKind.ExtendsKeyword)
    ?.types[0]?.expression;
  if (base === undefined || depth > 20) return false;
  const { checker } = kontract;
  const found = checker.getSymbolAtLocation(ts.isPropertyAccessExpression(base) ? base.name : base);
  if (found === undefined) return false;
  if (kontract.nameOfSymbol(found) === "AppError") return true;
  const target = found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
  const declaration = target.valueDeclaration;
  return declaration !== undefined && ts.isClassDeclaration(declaration) &&
    extendsAppError(declaration, kontract, depth + 1);
}

function propertyType(type: ts.Type, name: string, { checker }: KontractSymbols): ts.Type | null {
  const property = checker.getPropertyOfType(type, name);
  return property === undefined ? null : checker.getTypeOfSymbol(property);
}

/** `super("CODE", "…", { status: 409 })` → 409. */
function statusOf(node: ts.ClassDeclaration): number | null {
  const body = node.members.find(ts.isConstructorDeclaration)?.body;
  for (const statement of body?.statements ?? []) {
    if (!ts.isExpressionStatement(statement) || !ts.isCallExpression(statement.expression)) {
      continue;
    }
    const { expression: callee, arguments: args } = statement.expression;
    const options = args[2];
    if (callee.kind !== ts.SyntaxKind.SuperKeyword || options === undefined) continue;
    if (!ts.isObjectLiteralExpression(options)) continue;
    for (const property of options.properties) {
      if (
        ts.isPropertyAssignment(property) && property.name.getText() === "status" &&
        ts.isNumericLiteral(property.initializer)
      ) return Number(property.initializer.text);
    }
  }
  return null;
}

/** Names of error classes that a function makes itself, in the order of the source. */
export function thrownIn(
  declaration: ts.Node | undefined,
  errors: ReadonlyMap<ts.Symbol, string>,
  checker: ts.TypeChecker,
): readonly string[] {
  const found = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node)) {
      const symbol = checker.getSymbolAtLocation(node.expression);
      const target = symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias
        ? checker.getAliasedSymbol(symbol)
        : symbol;
      const name = target === undefined ? undefined : errors.get(target);
      if (name !== undefined) found.add(name);
    }
    ts.forEachChild(node, visit);
  };
  if (declaration !== undefined && errors.size > 0) visit(declaration);
  return [...found];
}

const CODE = /^[A-Z][A-Z0-9_]{0,63}$/;

/** The classes as data, by name; what is wrong with one is reported at it. */
export function errorDefs(
  sources: readonly ErrorSource[],
  lowering: Lowering,
  reporter: Reporter,
): readonly ErrorDef[] {
  const codes = new Map<string, ErrorSource>();
  const names = new Map<string, ErrorSource>();
  const defs = sources.toSorted((a, b) => compareText(a.name, b.name)).map((source): ErrorDef => {
    const { name, code, node } = source;
    checkCode(source, codes, reporter);
    const twin = names.get(name);
    if (twin !== undefined) {
      const at = reporter.span(twin.node);
      reporter.error(
        "KT2011",
        node,
        `Two error classes are called '${name}'; the other is at ${at.file}:${at.line}.`,
        "The client imports them by name: give one of them another.",
      );
    }
    names.set(name, twin ?? source);
    const data = source.data === null ? null : lowering.lower(source.data, {
      node,
      subject: `'${name}' cannot tell`,
      path: "data",
      owner: `error ${code}`,
      depth: 0,
    });
    return {
      name,
      code,
      status: source.status,
      ...(data === null ? {} : { data }),
      doc: source.doc,
      source: reporter.span(node),
    };
  });
  for (const [i, def] of defs.entries()) {
    const changed = def.data === undefined ? null : changedByJson(def.data, lowering.names.table);
    if (changed === null) continue;
    const source = sources.find((one) => one.name === defs[i]!.name)!;
    reporter.error(
      "KT2011",
      source.node,
      `'${def.name}' tells a ${changed} in its data, which JSON cannot carry.`,
      "An error's data is JSON: use strings, numbers, booleans, null, arrays and plain objects.",
    );
  }
  return defs;
}

function checkCode(
  source: ErrorSource,
  codes: Map<string, ErrorSource>,
  reporter: Reporter,
): void {
  const { name, code, node } = source;
  if (!CODE.test(code)) {
    reporter.error(
      "KT2011",
      node,
      `'${name}' has the code '${code}': a code has capitals, digits and '_', at most 64.`,
    );
  } else if (isErrorCode(code)) {
    reporter.error(
      "KT2011",
      node,
      `'${name}' has the code '${code}', which is one of Kontract's own.`,
      "Choose another, or throw Kontract's class for it.",
    );
  }
  const first = codes.get(code);
  if (first !== undefined) {
    const at = reporter.span(first.node);
    reporter.error(
      "KT2011",
      node,
      `'${name}' has the code '${code}' of '${first.name}' (${at.file}:${at.line}): a client could not tell them apart.`,
    );
  }
  codes.set(code, first ?? source);
}

/** What in a shape would not come back from JSON as it was; null for nothing. */
function changedByJson(
  shape: Shape,
  types: ShapeTable,
  seen: Set<string> = new Set(),
): string | null {
  const first = (shapes: readonly Shape[]): string | null => {
    for (const one of shapes) {
      const found = changedByJson(one, types, seen);
      if (found !== null) return found;
    }
    return null;
  };
  switch (shape.kind) {
    case "bigint":
      return "bigint";
    case "date":
      return "Date";
    case "bytes":
    case "typed_array":
      return "typed array";
    case "map":
      return "Map";
    case "set":
      return "Set";
    case "file":
      return shape.of;
    case "error":
      return "Error";
    case "array":
    case "stream":
      return first([shape.element]);
    case "tuple":
      return first([...shape.elements.map((one) => one.shape), ...shape.rest ? [shape.rest] : []]);
    case "record":
      return first([shape.value]);
    case "nullable":
      return first([shape.inner]);
    case "object":
      return first(shape.fields.map((field) => field.shape));
    case "union":
      return first(shape.variants.map((variant) => variant.shape));
    case "ref": {
      const target = types[shape.name];
      if (target === undefined || seen.has(shape.name)) return null;
      seen.add(shape.name);
      return first([target]);
    }
    default:
      return null;
  }
}
