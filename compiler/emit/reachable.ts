/**
 * What types are made of: the named ones that shapes reach, and whether there are files among the values.
 *
 * @module
 */
import type { Shape, ShapeTable } from "../../_internal/shape.ts";

/** The named types that shapes reach. */
export function reachableTypes(shapes: readonly Shape[], types: ShapeTable): ShapeTable {
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (typeof value !== "object" || value === null) return;
    const record = value as Record<string, unknown>;
    if (record.kind === "ref" && typeof record.name === "string" && !found.has(record.name)) {
      found.add(record.name);
      visit(types[record.name]);
    }
    Object.values(record).forEach(visit);
  };
  visit(shapes);
  return Object.fromEntries(Object.entries(types).filter(([name]) => found.has(name)));
}

/** True where a File or Blob may stand anywhere within a value: it is read before that is encoded. */
export function holdsFile(shape: Shape, types: ShapeTable): boolean {
  const { file, refs } = partsOf(shape);
  return file || refs.size > 0 && !refs.isDisjointFrom(fileHolders(types));
}

/** What is asked for once per route is the same for all of them. */
const known = new WeakMap<ShapeTable, ReadonlySet<string>>();

/** The named types with files within. */
function fileHolders(types: ShapeTable): ReadonlySet<string> {
  const before = known.get(types);
  if (before !== undefined) return before;
  const parts = Object.entries(types).map(([name, shape]) => ({ name, ...partsOf(shape) }));
  const holders = new Set(parts.filter(({ file }) => file).map(({ name }) => name));
  for (let size = -1; holders.size > 0 && size < holders.size;) {
    size = holders.size;
    for (const { name, refs } of parts) if (!refs.isDisjointFrom(holders)) holders.add(name);
  }
  known.set(types, holders);
  return holders;
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
