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
  return isFile([shape, reachableTypes([shape], types)]);
}

function isFile(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return (value as { readonly kind?: unknown }).kind === "file" ||
    Object.values(value).some(isFile);
}
