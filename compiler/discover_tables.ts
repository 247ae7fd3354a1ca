/**
 * Finds table classes: `@table`, `@primkey`, `@index`, `@perm`.
 *
 * @module
 */
import ts from "typescript";
import type { Bits } from "../_internal/manifest.ts";
import { constantOf } from "./constant.ts";
import type { KontractSymbols } from "./kontract_symbols.ts";
import { isBits, OptionReader, readOptions } from "./options.ts";
import type { FieldSource, IndexSource, TableSource } from "./route_source.ts";
import { docOf, type Reporter } from "./source_place.ts";

const TABLE_NAME = /^[a-z][a-z0-9_]{0,39}$/;

/** What `env.storage` has beside tables. */
const OPERATIONS: ReadonlySet<string> = new Set(["exec", "transaction"]);

/** The table that a class declares, or null where it is none or nothing can be said about it. */
export function tableOf(
  node: ts.ClassDeclaration,
  kontract: KontractSymbols,
  reporter: Reporter,
): TableSource | null {
  const decorator = decoratorsOf(node, kontract).find((d) => d.name === "table");
  const symbol = node.name === undefined
    ? undefined
    : kontract.checker.getSymbolAtLocation(node.name);
  if (decorator === undefined) return null;
  if (node.name === undefined || symbol === undefined) {
    reporter.error("KT4001", node, "A table class needs a name.");
    return null;
  }
  const call = decorator.call;
  const name = call?.arguments[0] === undefined
    ? null
    : constantOf(call.arguments[0], kontract.checker);
  if (call === null || name === null || !name.ok || typeof name.value !== "string") {
    reporter.error(
      "KT4001",
      decorator.node,
      "@table needs the table's name as a literal.",
      `Write @table("${node.name.text.toLowerCase()}s").`,
    );
    return null;
  }
  if (!TABLE_NAME.test(name.value)) {
    reporter.error(
      "KT4001",
      call.arguments[0]!,
      `A table's name has lower-case letters, digits and '_', starts with a letter, at most 40: it is '${name.value}'.`,
      `Write @table("${plainName(name.value)}").`,
    );
    return null;
  }
  if (OPERATIONS.has(name.value)) {
    reporter.error(
      "KT4001",
      call.arguments[0]!,
      `'env.storage.${name.value}' is an operation, so no table can be called '${name.value}'.`,
      "Give the table another name.",
    );
    return null;
  }
  const options = new OptionReader(
    readOptions(call.arguments[1], ["perm", "rows"], kontract.checker, reporter),
    reporter,
  );
  const fields = fieldsOf(node, symbol, kontract, reporter);
  const own = { name: name.value, className: node.name.text };
  return {
    ...own,
    file: node.getSourceFile().fileName,
    symbol,
    node,
    primkey: primkeyOf(node, fields, kontract, reporter),
    perm: options.bits("perm", 7),
    rows: options.take<"all" | "owner">(
      "rows",
      "all",
      '"all" or "owner"',
      (v): v is "all" | "owner" => v === "all" || v === "owner",
    ),
    fields,
    indexes: indexesOf(node, fields, kontract, reporter),
    doc: docOf(node),
    span: reporter.span(node.name),
  };
}

interface KontractDecorator {
  readonly name: string;
  readonly node: ts.Decorator;
  readonly call: ts.CallExpression | null;
}

/** The decorators of a declaration that are Kontract's. */
export function decoratorsOf(node: ts.Node, kontract: KontractSymbols): KontractDecorator[] {
  const decorators = ts.canHaveDecorators(node) ? ts.getDecorators(node) ?? [] : [];
  return decorators.flatMap((decorator) => {
    const name = kontract.calleeName(decorator.expression);
    const call = ts.isCallExpression(decorator.expression) ? decorator.expression : null;
    return name === null ? [] : [{ name, node: decorator, call }];
  });
}

function fieldsOf(
  node: ts.ClassDeclaration,
  symbol: ts.Symbol,
  kontract: KontractSymbols,
  reporter: Reporter,
): readonly FieldSource[] {
  const type = kontract.checker.getDeclaredTypeOfSymbol(symbol);
  const fields: FieldSource[] = [];
  for (const property of kontract.checker.getPropertiesOfType(type)) {
    const declaration = property.valueDeclaration;
    if (declaration === undefined || !ts.isPropertyDeclaration(declaration)) {
      reporter.error(
        "KT4001",
        declaration ?? node,
        `'${property.name}' is no field: a table class has fields only.`,
        "Move methods and accessors to functions that take the row.",
      );
      continue;
    }
    fields.push(fieldOf(property, declaration, kontract, reporter));
  }
  return fields;
}

