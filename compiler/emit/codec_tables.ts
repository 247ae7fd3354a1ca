/**
 * Generated code for tables: objects, tuples, boxes and unions, each a writer and a reader.
 *
 * @module
 */
import { differDeeper, type KnownNode, knownNodes } from "../../_internal/known_nodes.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { isIdentifier, literal, type SlotEmitter } from "./codec_slots.ts";
import { layoutOf, type TableLayout } from "./wire_layout.ts";
import type { PlanField, PlanTable, PlanVariant } from "./wire_plan.ts";

/** Names a value's property in generated code. */
function member(object: string, name: string): string {
  if (name in Object.prototype) return `own(${object}, ${JSON.stringify(name)})`;
  return isIdentifier(name) ? `${object}.${name}` : `${object}[${literal(name)}]`;
}

function propertyKey(name: string): string {
  return isIdentifier(name) ? name : literal(name);
}

/** Emits tables next to the slots they are made of. */
export class TableEmitter {
  readonly #slots: SlotEmitter;
  readonly #types: ShapeTable;

  /** Declares into `slots`. */
  constructor(slots: SlotEmitter, types: ShapeTable) {
    this.#slots = slots;
    this.#types = types;
  }

  /** Emits a table's layout, and what of writer and reader somebody calls. */
  table(table: PlanTable, used: { readonly written: boolean; readonly read: boolean }): void {
    if (table.kind === "value" || !used.written && !used.read) return;
    const layout = layoutOf(table);
    const { offsets, sizes, bits, size, align } = layout;
    this.#slots.parts.push(
      `// ${table.kind} ${JSON.stringify(table.name)}`,
      `const L${table.index} = /* @__PURE__ */ new ${
        this.#slots.use("Layout")
      }([${offsets}], [${sizes}], [${bits}], ${size}, ${align});`,
    );
    if (used.written) {
      if (table.kind === "union") this.#unionWriter(table, layout);
      else this.#tableWriter(table, layout);
    }
    if (used.read) {
      if (table.kind === "union") this.#unionReader(table);
      else this.#tableReader(table);
    }
  }

  #tableWriter(table: PlanTable, layout: TableLayout): void {
    const i = table.index;
    const all = table.rest === null ? table.fields : [...table.fields, table.rest];
    const names = all.map((field) => {
      if (table.kind === "pair" || table.kind === "box" || field === table.rest) return '""';
      return table.kind === "tuple" ? field.name : literal(field.name);
    });
    const lines = [...this.#open(table), ...this.#values(table)];
    const nulls = all.filter((field) => field.bit)
      .map((field) => `(${local(table, field)} === null ? ${bitOf(field)} : 0)`);
    if (nulls.length > 0) lines.push(`const z = ${nulls.join(" | ")};`);
    lines.push(`const p = ${this.#openCall(table, layout)};`);
    if (nulls.length > 0) {
      lines.push(`if (z !== 0) ${this.#slots.use("putBits")}(p + ${layout.offsets[0]}, z);`);
    }
    for (const [k, field] of all.entries()) {
      const value = local(table, field);
      const at = layout.offsets[field.id];
      const test = presence(table, field, value);
      if (field.wire.kind === "none") {
        const good = [
          ...field.null ? [`${value} !== null`] : [],
          ...field.undefined ? [`${value} !== undefined`] : [],
        ];
        const expected = [...field.null ? ["null"] : [], ...field.undefined ? ["undefined"] : []];
        lines.push(
          `k = ${k}; if (${good.join(" && ")}) ${this.#slots.use("no")}("${
            expected.join(" or ")
          }", ${value});`,
        );
        continue;
      }
      const put = field === table.rest
        ? this.#slots.put(field.wire, value, `p + ${at}`, table.fields.length)
        : this.#slots.put(field.wire, value, `p + ${at}`);
      lines.push(test === "" ? `k = ${k}; ${put}` : `if (${test}) { k = ${k}; ${put} }`);
    }
    if (table.recursive) lines.push(`${this.#slots.use("up")}();`);
    this.#slots.parts.push(
      `const N${i} = [${names.join(", ")}];`,
      `function w${i}(x, s) {\n  let k = -1;\n  try {\n    ${
        lines.join("\n    ")
      }\n  } catch (e) {\n    ${this.#slots.use("atKey")}(e, N${i}[k]);\n  }\n}`,
    );
  }

  /** Checks the container of a table's values. */
  #open(table: PlanTable): string[] {
    const lines: string[] = table.recursive ? [`${this.#slots.use("down")}();`] : [];
    switch (table.kind) {
      case "object":
        lines.push(
          `if (typeof x !== "object" || x === null) ${this.#slots.use("no")}("an object", x);`,
        );
        break;
      case "tuple": {
        lines.push(`if (!Array.isArray(x)) ${this.#slots.use("no")}("an array", x);`);
        const count = table.fields.length;
        if (table.rest === null) {
          lines.push(
            `if (x.length > ${count}) ${this.#slots.use("no")}("an array of at most ${count}", x);`,
          );
        }
        break;
      }
      case "file":
      case "blob":
        lines.push(`x = ${this.#slots.use("fileParts")}(x);`);
        break;
      case "error":
        lines.push(`x = ${this.#slots.use("errorParts")}(x);`);
        break;
    }
    return lines;
  }

  /** Reads each property once: a getter cannot give two answers. */
  #values(table: PlanTable): string[] {
    if (table.kind === "box") return [];
    const reads = table.fields.map((field) => {
      const source = table.kind === "tuple" || table.kind === "pair"
        ? `x[${field.id - 1}]`
        : member("x", field.name);
      if (source.startsWith("own(")) this.#slots.use("own");
      return `${local(table, field)} = ${source}`;
    });
    return reads.length > 0 ? [`const ${reads.join(", ")};`] : [];
  }

  #openCall(table: PlanTable, layout: TableLayout): string {
    const words: string[][] = [];
    for (const field of table.rest === null ? table.fields : [...table.fields, table.rest]) {
      const bit = layout.bits[field.id]!;
      if (bit < 0 || field.wire.kind === "none") continue;
      const word = words[Math.floor(bit / 31)] ??= [];
      word.push(`(${presence(table, field, local(table, field))} ? ${2 ** (bit % 31)} : 0)`);
    }
    const nulls = layout.bits[0]!;
    if (nulls >= 0 && layout.offsets[0] !== 0) {
      (words[Math.floor(nulls / 31)] ??= []).push(`(z !== 0 ? ${2 ** (nulls % 31)} : 0)`);
    }
    const masks = Array.from(words, (word) => (word ?? []).join(" | ") || "0");
    if (masks.length <= 1) {
      return `${this.#slots.use("open")}(L${table.index}, ${masks[0] ?? "0"}, s)`;
    }
    return `${this.#slots.use("openWide")}(L${table.index}, [${masks.join(", ")}], s)`;
  }

  #tableReader(table: PlanTable): void {
    const i = table.index;
    const all = table.rest === null ? table.fields : [...table.fields, table.rest];
    const lines: string[] = table.recursive ? [`${this.#slots.use("deeper")}();`] : [];
    const travelling = all.filter((field) => field.wire.kind !== "none");
    const bits = all.some((field) => field.bit);
    const offsets = [
      ...bits ? ["z0 = o[0]"] : [],
      ...travelling.map((field) => `o${field.id} = o[${field.id}]`),
    ];
    lines.push(
      offsets.length === 0
        ? `${this.#slots.use("fields")}(L${i}, p);`
        : `const o = ${this.#slots.use("fields")}(L${i}, p), ${offsets.join(", ")};`,
    );
    if (bits) lines.push(`const z = z0 === 0 ? 0 : ${this.#slots.use("getUint32")}(p + z0);`);
    lines.push(...this.#assemble(table));
    const result = table.recursive
      ? [`${this.#slots.use("shallower")}();`, "return v;"]
      : ["return v;"];
    this.#slots.parts.push(`function r${i}(p) {\n  ${[...lines, ...result].join("\n  ")}\n}`);
  }

  /** Lines that make `v` from the fields. */
  #assemble(table: PlanTable): string[] {
    const object = (fields: readonly PlanField[]): string =>
      `{ ${fields.map((f) => `${propertyKey(f.name)}: ${this.#read(f)}`).join(", ")} }`;
    switch (table.kind) {
      case "box":
        return [`const v = ${this.#read(table.fields[0]!)};`];
      case "pair":
        return [`const v = [${table.fields.map((f) => this.#read(f)).join(", ")}];`];
      case "file":
      case "blob":
        return [
          `const v = ${this.#slots.use(table.kind === "file" ? "toFile" : "toBlob")}(${
            object(table.fields)
          });`,
        ];
      case "error":
        return [`const v = ${this.#slots.use("toError")}(${object(table.fields)});`];
      case "tuple":
        return this.#assembleTuple(table);
      default: {
        const lines = [`const v = ${object(table.fields.filter((field) => !field.optional))};`];
        for (const field of table.fields.filter((f) => f.optional)) {
          const target = isIdentifier(field.name) ? `v.${field.name}` : `v[${literal(field.name)}]`;
          if (field.wire.kind !== "none") {
            lines.push(
              `if (o${field.id} !== 0) ${target} = ${
                this.#slots.get(field.wire, `p + o${field.id}`)
              };`,
            );
          }
          if (field.bit) {
            const otherwise = field.wire.kind === "none" ? "" : "else ";
            lines.push(`${otherwise}if (z & ${bitOf(field)}) ${target} = null;`);
          }
        }
        return lines;
      }
    }
  }

  #assembleTuple(table: PlanTable): string[] {
    const lines = [`const v = [${table.fields.map((field) => this.#read(field)).join(", ")}];`];
    let least = table.fields.length;
    while (least > 0 && table.fields[least - 1]!.optional) least--;
    const trim = least < table.fields.length
      ? `{ let n = ${table.fields.length}; while (n > ${least} && v[n - 1] === undefined) n--; v.length = n; }`
      : "";
    const rest = table.rest;
    if (rest !== null) {
      const items = this.#slots.get(rest.wire, `p + o${rest.id}`);
      lines.push(
        `const y = o${rest.id} === 0 ? [] : ${items};`,
        `if (y.length > 0) for (const item of y) v.push(item);${
          trim === "" ? "" : ` else ${trim}`
        }`,
      );
    } else if (trim !== "") lines.push(trim);
    return lines;
  }

  /** Expression for a field that is always a part of its container. */
  #read(field: PlanField): string {
    const absent = field.bit
      ? `z & ${bitOf(field)} ? null : undefined`
      : field.undefined
      ? "undefined"
      : field.null
      ? "null"
      : `${this.#slots.use("missing")}()`;
    if (field.wire.kind === "none") return `(${absent})`;
    return `o${field.id} !== 0 ? ${this.#slots.get(field.wire, `p + o${field.id}`)} : (${absent})`;
  }

  #unionWriter(table: PlanTable, layout: TableLayout): void {
    const i = table.index;
    const [tagAt, valueAt] = layout.offsets;
    const put = (variant: PlanVariant): string =>
      `${this.#slots.use("putTag")}(p + ${tagAt}, ${variant.id}); ${
        this.#slots.writer(variant.table)
      }(x, p + ${valueAt});`;
    const down = table.recursive ? `  ${this.#slots.use("down")}();\n` : "";
    const up = table.recursive ? `\n  ${this.#slots.use("up")}();` : "";
    const open = `const p = ${this.#slots.use("open")}(L${i}, 0, s);`;
    this.#slots.parts.push(
      `function w${i}(x, s) {\n${down}  ${open}\n  ${
        table.discriminator === null
          ? this.#untagged(table, put, tagAt!, valueAt!)
          : this.#tagged(table, put)
      }${up}\n}`,
    );
  }

  /** Declares the names that each variant knows. */
  #known(table: PlanTable, candidates: readonly PlanVariant[]): string {
    const nodes = knownNodes(this.#types, candidates.map(({ shape }) => shape));
    if (differDeeper(nodes, candidates.length)) {
      const use = this.#slots.use("knownNames");
      this.#slots.parts.push(
        `const K${table.index} = /* @__PURE__ */ ${use}(${
          nodesText(nodes)
        }).slice(0, ${candidates.length});`,
      );
      return `K${table.index}`;
    }
    const sets = candidates.map(({ names, open }) => {
      if (open) return "{ has: () => true }";
      if (names === null) return "null";
      return `/* @__PURE__ */ new Set([${names.known.map(literal).join(", ")}])`;
    });
    this.#slots.parts.push(`const K${table.index} = [${sets.join(", ")}];`);
    return `K${table.index}`;
  }

  #unionReader(table: PlanTable): void {
    const i = table.index;
    const cases = table.variants.map((variant) =>
      `    case ${variant.id}: v = ${this.#slots.reader(variant.table)}(q); break;`
    );
    const deeper = table.recursive ? `  ${this.#slots.use("deeper")}();\n` : "";
    const shallower = table.recursive ? `\n  ${this.#slots.use("shallower")}();` : "";
    this.#slots.parts.push(
      `function r${i}(p) {\n${deeper}  const o = ${
        this.#slots.use("fields")
      }(L${i}, p);\n  if (o[0] === 0 || o[1] === 0) ${this.#slots.use("missing")}();\n  const q = ${
        this.#slots.use("reference")
      }(p + o[1]);\n  let v;\n  switch (${this.#slots.use("getUint8")}(p + o[0])) {\n${
        cases.join("\n")
      }\n    default: ${this.#slots.use("bad")}();\n  }${shallower}\n  return v;\n}`,
    );
  }

  #tagged(table: PlanTable, put: (variant: PlanVariant) => string): string {
    const name = table.discriminator!;
    const cases = table.variants.map((variant) =>
      `    case ${literal(variant.tag!)}: { ${put(variant)} break; }`
    );
    const tags = table.variants.map((variant) => JSON.stringify(variant.tag)).join(", ");
    const rule = literal(`one of ${tags}`);
    if (name in Object.prototype) this.#slots.use("own");
    return `if (typeof x !== "object" || x === null) ${
      this.#slots.use("no")
    }("an object", x);\n  const t = ${member("x", name)};\n  switch (t) {\n${
      cases.join("\n")
    }\n    default: try { ${this.#slots.use("no")}(${rule}, t); } catch (e) { ${
      this.#slots.use("atKey")
    }(e, ${literal(name)}); }\n  }`;
  }

  /**
   * Variants by kind of value; where several may take one kind, the first that does, wider ones first
   * or, where that may lose something, those that lose least.
   */
  #untagged(
    table: PlanTable,
    put: (variant: PlanVariant) => string,
    tagAt: number,
    valueAt: number,
  ): string {
    const ordered = [...table.variants].sort((a, b) => b.weight - a.weight || a.id - b.id);
    const cases: string[] = [];
    for (const type of ["string", "number", "boolean", "bigint", "undefined", "object"]) {
      const candidates = ordered.filter((variant) => variant.accepts.has(type));
      const only = candidates[0];
      if (only === undefined) continue;
      if (candidates.length === 1) {
        cases.push(`    case "${type}": { ${put(only)} break; }`);
        continue;
      }
      const writers = candidates.map((variant) => this.#slots.writer(variant.table)).join(", ");
      const ids = candidates.map((variant) => variant.id).join(", ");
      const known = type === "object" && hidesAnother(candidates)
        ? this.#known(table, candidates)
        : null;
      cases.push(
        `    case "${type}": { const i = ${
          this.#slots.use(known === null ? "attempt" : "attemptLeastLost")
        }(x, p + ${valueAt}, [${writers}]${known === null ? "" : `, ${known}`}); if (i < 0) ${
          this.#slots.use("no")
        }("one of the union's types", x); ${
          this.#slots.use("putTag")
        }(p + ${tagAt}, [${ids}][i]); break; }`,
      );
    }
    return `switch (typeof x) {\n${cases.join("\n")}\n    default: ${
      this.#slots.use("no")
    }("one of the union's types", x);\n  }`;
  }
}

