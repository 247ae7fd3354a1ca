/**
 * Finds table classes: `@table`, `@primkey`, `@index`, `@perm`.
 *
 * @module
 */
import ts from "typescript";
import type { Bits } from "../_internal/manifest.ts";
import { isStorableText } from "../_internal/storable_text.ts";
import { constantOf } from "./constant.ts";
import type { KontractDecorator, KontractSymbols } from "./kontract_symbols.ts";
import { isBits, OptionReader, readOptions } from "./options.ts";
import type { FieldSource, IndexSource, TableSource } from "./route_source.ts";
import { docOf, type Reporter } from "./source_place.ts";

const TABLE_NAME = /^[a-z][a-z0-9_]{0,39}$/;

/** What `env.storage` has beside tables; `then` is what `await` asks everything for. */
const OPERATIONS: ReadonlySet<string> = new Set(["exec", "transaction", "then"]);
/** Columns that an index of PostgreSQL's has, one of them for the owner. */
const INDEX_FIELDS = 31;

/** The table that a class declares, or null where it is none or nothing can be said about it. */
export function tableOf(
  node: ts.ClassDeclaration,
  kontract: KontractSymbols,
  reporter: Reporter,
): TableSource | null {
  const decorator = kontract.decoratorsOf(node).find((d) => d.name === "table");
  const symbol = node.name === undefined
    ? undefined
    : kontract.checker.getSymbolAtLocation(node.name);
  if (decorator === undefined) return null;
  if (node.name === undefined || symbol === undefined) {
    reporter.error("KT4001", node, "A table class needs a name.");
    return null;
  }
  const name = tableName(decorator, node.name.text, kontract, reporter);
  if (name === null) return null;
  const options = new OptionReader(
    readOptions(decorator.call?.arguments[1], ["perm", "rows"], kontract.checker, reporter),
    reporter,
  );
  const fields = fieldsOf(node, symbol, kontract, reporter);
  const own = { name, className: node.name.text };
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

/**
 * The table's name. One that is wrong is reported and what was probably meant taken instead, so that
 * `env.storage` has the table and nothing else goes wrong for it; null where no table can be meant.
 */
function tableName(
  { node, call }: KontractDecorator,
  className: string,
  { checker }: KontractSymbols,
  reporter: Reporter,
): string | null {
  const likely = `${plainName(className)}s`;
  const argument = call?.arguments[0];
  const name = argument === undefined ? null : constantOf(argument, checker);
  if (call === null || argument === undefined || !name?.ok || typeof name.value !== "string") {
    reporter.error(
      "KT4001",
      node,
      call === null
        ? "@table is called with the table's name, and here it is not called."
        : "@table needs the table's name as a literal.",
      `Write @table("${likely}").`,
    );
    return likely;
  }
  if (!TABLE_NAME.test(name.value)) {
    const plain = plainName(name.value);
    reporter.error(
      "KT4001",
      argument,
      `A table's name has lower-case letters, digits and '_', starts with a letter, at most 40: it is '${name.value}'.`,
      `Write @table("${plain}").`,
    );
    return plain;
  }
  if (OPERATIONS.has(name.value)) {
    reporter.error(
      "KT4001",
      argument,
      `'env.storage.${name.value}' is an operation, so no table can be called '${name.value}'.`,
      "Give the table another name.",
    );
    return null;
  }
  return name.value;
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
    const hidden = ts.getCombinedModifierFlags(declaration) &
      (ts.ModifierFlags.Private | ts.ModifierFlags.Protected);
    if (hidden !== 0 || ts.isPrivateIdentifier(declaration.name)) {
      reporter.error(
        "KT4001",
        declaration.name,
        `'${declaration.name.getText()}' is private: what a row has is stored, and read as an object.`,
        "Make it public; @perm(perms.___) keeps a field from sessions.",
      );
      continue;
    }
    if (!isStorable(property.name)) {
      reporter.error(
        "KT4001",
        declaration.name,
        "A field's name has no NUL and no half of a surrogate pair: PostgreSQL stores neither.",
      );
      continue;
    }
    fields.push(fieldOf(property, declaration, kontract, reporter));
  }
  return fields;
}

