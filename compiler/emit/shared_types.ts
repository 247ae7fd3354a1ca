/**
 * Which named types several route modules use, in groups: types that the same modules use are one group. So
 * each stands in the output once, and a route loads no type that it does not use. Where a group would have no
 * table, each module repeats what is in it, which is less than a module to import.
 *
 * What a type refers to is used wherever the type is. So a circle of types is within one group, groups refer
 * to each other in one direction only, and a type that one module alone uses is referred to by no group.
 *
 * @module
 */
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { reachableNames } from "./reachable.ts";
import { isPlanned } from "./wire_plan.ts";

/** Named types of several modules. */
export interface TypeGroup {
  /** Ordered. */
  readonly names: readonly string[];
  /** Those of them that have code of their own. */
  readonly planned: readonly string[];
}

/** Types of an app's route modules, by number of module and of group. */
export interface SharedTypes {
  readonly groups: readonly TypeGroup[];
  /** Name → its group, for types that have code of their own. */
  readonly codeOf: ReadonlyMap<string, number>;
  /** For each module: the groups it uses, in order. */
  readonly groupsOf: readonly (readonly number[])[];
  /** For each module: names that it uses and no group has, ordered. */
  readonly ownOf: readonly (readonly string[])[];
  /** For each module: all names that it uses. */
  readonly usedBy: readonly ReadonlySet<string>[];
}

/** `modules` are the shapes that each module's routes take and give. */
export function sharedTypes(
  modules: readonly (readonly Shape[])[],
  types: ShapeTable,
): SharedTypes {
  const reached = modules.map((shapes) => reachableNames(shapes, types));
  const users = new Map(Object.keys(types).map((name): [string, number[]] => [name, []]));
  for (const [i, names] of reached.entries()) for (const name of names) users.get(name)?.push(i);
  const bySet = new Map<string, string[]>();
  for (const [name, own] of users) {
    if (own.length < 2) continue;
    const key = own.join(" ");
    const names = bySet.get(key) ?? [];
    bySet.set(key, names);
    names.push(name);
  }
  const groups = [...bySet.values()].filter((names) =>
    names.some((name) => isPlanned(types[name]) && types[name]!.kind !== "enum")
  ).map((names) => {
    names.sort();
    return { names, planned: names.filter((name) => isPlanned(types[name])) };
  }).sort((a, b) => a.names[0]! < b.names[0]! ? -1 : 1);
  const groupOf = new Map(groups.flatMap(({ names }, i) => names.map((name) => [name, i])));
  return {
    groups,
    codeOf: new Map(groups.flatMap(({ planned }, i) => planned.map((name) => [name, i]))),
    groupsOf: reached.map((names) => {
      const used = new Set([...names].flatMap((name) => groupOf.get(name) ?? []));
      return [...used].sort((a, b) => a - b);
    }),
    ownOf: reached.map((names) => [...names].filter((name) => !groupOf.has(name)).sort()),
    usedBy: reached,
  };
}
