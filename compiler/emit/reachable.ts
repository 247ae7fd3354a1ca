/**
 * What types are made of: the named ones that shapes reach, and whether there are files among the values.
 *
 * @module
 */
import type { Shape, ShapeTable } from "../../_internal/shape.ts";

/** What is asked for once per route and per module is the same for all of them. */
interface TypeParts {
  readonly refs: ReadonlyMap<string, ReadonlySet<string>>;
  /** Named types with a File or Blob within. */
  readonly fileHolders: ReadonlySet<string>;
}

const known = new WeakMap<ShapeTable, TypeParts>();

/** The named types that shapes reach. */
export function reachableTypes(shapes: readonly Shape[], types: ShapeTable): ShapeTable {
  const found = reachableNames(shapes, types);
  return Object.fromEntries(Object.entries(types).filter(([name]) => found.has(name)));
}

/** Their names, in no order. */
export function reachableNames(shapes: readonly Shape[], types: ShapeTable): ReadonlySet<string> {
  const { refs } = typeParts(types);
  const found = new Set<string>();
  const pending = [...new Set(shapes)].flatMap((shape) => [...partsOf(shape).refs]);
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    pending.push(...refs.get(name) ?? []);
  }
  return found;
}

/** True where a File or Blob may stand anywhere within a value: it is read before that is encoded. */
export function holdsFile(shape: Shape, types: ShapeTable): boolean {
  const { file, refs } = partsOf(shape);
  return file || refs.size > 0 && !refs.isDisjointFrom(typeParts(types).fileHolders);
}

function typeParts(types: ShapeTable): TypeParts {
  const before = known.get(types);
  if (before !== undefined) return before;
  const parts = Object.entries(types).map(([name, shape]) => ({ name, ...partsOf(shape) }));
  const holders = new Set(parts.filter(({ file }) => file).map(({ name }) => name));
  for (let size = -1; holders.size > 0 && size < holders.size;) {
    size = holders.size;
    for (const { name, refs } of parts) if (!refs.isDisjointFrom(holders)) holders.add(name);
  }
  const made = { refs: new Map(parts.map(({ name, refs }) => [name, refs])), fileHolders: holders };
  known.set(types, made);
  return made;
}

/** Whether a file stands in a shape itself, and the names it refers to. */
function partsOf(shape: Shape): { readonly file: boolean; readonly refs: Set<string> } {
  let file = false;
  const refs = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const { kind, name } = value as { readonly kind?: unknown; readonly name?: unknown };
    if (kind === "file") file = true;
    else if (kind === "ref" && typeof name === "string") refs.add(name);
    else Object.values(value).forEach(visit);
  };
  visit(shape);
  return { file, refs };
}