/** True where JSON in PostgreSQL has the value. */
function isStorable(value: unknown): boolean {
  if (typeof value === "string") return isStorableText(value);
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every((entry) => entry.every(isStorable));
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
  if (value.ok && isStorable(value.value)) return { ...base, default: value.value };
  if (value.ok) {
    reporter.error(
      "KT4003",
      node.initializer,
      `The default of '${symbol.name}' cannot be stored: PostgreSQL has no NUL in a text, no half of a surrogate pair and no infinite number in JSON.`,
    );
    return base;
  }
  reporter.error(
    "KT4003",
    node.initializer,
    `The default of '${symbol.name}' must be a literal: it is stored with the schema.`,
    `Declare it without a default ('${symbol.name}!: …') and set it in the backend function.`,
  );
  return base;
}

const BITS =
  "Write @perm(perms.R__) with any of R (read), W (write) and X (delete), and '_' for what is missing.";

function permOf(node: ts.Node, kontract: KontractSymbols, reporter: Reporter): Bits {
  const decorator = kontract.decoratorsOf(node).find((d) => d.name === "perm");
  if (decorator === undefined) return 7;
  const [argument, ...more] = decorator.call?.arguments ?? [];
  const value = argument === undefined ? null : constantOf(argument, kontract.checker);
  if (value?.ok === true && isBits(value.value) && more.length === 0) return value.value;
  reporter.error(
    "KT2005",
    decorator.node,
    decorator.call === null
      ? "@perm is called with bits, and here it is not called."
      : more.length > 0
      ? "@perm takes one value: all bits of a field together."
      : "@perm needs bits from 0 to 7.",
    BITS,
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
    kontract.decoratorsOf(field.node).some((d) => d.name === "primkey")
  );
  const first = marked[0];
  for (const field of marked) {
    const called = kontract.decoratorsOf(field.node).find((d) =>
      d.name === "primkey" && d.call !== null
    );
    if (called === undefined) continue;
    reporter.error(
      "KT4002",
      called.node,
      "@primkey has no options and no parentheses.",
      `Write @primkey ${field.name}!: string;`,
    );
  }
  if (first === undefined) {
    // Where it was not imported TypeScript says what is missing.
    if (fields.some((field) => kontract.hasUnknownDecorator(field.node, "primkey"))) return "id";
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
  const refuse = (d: KontractDecorator, message: string, hint: string): void =>
    reporter.error("KT4004", d.node, message, hint);
  for (const field of fields) {
    for (const d of kontract.decoratorsOf(field.node)) {
      if (d.name !== "index") continue;
      const argument = d.call?.arguments[0];
      if (d.call === null) {
        refuse(
          d,
          "@index is called, and here it is not.",
          "Write @index() or @index({ unique: true }).",
        );
      } else if (argument !== undefined && namesFields(argument, kontract)) {
        refuse(
          d,
          "@index on a field takes options, and no fields: it is this field's.",
          'Write @index() here; an index of several fields stands on the class: @index(["a", "b"]).',
        );
      } else add([field.name], argument, d.node);
    }
  }
  for (const d of kontract.decoratorsOf(node)) {
    if (d.name !== "index") continue;
    const argument = d.call?.arguments[0];
    const names = argument === undefined ? null : constantOf(argument, kontract.checker);
    if (
      names?.ok === true && Array.isArray(names.value) && names.value.length > 0 &&
      names.value.every((n) => typeof n === "string")
    ) add(names.value as string[], d.call?.arguments[1], d.node);
    else {
      refuse(
        d,
        "@index on a class needs the fields that it is of.",
        'Write @index(["a", "b"]), or @index() before one field.',
      );
    }
  }
  return found;
}

function namesFields(argument: ts.Expression, { checker }: KontractSymbols): boolean {
  const value = constantOf(argument, checker);
  return value.ok && (typeof value.value === "string" || Array.isArray(value.value));
}

function checkIndex(
  index: IndexSource,
  fields: readonly FieldSource[],
  reporter: Reporter,
): void {
  if (index.fields.length > INDEX_FIELDS) {
    reporter.error("KT4004", index.node, `An index has at most ${INDEX_FIELDS} fields.`);
  }
  for (const path of index.fields) {
    const field = fields.find((f) => f.name === path) ??
      fields.find((f) => f.name === path.split(".")[0]);
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
