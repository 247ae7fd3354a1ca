/**
 * Whether a type only got wider: every stored value of the old one is one of the new one, in the same JSON. Then
 * a change of a field needs no migration.
 *
 * Types may refer to themselves: a pair of them that is being compared is taken to fit, which some other part
 * of the comparison must contradict where it is wrong.
 *
 * @module
 */
import { ValidationError } from "../../_internal/error_classes.ts";
import type { NumberWidth, Shape, ShapeTable } from "../../_internal/shape.ts";
import { encodeValue, INTEGER_RANGES, isPlainUnion } from "../row_codec.ts";

/** Kinds that are stored as the very JSON that they are. */
const PLAIN: ReadonlySet<string> = new Set(["string", "number", "boolean", "null", "unknown"]);

type Of<Kind extends Shape["kind"]> = Extract<Shape, { kind: Kind }>;

/** True where every value of `old` is a value of `next` and is stored alike. */
export function fits(
  old: Shape,
  next: Shape,
  oldTypes: ShapeTable,
  types: ShapeTable,
): boolean {
  return new Widening(oldTypes, types).holds(old, next);
}

class Widening {
  readonly #oldTypes: ShapeTable;
  readonly #types: ShapeTable;
  /** What is known, or taken for granted while it is being found out, of pairs of named types. */
  readonly #known = new Map<Shape, Map<Shape, boolean>>();

  constructor(oldTypes: ShapeTable, types: ShapeTable) {
    this.#oldTypes = oldTypes;
    this.#types = types;
  }

  holds(old: Shape, next: Shape): boolean {
    if (old.kind === "ref") {
      const target = this.#oldTypes[old.name];
      if (target === undefined) return next.kind === "ref" && next.name === old.name;
      return this.#named(target, next);
    }
    if (next.kind === "ref") {
      const target = this.#types[next.name];
      return target !== undefined && this.#named(old, target);
    }
    if (old.kind === "union") return this.#fromUnion(old, next);
    // Both are stored as null, which is read as null where the type has it.
    if (old.kind === "nullable") {
      return next.kind === "nullable" && old.null === next.null &&
        this.holds(old.inner, next.inner);
    }
    if (next.kind === "nullable") {
      if (old.kind === "undefined") return next.undefined && !next.null;
      if (old.kind === "null") return next.null;
      return (next.null || old.kind !== "unknown") && this.holds(old, next.inner);
    }
    if (old.kind === "literal") return this.#encodes(next, [old.value]);
    if (old.kind === "enum") return this.#encodes(next, old.values);
    if (next.kind === "union") return this.#intoUnion(old, next);
    if (next.kind === "unknown") return PLAIN.has(old.kind);
    return old.kind === next.kind && this.#sameKind(old, next as typeof old);
  }

  #named(old: Shape, next: Shape): boolean {
    const known = this.#known.get(old) ?? new Map<Shape, boolean>();
    this.#known.set(old, known);
    const before = known.get(next);
    if (before !== undefined) return before;
    known.set(next, true);
    const result = this.holds(old, next);
    known.set(next, result);
    return result;
  }

  #sameKind(old: Shape, next: Shape): boolean {
    switch (old.kind) {
      case "array":
      case "set":
        return this.holds(old.element, (next as typeof old).element);
      case "record":
        return this.holds(old.value, (next as typeof old).value);
      case "map":
        return this.holds(old.key, (next as typeof old).key) &&
          this.holds(old.value, (next as typeof old).value);
      case "string": {
        const { pattern } = next as typeof old;
        return pattern === undefined || pattern === old.pattern;
      }
      case "number":
        return widens(old.width, (next as typeof old).width);
      case "bigint":
        return (next as typeof old).width === "big" || (next as typeof old).width === old.width;
      case "typed_array":
        return (next as typeof old).element === old.element;
      case "object":
        return this.#object(old, next as typeof old);
      case "tuple":
        return this.#tuple(old, next as typeof old);
      default:
        return true;
    }
  }

  #object(old: Of<"object">, next: Of<"object">): boolean {
    const kept = old.fields.every((field) => {
      const match = next.fields.find(({ name }) => name === field.name);
      return match !== undefined && (match.optional || !field.optional) &&
        this.holds(field.shape, match.shape);
    });
    return kept &&
      next.fields.every((field) =>
        field.optional || old.fields.some(({ name }) => name === field.name)
      );
  }

  #tuple(old: Of<"tuple">, next: Of<"tuple">): boolean {
    const least = ({ elements }: Of<"tuple">): number =>
      elements.filter(({ optional }) => !optional).length;
    if (least(next) > least(old)) return false;
    if (next.rest === undefined) {
      if (old.rest !== undefined || old.elements.length > next.elements.length) return false;
    }
    const known = old.elements.every((element, i) => {
      const match = next.elements[i];
      // One that was left out before others is null, and null one that was left out.
      if (element.optional) {
        return match?.optional === true && this.holds(element.shape, match.shape);
      }
      if (match?.optional === true && this.#hasNull(element.shape)) return false;
      return this.holds(element.shape, match?.shape ?? next.rest!);
    });
    if (!known || old.rest === undefined) return known;
    const further = next.elements.slice(old.elements.length);
    if (further.some(({ optional }) => optional) && this.#hasNull(old.rest)) return false;
    return [...further.map(({ shape }) => shape), next.rest!]
      .every((shape) => this.holds(old.rest!, shape));
  }

  /** Whether null is one of its values. */
  #hasNull(old: Shape): boolean {
    if (old.kind === "nullable") return old.null || this.#hasNull(old.inner);
    if (old.kind === "ref") {
      const target = this.#oldTypes[old.name];
      return target === undefined || this.#hasNull(target);
    }
    return old.kind === "null" || old.kind === "unknown";
  }

  /** By the id that is stored where there is one, else each variant as what it is. */
  #fromUnion(old: Of<"union">, next: Shape): boolean {
    if (!isTagged(old, this.#oldTypes)) {
      return old.variants.every(({ shape }) => this.holds(shape, next));
    }
    return next.kind === "union" && isTagged(next, this.#types) &&
      old.variants.every(({ id, shape }) => {
        const match = next.variants.find((variant) => variant.id === id);
        return match !== undefined && this.holds(shape, match.shape);
      });
  }

  #intoUnion(old: Shape, next: Of<"union">): boolean {
    const { discriminator, variants } = next;
    if (discriminator === undefined) {
      return !isTagged(next, this.#types) && variants.some(({ shape }) => this.holds(old, shape));
    }
    if (old.kind !== "object") return false;
    const tag = old.fields.find(({ name }) => name === discriminator)?.shape;
    const match = variants.find((variant) => tag?.kind === "literal" && variant.tag === tag.value);
    return match !== undefined && this.holds(old, match.shape);
  }

  #encodes(next: Shape, values: readonly (string | number | boolean)[]): boolean {
    return values.every((value) => {
      try {
        return encodeValue(next, value, "", this.#types) === value;
      } catch (error) {
        if (error instanceof ValidationError) return false;
        throw error;
      }
    });
  }
}

/** Stored as `[id, value]`. */
function isTagged({ discriminator, variants }: Of<"union">, types: ShapeTable): boolean {
  return discriminator === undefined && !isPlainUnion(variants, types);
}

function widens(old: NumberWidth, next: NumberWidth): boolean {
  if (old === next || next === "float64") return true;
  const [from, to] = [INTEGER_RANGES[old], INTEGER_RANGES[next]];
  return from !== undefined && to !== undefined && to[0] <= from[0] && from[1] <= to[1];
}
