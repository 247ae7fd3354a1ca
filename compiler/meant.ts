/**
 * The name that was meant by one that does not exist.
 *
 * @module
 */

/** The one of `names` that looks like `name`; null where none or several do. */
export function meant(name: string, names: readonly string[]): string | null {
  const [own, ...more] = nearest(name, names);
  return own === undefined || more.length > 0 ? null : own;
}

/** Those of `names` that look like `name`, all of them as near. */
export function nearest(name: string, names: readonly string[]): readonly string[] {
  const wanted = name.toLowerCase();
  const ways: readonly ((other: string) => boolean)[] = [
    (other) => other === wanted,
    (other) => distance(other, wanted) <= 1,
    (other) => wanted.length > 2 && (other.includes(wanted) || wanted.includes(other)),
    (other) => wanted.length > 4 && distance(other, wanted) <= 2,
  ];
  for (const way of ways) {
    const found = names.filter((one) => way(one.toLowerCase()));
    if (found.length > 0) return found;
  }
  return [];
}

/** How many letters must be put in, left out, changed or swapped with the next to make `b` of `a`. */
function distance(a: string, b: string): number {
  let before: number[] = [], last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(last[j]! + 1, next[j - 1]! + 1, last[j - 1]! + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, before[j - 2]! + 1);
      }
      next.push(least);
    }
    [before, last] = [last, next];
  }
  return last[b.length]!;
}
