/**
 * Pieces of a list that are held, or sent, one after the other.
 *
 * @module
 */

/** Pieces of a list with at most so many items and bytes, or a single item. */
export function* pages<T>(
  list: readonly T[],
  bytesOf: (item: T) => number,
  most: { readonly rows: number; readonly bytes: number },
): Generator<readonly T[]> {
  let page: T[] = [];
  let bytes = 0;
  for (const item of list) {
    bytes += bytesOf(item);
    if (page.length === most.rows || (bytes > most.bytes && page.length > 0)) {
      yield page;
      page = [];
      bytes = bytesOf(item);
    }
    page.push(item);
  }
  if (page.length > 0) yield page;
}
