/**
 * Content hashes: SHA-256, hex, cut to what is needed. Synchronous, so that pure stages may use it.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** The first `length` hex digits of the hash of texts, each delimited by its length. */
export function digest(texts: Iterable<string>, length: number): string {
  const parts: string[] = [];
  for (const text of texts) parts.push(`${text.length}:`, text);
  return createHash("sha256").update(parts.join("")).digest("hex").slice(0, length);
}
