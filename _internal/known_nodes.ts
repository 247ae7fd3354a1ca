/**
 * What the types of a union's variants know, as a graph of names: data that generated code can carry and
 * {@link leastLost} can ask. Types may hold themselves, and so may the graph.
 *
 * @module
 */
import type { KnownNames } from "./least_lost.ts";
import type { Shape, ShapeTable } from "./shape.ts";

type Target = Exclude<Shape, { kind: "ref" }>;

/**
 * An object's names, each with the node of what it holds; for a record the node of its values; -1 where
 * nothing can be lost inside. Null for a type of any other kind.
 */
export type KnownNode = readonly (readonly [name: string, inside: number])[] | number | null;

/**
 * The nodes of `shapes`, in their order, and behind them those of what they hold. A union within is not
 * looked into: it is told apart where it stands.
 */
export function knownNodes(types: ShapeTable, shapes: readonly Shape[]): readonly KnownNode[] {
  const targets = shapes.map((shape) => follow(types, shape));
  const nodes: KnownNode[] = [];
  const inside = (shape: Shape): number => {
    const target = within(types, shape);
    if (target.kind !== "object" && target.kind !== "record") return -1;
    const known = targets.indexOf(target);
    return known === -1 ? targets.push(target) - 1 : known;
  };
  for (let i = 0; i < targets.length; i++) {
    const target = targets[i]!;
    if (target.kind === "record") nodes.push(inside(target.value));
    else if (target.kind === "object") {
      nodes.push(target.fields.map(({ name, shape }) => [name, inside(shape)] as const));
    } else nodes.push(null);
  }
  return nodes;
}

/** True where two of the first `count` nodes know the same name and not the same of what it holds. */
export function differDeeper(nodes: readonly KnownNode[], count: number): boolean {
  const seen = new Map<string, number>();
  for (const node of nodes.slice(0, count)) {
    if (typeof node === "number" && node !== -1) return true;
    for (const [name, inside] of Array.isArray(node) ? node : []) {
      const other = seen.get(name);
      if (other !== undefined && other !== inside) return true;
      seen.set(name, inside);
    }
  }
  return false;
}

/** What `leastLost` asks of nodes. */
export function knownNames(nodes: readonly KnownNode[]): readonly KnownNames[] {
  const known: KnownNames[] = [];
  const at = (inside = -1): KnownNames | undefined => known[inside];
  for (const node of nodes) {
    if (node === null) known.push(null);
    else if (typeof node === "number") known.push({ has: () => true, get: () => at(node) });
    else {
      const names = new Map(node);
      known.push({ has: (name) => names.has(name), get: (name) => at(names.get(name)) });
    }
  }
  return known;
}

function follow(types: ShapeTable, shape: Shape): Target {
  for (let steps = 0; shape.kind === "ref"; steps++) {
    const target = Object.hasOwn(types, shape.name) ? types[shape.name] : undefined;
    if (target === undefined || steps > 1000) return { kind: "unknown" };
    shape = target;
  }
  return shape;
}

/** The shape of what a property holds, or of each item of its list. */
function within(types: ShapeTable, shape: Shape): Target {
  let target = follow(types, shape);
  for (let steps = 0; steps < 1000; steps++) {
    if (target.kind === "nullable") target = follow(types, target.inner);
    else if (target.kind === "array" || target.kind === "set") {
      target = follow(types, target.element);
    } else return target;
  }
  return { kind: "unknown" };
}
