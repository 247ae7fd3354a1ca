/**
 * Names derived from a logical table name: opaque in the database, the same in gateway and migration.
 *
 * @module
 */
import { sha256 } from "@noble/hashes/sha2.js";

const cache = new Map<string, string>();

/** The 16 hex digits under which a table's functions are known. */
export function tableKey(name: string): string {
  let key = cache.get(name);
  if (key === undefined) {
    key = sha256(new TextEncoder().encode(`kontract table ${name}`)).toHex().slice(0, 16);
    cache.set(name, key);
  }
  return key;
}
