/**
 * Shapes lowered to FlatBuffers: which tables exist, which field has which id and wire type. The codec
 * emitter and the `.fbs` emitter read this plan and nothing else, so bytes and schema cannot disagree.
 *
 * Rules that make ids stable while an app evolves:
 * - A table's FlatBuffers id 0 is `_nulls` (a bit per field that may be both null and missing); shape
 *   field `i` has id `i + 1`. A both-ways field whose id has no bit (32 and up) is boxed instead.
 * - A union is always a table of its own, `{ value_type, value }`: FlatBuffers gives unions two ids.
 * - What FlatBuffers cannot hold in a vector or a union (vectors, missing elements) is boxed in a table
 *   of one field.
 * - Enum tags are `ushort`, so that an enum may grow without changing its width.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { NumberWidth, Shape, ShapeField, ShapeTable } from "../../_internal/shape.ts";

/** An enum of the plan. */
export interface PlanEnum {
  readonly index: number;
  readonly name: string;
  readonly values: readonly (string | number | boolean)[];
  readonly ids: readonly number[];
  /** Name of the type in {@link PlanTypes.outside}. */
  readonly outside: string | null;
}

/** Wire type of a slot or a vector element. */
export type Wire =
  /** Nothing travels: null and undefined, told apart by presence alone. */
  | { readonly kind: "none" }
  | { readonly kind: "string"; readonly pattern: string | null }
  | { readonly kind: "number"; readonly width: NumberWidth }
  | { readonly kind: "boolean" }
  | { readonly kind: "literal"; readonly value: string | number | boolean }
  | { readonly kind: "enum"; readonly of: PlanEnum }
  | { readonly kind: "date" }
  | { readonly kind: "int64" }
  | { readonly kind: "uint64" }
  | { readonly kind: "bigint" }
  | { readonly kind: "bytes" }
  | { readonly kind: "typed"; readonly element: NumberWidth | "int64" | "uint64" }
  | { readonly kind: "vector"; readonly as: "array" | "set"; readonly element: Wire }
  /** A vector of pair tables. */
  | { readonly kind: "pairs"; readonly as: "record" | "map"; readonly element: Wire }
  | { readonly kind: "table"; readonly table: PlanTable };

/** One field of a table. */
export interface PlanField {
  /** Property name in TypeScript; in a tuple its index. */
  readonly name: string;
  /** FlatBuffers id. */
  readonly id: number;
  readonly wire: Wire;
  /** The key may be missing. */
  readonly optional: boolean;
  /** May be undefined (an optional field may, too). */
  readonly undefined: boolean;
  readonly null: boolean;
  /** True where null is a bit in `_nulls`, since absent means missing. */
  readonly bit: boolean;
  readonly doc: string;
}

/** One variant of a union. */
export interface PlanVariant {
  readonly id: number;
  readonly table: PlanTable;
  readonly tag: string | number | boolean | undefined;
  /** Kinds of JavaScript value it may accept; decides what is tried. */
  readonly accepts: ReadonlySet<string>;
  /** Number of fields: the variant with more is tried first, so that none are dropped. */
  readonly weight: number;
  /** Names of an object's fields, and which of them it cannot be without; null where it is none. */
  readonly names: { readonly known: readonly string[]; readonly needed: readonly string[] } | null;
  /** A record, which knows every name. */
  readonly open: boolean;
  readonly shape: Shape;
}

/** A table. Filled in after it is made, since types may refer to themselves. */
export interface PlanTable {
  readonly index: number;
  /** Name hint: not unique, not yet an identifier. */
  readonly name: string;
  readonly kind:
    | "object"
    | "tuple"
    | "pair"
    | "box"
    | "union"
    | "value"
    | "file"
    | "blob"
    | "error";
  fields: PlanField[];
  /** Field of a tuple's rest elements. */
  rest: PlanField | null;
  /** Variants of a union, by id. */
  variants: PlanVariant[];
  discriminator: string | null;
  /** Holds itself, directly or not. */
  recursive: boolean;
  doc: string;
  /** Name of the type in {@link PlanTypes.outside}: nothing is known of what is in it. */
  readonly outside: string | null;
}

/** One entry: its root table. */
export interface PlanEntry {
  readonly name: string;
  readonly root: PlanTable;
}

/** The whole plan, without what is planned elsewhere. */
export interface WirePlan {
  readonly tables: readonly PlanTable[];
  readonly enums: readonly PlanEnum[];
  readonly entries: readonly PlanEntry[];
  /** Tables and enums of {@link PlanTypes.named}, by name. */
  readonly named: ReadonlyMap<string, PlanTable | PlanEnum>;
}