function fieldOf(
  symbol: ts.Symbol,
  node: ts.PropertyDeclaration,
  kontract: KontractSymbols,
  reporter: Reporter,
): FieldSource {
  const base = {
    name: symbol.name,
    symbol,
    node,
    optional: node.questionToken !== undefined,
    perm: permOf(node, kontract, reporter),
    doc: docOf(node),
  };
  if (node.initializer === undefined) return base;
  const value = constantOf(node.initializer, kontract.checker);
  if (value.ok) return { ...base, default: value.value };
  reporter.error(
    "KT4003",
    node.initializer,
    `The default of '${symbol.name}' must be a literal: it is stored with the schema.`,
    `Declare it without a default ('${symbol.name}!: …') and set it in the backend function.`,
  );
  return base;
}

function permOf(node: ts.Node, kontract: KontractSymbols, reporter: Reporter): Bits {
  const decorator = decoratorsOf(node, kontract).find((d) => d.name === "perm");
  if (decorator === undefined) return 7;
  const argument = decorator.call?.arguments[0];
  const value = argument === undefined ? null : constantOf(argument, kontract.checker);
  if (value?.ok === true && isBits(value.value)) return value.value;
  reporter.error(
    "KT2005",
    decorator.node,
    "@perm needs bits from 0 to 7, such as @perm(perms.R__).",
  );
  return 7;
}

function primkeyOf(
  node: ts.ClassDeclaration,
  fields: readonly FieldSource[],
  kontract: KontractSymbols,
  reporter: Reporter,
): string {
  const marked = fields.filter((field) =>
    decoratorsOf(field.node, kontract).some((d) => d.name === "primkey")
  );
  const first = marked[0];
  if (first === undefined) {
    reporter.error(
      "KT4002",
      node.name ?? node,
      `Table class '${node.name?.text}' has no primary key.`,
      "Put @primkey before one string field: @primkey id!: string;",
    );
    return "id";
  }
  if (marked.length > 1) {
    reporter.error(
      "KT4002",
      marked[1]!.node,
      "A table has one primary key, and this is the second.",
      "Keep one @primkey; a field that no two rows may share has @index({ unique: true }).",
    );
  }
  const type = kontract.checker.getTypeOfSymbol(first.symbol);
  if (!(type.flags & ts.TypeFlags.StringLike) || first.optional) {
    reporter.error("KT4002", first.node, "The primary key must be a string, and not optional.");
  }
  return first.name;
}

/** The nearest name that a table may have. */
function plainName(name: string): string {
  const plain = name.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "_").replaceAll(/^[^a-z]+|_+$/g, "").slice(0, 40);
  return plain === "" ? "things" : plain;
}

function indexesOf(
  node: ts.ClassDeclaration,
  fields: readonly FieldSource[],
  kontract: KontractSymbols,
  reporter: Reporter,
): readonly IndexSource[] {
  const found: IndexSource[] = [];
  const add = (names: readonly string[], options: ts.Expression | undefined, at: ts.Node) => {
    const read = new OptionReader(
      readOptions(options, ["unique", "oracle"], kontract.checker, reporter),
      reporter,
    );
    const index = {
      fields: names,
      unique: read.flag("unique", false),
      oracle: read.flag("oracle", false),
      node: at,
    };
    checkIndex(index, fields, reporter);
    found.push(index);
  };
  for (const field of fields) {
    for (const d of decoratorsOf(field.node, kontract)) {
      if (d.name === "index") add([field.name], d.call?.arguments[0], d.node);
    }
  }
  for (const d of decoratorsOf(node, kontract)) {
    if (d.name !== "index") continue;
    const argument = d.call?.arguments[0];
    const names = argument === undefined ? null : constantOf(argument, kontract.checker);
    if (
      names?.ok === true && Array.isArray(names.value) && names.value.length > 0 &&
      names.value.every((n) => typeof n === "string")
    ) add(names.value as string[], d.call?.arguments[1], d.node);
    else {reporter.error(
        "KT4004",
        d.node,
        '@index on a class needs its fields: @index(["a", "b"]).',
      );}
  }
  return found;
}

function checkIndex(
  index: IndexSource,
  fields: readonly FieldSource[],
  reporter: Reporter,
): void {
  for (const path of index.fields) {
    const field = fields.find((f) => f.name === path.split(".")[0]);
    if (field === undefined) {
      reporter.error(
        "KT4004",
        index.node,
        `There is no field '${path}' to index.`,
        `Fields: ${fields.map((f) => f.name).join(", ")}.`,
      );
    } else if (index.unique && !index.oracle && (field.perm & 4) === 0) {
      reporter.error(
        "KT4004",
        index.node,
        `A unique index on '${path}', which may not be read, tells whether a value exists.`,
        "Give the field R, or accept it with @index({ unique: true, oracle: true }).",
      );
    }
  }
}