/** Nodes as an expression; names are texts in it, never keys. */
function nodesText(nodes: readonly KnownNode[]): string {
  return JSON.stringify(nodes).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}

/** True where an earlier variant may take what a later one is meant for. */
function hidesAnother(candidates: readonly PlanVariant[]): boolean {
  return candidates.some(({ names, open }, i) =>
    candidates.slice(i + 1).some((later) => {
      if (names === null || later.open) return open || names !== null;
      const found = later.names === null
        ? (name: string) => INHERITED.has(name)
        : (name: string) => later.names!.known.includes(name);
      return names.needed.every(found);
    })
  );
}

/** Properties that values of other kinds have: an array has a length. */
const INHERITED: ReadonlySet<string> = new Set(
  [Array, Date, Map, Set, Uint8Array, File].flatMap((kind) => {
    const names: string[] = ["length"];
    for (let at = kind.prototype; at !== null; at = Object.getPrototypeOf(at)) {
      names.push(...Object.getOwnPropertyNames(at));
    }
    return names;
  }),
);

/** Name of the local that holds a field's value. */
function local(table: PlanTable, field: PlanField): string {
  if (table.kind === "box" || field === table.rest) return "x";
  return `f${field.id}`;
}

/** Test that a field travels; empty where it always does. */
function presence(table: PlanTable, field: PlanField, value: string): string {
  if (field === table.rest) return `x.length > ${table.fields.length}`;
  if (field.null && field.undefined) return `${value} != null`;
  if (field.undefined) return `${value} !== undefined`;
  return field.null ? `${value} !== null` : "";
}

function bitOf(field: PlanField): number {
  return 2 ** (field.id - 1);
}