/** Named types that a plan treats as such: only tables and enums (see {@link isPlanned}). */
export interface PlanTypes {
  /** Planned elsewhere. */
  readonly outside?: ReadonlySet<string>;
  /** Planned whether an entry needs them or not. */
  readonly named?: readonly string[];
}

/** True for a named type that becomes a table or an enum of its own; any other is a part of what refers to it. */
export function isPlanned(shape: Shape | undefined): boolean {
  return shape !== undefined && ["object", "tuple", "union", "enum"].includes(shape.kind);
}

/** Largest inline size of a table, and number of its fields, that a vtable can describe. */
const MAX_FIELDS = 8000;

/**
 * Lowers entries to a plan.
 *
 * @throws {KontractError} `BUILD_FAILED` for a shape that has no wire form; the compiler reports such
 * types at the parameter before it comes to this.
 */
export function planWire(
  types: ShapeTable,
  entries: readonly { readonly name: string; readonly shape: Shape }[],
  { outside = new Set(), named = [] }: PlanTypes = {},
): WirePlan {
  const planner = new Planner(types, outside);
  const roots = entries.map(({ name, shape }) => ({ name, root: planner.root(shape, name) }));
  const known = new Map(named.map((name) => [name, planner.named(name)]));
  markRecursive(planner.tables);
  return { tables: planner.tables, enums: planner.enums, entries: roots, named: known };
}

/** Kinds that are vectors themselves. */
const NESTED: ReadonlySet<string> = new Set([
  "array",
  "set",
  "record",
  "map",
  "bytes",
  "typed_array",
]);

class Planner {
  readonly tables: PlanTable[] = [];
  readonly enums: PlanEnum[] = [];
  readonly #types: ShapeTable;
  readonly #outside: ReadonlySet<string>;
  readonly #memo = new Map<string, PlanTable>();
  readonly #enumMemo = new Map<string, PlanEnum>();

  constructor(types: ShapeTable, outside: ReadonlySet<string>) {
    this.#types = types;
    this.#outside = outside;
  }

  root(shape: Shape, name: string): PlanTable {
    const wire = this.#wire(shape, name);
    return wire.kind === "table" ? wire.table : this.#box(shape, name);
  }

  named(name: string): PlanTable | PlanEnum {
    const wire = this.#wire({ kind: "ref", name }, name);
    if (wire.kind === "table") return wire.table;
    if (wire.kind === "enum") return wire.of;
    throw new Error(`Invariant: '${name}' is neither a table nor an enum.`);
  }

