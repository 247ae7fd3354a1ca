/**
 * Content hashes: SHA-256, hex, cut to what is needed. Synchronous, so that pure stages may use it.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** The first `length` hex digits of the hash of texts, each delimited by its length. */
export function digest(texts: Iterable<string>, length: number): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text.length}:`).update(text);
  return hash.digest("hex").slice(0, length);
}
