/**
 * `unknown` as JSON: what JSON has passes as it is; the rest becomes an object with one key that starts
 * with `$`. A plain object that looks like one of these is wrapped in `$object`.
 *
 * @module
 */
import { atPath, Mismatch, must, numberFromJson, numberToJson, type Walk } from "./json_walk.ts";

const TAGS: ReadonlySet<string> = new Set([
  "$undefined",
  "$number",
  "$bigint",
  "$date",
  "$bytes",
  "$map",
  "$set",
  "$object",
]);

/** A plain value → JSON. */
export function jsonAny(walk: Walk, value: unknown): unknown {
  switch (typeof value) {
    case "undefined":
      return { $undefined: true };
    case "boolean":
      return value;
    case "string":
      must(value.isWellFormed(), "well-formed UTF-16");
      return value;
    case "number": {
      const json = numberToJson(value);
      return typeof json === "string" ? { $number: json } : json;
    }
    case "bigint":
      return { $bigint: value.toString() };
    case "object":
      return value === null ? null : nested(walk, () => objectToJson(walk, value));
    default:
      throw new Mismatch("plain data");
  }
}

function objectToJson(walk: Walk, value: object): unknown {
  const list = (items: readonly unknown[]): unknown[] =>
    Array.from(items, (item, i) => atPath(i, () => jsonAny(walk, item)));
  if (Array.isArray(value)) return list(value);
  if (value instanceof Date) {
    must(!Number.isNaN(value.getTime()), "a valid Date");
    return { $date: value.toISOString() };
  }
  if (value instanceof Uint8Array) return { $bytes: value.toBase64() };
  if (value instanceof Set) return { $set: list([...value]) };
  if (value instanceof Map) return { $map: list([...value]) };
  const prototype: unknown = Object.getPrototypeOf(value);
  must(prototype === Object.prototype || prototype === null, "plain data");
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => {
    must(key !== "__proto__" && key.isWellFormed(), "free of a key '__proto__' or a broken one");
    return [key, atPath(key, () => jsonAny(walk, item))];
  });
  return tagOf(value) === null ? Object.fromEntries(entries) : { $object: entries };
}

/** JSON → a plain value. */
export function unjsonAny(walk: Walk, json: unknown): unknown {
  if (typeof json === "string") must(json.isWellFormed(), "well-formed UTF-16");
  if (typeof json !== "object" || json === null) {
    must(json !== undefined && typeof json !== "function" && typeof json !== "symbol", "JSON");
    return json;
  }
  return nested(walk, () => jsonToObject(walk, json));
}

function jsonToObject(walk: Walk, json: object): unknown {
  const list = (items: unknown): unknown[] => {
    must(Array.isArray(items), "an array");
    return Array.from(items, (item, i) => atPath(i, () => unjsonAny(walk, item)));
  };
  if (Array.isArray(json)) return list(json);
  const tag = tagOf(json);
  if (tag !== null) return untag(tag, (json as Record<string, unknown>)[tag], list);
  return record(
    Object.entries(json).map(([key, item]) => [key, atPath(key, () => unjsonAny(walk, item))]),
  );
}

function untag(tag: string, inner: unknown, list: (items: unknown) => unknown[]): unknown {
  switch (tag) {
    case "$undefined":
      return undefined;
    case "$number":
      return numberFromJson(inner);
    case "$bigint":
      must(typeof inner === "string" && /^-?\d{1,100000}$/.test(inner), "a decimal string");
      return BigInt(inner);
    case "$date": {
      const date = new Date(typeof inner === "string" ? inner : NaN);
      must(!Number.isNaN(date.getTime()), "an ISO date string");
      return date;
    }
    case "$bytes":
      must(typeof inner === "string", "base64");
      try {
        return Uint8Array.fromBase64(inner);
      } catch {
        throw new Mismatch("base64");
      }
    case "$set": {
      const items = list(inner);
      const set = new Set(items);
      must(set.size === items.length, "an array without repetitions");
      return set;
    }
    case "$map": {
      const pairs = pairsOf(list(inner));
      const map = new Map(pairs);
      must(map.size === pairs.length, "an array of pairs without repeated keys");
      return map;
    }
    default:
      return record(pairsOf(list(inner)));
  }
}

function pairsOf(items: readonly unknown[]): [unknown, unknown][] {
  return items.map((pair) => {
    must(Array.isArray(pair) && pair.length === 2, "a pair");
    return [pair[0], pair[1]];
  });
}

function record(entries: readonly (readonly [unknown, unknown])[]): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [key, item] of entries) {
    must(typeof key === "string" && key !== "__proto__" && key.isWellFormed(), "a usable key");
    value[key] = item;
  }
  return value;
}

/** The reserved key of an object that has no other. */
function tagOf(value: object): string | null {
  const keys = Object.keys(value);
  return keys.length === 1 && TAGS.has(keys[0]!) ? keys[0]! : null;
}

function nested<T>(walk: Walk, work: () => T): T {
  if (++walk.depth > 256) throw new Mismatch("nested less deeply, and without cycles");
  try {
    return work();
  } finally {
    walk.depth--;
  }
}
