/**
 * Which variant a value is meant as, in a union without a discriminator: the one that loses least of it.
 *
 * Every object with what a variant needs is of its type, an array with a `length` too; what else it has
 * would stay behind. So variants are tried by how many properties of the value they do not know, those of
 * what it holds included.
 *
 * @module
 */
/**
 * What an object variant, or a record, knows of a value, and what it knows of what a property holds; null
 * for a variant of any other kind.
 */
export type KnownNames = {
  has(name: string): boolean;
  get?(name: string): KnownNames | undefined;
} | null;

/** Values are looked into as deep as this, so that one that holds itself has an end. */
const MAX_DEPTH = 16;

/** Indexes of `variants`, those that lose least first, in their own order otherwise. */
export function leastLost(value: unknown, variants: readonly KnownNames[]): readonly number[] {
  const isObject = namesIn(value) !== null;
  const lost = variants.map((known) => {
    if (known === null) return 0;
    return isObject ? lostIn(value, known, 0) : 1;
  });
  return variants.map((_, i) => i).sort((a, b) => lost[a]! - lost[b]! || a - b);
}

/** How many properties of an object, or of those in a list, stay behind. */
function lostIn(value: unknown, known: Exclude<KnownNames, null>, depth: number): number {
  let lost = 0;
  if (depth > MAX_DEPTH) return lost;
  if (Array.isArray(value) || value instanceof Set) {
    for (const item of value) lost += lostIn(item, known, depth + 1);
    return lost;
  }
  for (const name of namesIn(value) ?? []) {
    const inside = known.get?.(name);
    if (!known.has(name)) lost++;
    else if (inside) {
      lost += lostIn((value as Readonly<Record<string, unknown>>)[name], inside, depth + 1);
    }
  }
  return lost;
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
