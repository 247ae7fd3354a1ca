/**
 * Which variant a value is meant as, in a union without a discriminator: the one that loses least of it.
 *
 * Every object with what a variant needs is of its type, an array with a `length` too; what else it has
 * would stay behind. So variants are tried by how many properties of the value they do not know.
 *
 * @module
 */

/** What an object variant, or a record, knows of a value; null for a variant of any other kind. */
export type KnownNames = { has(name: string): boolean } | null;

/** Indexes of `variants`, those that lose least first, in their own order otherwise. */
export function leastLost(value: unknown, variants: readonly KnownNames[]): readonly number[] {
  const names = namesIn(value);
  const lost = variants.map((known) => {
    if (known === null) return 0;
    return names === null ? 1 : names.filter((name) => !known.has(name)).length;
  });
  return variants.map((_, i) => i).sort((a, b) => lost[a]! - lost[b]! || a - b);
}

/** Names of what a plain object holds; null for any other value, which as an object would lose itself. */
function namesIn(value: unknown): readonly string[] | null {
  if (
    typeof value !== "object" || value === null || Array.isArray(value) ||
    ArrayBuffer.isView(value) ||
    KINDS.some((kind) => value instanceof kind)
  ) return null;
  return Object.keys(value).filter((name) =>
    (value as Readonly<Record<string, unknown>>)[name] !== undefined
  );
}

const KINDS = [Date, Map, Set, Blob] as const;