  /** The name, where a shape is the type of that name and planned elsewhere. */
  #elsewhere(shape: Shape, name: string): string | null {
    return this.#outside.has(name) && this.#types[name] === shape ? name : null;
  }

  /** Follows refs; `name` is the last name on the way. */
  #resolve(shape: Shape, hint: string): { shape: Exclude<Shape, { kind: "ref" }>; name: string } {
    let name = hint;
    for (let steps = 0; shape.kind === "ref"; steps++) {
      name = shape.name;
      const target = Object.hasOwn(this.#types, name) ? this.#types[name] : undefined;
      if (target === undefined || steps > 1000) {
        throw new KontractError("BUILD_FAILED", `Type '${name}' has no definition.`);
      }
      shape = target;
    }
    return { shape, name };
  }

  /** Lowers a shape in element position: whatever may be missing is boxed. */
  #wire(shape: Shape, hint: string): Wire {
    const { shape: s, name } = this.#resolve(shape, hint);
    switch (s.kind) {
      case "null":
      case "undefined":
      case "nullable":
        return { kind: "table", table: this.#box(shape, hint) };
      case "string":
        return { kind: "string", pattern: s.pattern ?? null };
      case "number":
        return { kind: "number", width: s.width };
      case "boolean":
      case "date":
      case "bytes":
        return { kind: s.kind };
      case "bigint":
        return { kind: s.width === "big" ? "bigint" : s.width };
      case "literal":
        return { kind: "literal", value: s.value };
      case "enum":
        return { kind: "enum", of: this.#enum(s, name) };
      case "typed_array":
        return { kind: "typed", element: s.element };
      case "array":
      case "set":
        return { kind: "vector", as: s.kind, element: this.#element(s.element, `${hint}_item`) };
      case "record":
      case "map":
        return { kind: "pairs", as: s.kind, element: this.#pair(s, hint) };
      case "object":
      case "tuple":
      case "union":
      case "unknown":
      case "file":
      case "error":
        return { kind: "table", table: this.#table(shape, s, name) };
      case "stream":
        throw new KontractError(
          "BUILD_FAILED",
          "A stream has no wire form of its own: encode its elements.",
        );
    }
  }

  /** Lowers a vector's element: FlatBuffers has no vector of vectors. */
  #element(shape: Shape, hint: string): Wire {
    const { shape: s } = this.#resolve(shape, hint);
    const nested = NESTED.has(s.kind) || (s.kind === "bigint" && s.width === "big");
    return nested ? { kind: "table", table: this.#box(shape, hint) } : this.#wire(shape, hint);
  }

  #enum(shape: Extract<Shape, { kind: "enum" }>, name: string): PlanEnum {
    const outside = this.#elsewhere(shape, name);
    const key = outside ?? JSON.stringify([shape.values, shape.ids]);
    let found = this.#enumMemo.get(key);
    if (found === undefined) {
      if (shape.ids.some((id) => id > 65535)) {
        throw new KontractError("BUILD_FAILED", `Enum '${name}' has a tag above 65535.`);
      }
      const { values, ids } = shape;
      found = { index: this.enums.length, name, values, ids, outside };
      if (outside === null) this.enums.push(found);
      this.#enumMemo.set(key, found);
    }
    return found;
  }

  #make(
    key: string,
    kind: PlanTable["kind"],
    name: string,
    outside: string | null = null,
  ): { table: PlanTable; fresh: boolean } {
    const known = this.#memo.get(key);
    if (known !== undefined) return { table: known, fresh: false };
    const table: PlanTable = {
      index: this.tables.length,
      name,
      kind,
      fields: [],
      rest: null,
      variants: [],
      discriminator: null,
      recursive: false,
      doc: "",
      outside,
    };
    if (outside === null) this.tables.push(table);
    this.#memo.set(key, table);
    return { table, fresh: outside === null };
  }

  #box(shape: Shape, hint: string): PlanTable {
    const { table, fresh } = this.#make(`box ${JSON.stringify(shape)}`, "box", `${hint}_box`);
    if (fresh) table.fields.push(this.#field({ name: "value", id: 0, shape }, hint));
    return table;
  }

  #pair(
    shape: Extract<Shape, { kind: "record" | "map" }>,
    hint: string,
  ): Wire {
    const key: Shape = shape.kind === "record" ? { kind: "string" } : shape.key;
    const id = `pair ${JSON.stringify([key, shape.value])}`;
    const { table, fresh } = this.#make(id, "pair", `${hint}_entry`);
    if (fresh) {
      table.fields.push(this.#field({ name: "key", id: 0, shape: key }, `${hint}_key`));
      table.fields.push(this.#field({ name: "value", id: 1, shape: shape.value }, `${hint}_value`));
    }
    return { kind: "table", table };
  }

  #table(
    shape: Shape,
    s: Extract<Shape, { kind: "object" | "tuple" | "union" | "unknown" | "file" | "error" }>,
    name: string,
  ): PlanTable {
    const kind = s.kind === "unknown"
      ? "value"
      : s.kind === "file"
      ? s.of === "File" ? "file" : "blob"
      : s.kind;
    const key = shape.kind === "ref" ? `ref ${name}` : `shape ${JSON.stringify(s)}`;
    const outside = this.#elsewhere(s, name);
    const { table, fresh } = this.#make(key, kind, kind === "value" ? "Value" : name, outside);
    if (!fresh) return table;
    switch (s.kind) {
      case "object":
        for (const field of s.fields) {
          table.fields.push(this.#field(field, `${name}_${field.name}`));
        }
        break;
      case "tuple":
        s.elements.forEach((element, id) => {
          table.fields.push(this.#field({ name: `${id}`, id, ...element }, `${name}_${id}`));
        });
        if (s.rest !== undefined) table.rest = this.#rest(s.rest, s.elements.length, name);
        break;
      case "file":
        for (const [id, part] of (["name", "type", "bytes"] as const).entries()) {
          const shape: Shape = { kind: part === "bytes" ? "bytes" : "string" };
          table.fields.push(this.#field({ name: part, id, shape }, part));
        }
        break;
      case "error":
        for (const [id, part] of ["code", "message"].entries()) {
          table.fields.push(this.#field({ name: part, id, shape: { kind: "string" } }, part));
        }
        if (s.data !== undefined) {
          const data = { name: "data", id: 2, shape: s.data, optional: true };
          table.fields.push(this.#field(data, `${name}_data`));
        }
        break;
      case "union":
        this.#union(table, s, name);
        break;
      case "unknown":
        break;
    }
    if (table.fields.length > MAX_FIELDS) {
      throw new KontractError("BUILD_FAILED", `Type '${name}' has more than ${MAX_FIELDS} fields.`);
    }
    return table;
  }

  #rest(shape: Shape, id: number, name: string): PlanField {
    const array: Shape = { kind: "array", element: shape };
    return this.#field({ name: "rest", id, shape: array, optional: true }, `${name}_rest`);
  }

  #field(
    field: { name: string; id: number; shape: Shape; optional?: boolean; doc?: string },
    hint: string,
  ): PlanField {
    if (field.name === "__proto__") {
      throw new KontractError("BUILD_FAILED", "A field cannot be named '__proto__'.");
    }
    const optional = field.optional ?? false;
    const flags = { null: false, undefined: false };
    let shape = field.shape;
    for (;;) {
      const { shape: s } = this.#resolve(shape, hint);
      if (s.kind === "null") flags.null = true;
      else if (s.kind === "undefined") flags.undefined = true;
      else if (s.kind === "nullable") {
        flags.null ||= s.null;
        flags.undefined ||= s.undefined;
        shape = s.inner;
        continue;
      }
      const none = s.kind === "null" || s.kind === "undefined";
      const both = flags.null && (flags.undefined || optional);
      const boxed = both && field.id > 31;
      const wire: Wire = none && !boxed ? { kind: "none" } : boxed
        ? {
          kind: "table",
          table: this.#box({ kind: "nullable", inner: shape, null: true, undefined: false }, hint),
        }
        : this.#wire(shape, hint);
      return {
        name: field.name,
        id: field.id + 1,
        wire,
        optional,
        undefined: flags.undefined || optional,
        null: flags.null && !boxed,
        bit: both && !boxed,
        doc: field.doc ?? "",
      };
    }
  }

  #union(table: PlanTable, s: Extract<Shape, { kind: "union" }>, name: string): void {
    const tagged = s.discriminator !== undefined &&
      s.variants.every((variant) => variant.tag !== undefined);
    table.discriminator = tagged ? s.discriminator! : null;
    for (const variant of s.variants) {
      if (variant.id < 1 || variant.id > 255) {
        throw new KontractError(
          "BUILD_FAILED",
          `Union '${name}' has more variants than the 255 that a message can tell apart: split it.`,
        );
      }
      const hint = `${name}_${variant.tag ?? variant.id}`;
      const { shape: target } = this.#resolve(variant.shape, hint);
      const wire = this.#wire(variant.shape, hint);
      table.variants.push({
        id: variant.id,
        table: wire.kind === "table" ? wire.table : this.#box(variant.shape, hint),
        tag: tagged ? variant.tag : undefined,
        accepts: this.#accepts(variant.shape, new Set()),
        weight: target.kind === "object" ? target.fields.length : 0,
        names: target.kind === "object" ? this.#names(target.fields) : null,
        open: target.kind === "record",
        shape: variant.shape,
      });
    }
  }

  #names(fields: readonly ShapeField[]): PlanVariant["names"] {
    const needed = fields.filter((field) =>
      !field.optional && !this.#accepts(field.shape, new Set()).has("undefined")
    );
    const names = (of: readonly ShapeField[]) => of.map((field) => field.name);
    return { known: names(fields), needed: names(needed) };
  }

  /** The kinds of value a shape takes; `any` where that cannot be said in advance. */
  #accepts(shape: Shape, seen: Set<string>): ReadonlySet<string> {
    if (shape.kind === "ref") {
      if (seen.has(shape.name)) return new Set();
      seen.add(shape.name);
    }
    const { shape: s } = this.#resolve(shape, "");
    switch (s.kind) {
      case "string":
      case "number":
      case "boolean":
      case "bigint":
      case "undefined":
        return new Set([s.kind]);
      case "literal":
        return new Set([typeof s.value]);
      case "enum":
        return new Set(s.values.map((value) => typeof value));
      case "nullable":
        return new Set([
          ...this.#accepts(s.inner, seen),
          ...s.null ? ["object"] : [],
          ...s.undefined ? ["undefined"] : [],
        ]);
      case "union":
        return new Set(s.variants.flatMap((v) => [...this.#accepts(v.shape, seen)]));
      case "unknown":
        return new Set(["string", "number", "boolean", "bigint", "undefined", "object"]);
      default:
        return new Set(["object"]);
    }
  }
}

/** Marks every table that can reach itself. */
function markRecursive(tables: readonly PlanTable[]): void {
  for (const table of tables) {
    const seen = new Set<PlanTable>();
    const stack = children(table);
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      if (next === table) {
        table.recursive = true;
        break;
      }
      if (seen.has(next)) continue;
      seen.add(next);
      stack.push(...children(next));
    }
  }
}

/** All tables that some lead to, these among them. */
export function tablesFrom(roots: readonly PlanTable[]): ReadonlySet<PlanTable> {
  const seen = new Set<PlanTable>();
  const stack = [...roots];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    stack.push(...children(next));
  }
  return seen;
}

function children(table: PlanTable): PlanTable[] {
  const found = table.variants.map((variant) => variant.table);
  for (const field of table.rest === null ? table.fields : [...table.fields, table.rest]) {
    let wire = field.wire;
    while (wire.kind === "vector" || wire.kind === "pairs") wire = wire.element;
    if (wire.kind === "table") found.push(wire.table);
  }
  return found;
}
