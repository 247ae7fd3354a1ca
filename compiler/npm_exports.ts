/**
 * Entry points of npm packages: `package.json` → file, by conditions.
 *
 * Node's algorithm for packages (`exports` with conditions and one `*`, then the older fields), pure
 * except for the file probe that is passed in. No `node_modules` walk: which folder a package lies in
 * comes from `deno info`.
 *
 * @module
 */
import { join } from "node:path";

/** What is read of a `package.json`. */
export interface PackageJson {
  readonly name?: string;
  readonly exports?: unknown;
  readonly imports?: unknown;
  readonly main?: unknown;
  readonly module?: unknown;
  readonly browser?: unknown;
  readonly types?: unknown;
  readonly typings?: unknown;
}

/** How to choose among a package's files. */
export interface EntryOptions {
  /** Conditions in force; `default` always is. */
  readonly conditions: readonly string[];
  /** Fields tried in order where there is no `exports`. */
  readonly mainFields: readonly ("browser" | "module" | "main" | "types" | "typings")[];
  /** Endings tried for a path that names no file. */
  readonly extensions: readonly string[];
  /** True for an existing file. */
  readonly isFile: (path: string) => boolean;
}

/** The file for `subpath` ("." or "./x") of the package in `folder`, or null. */
export function packageEntry(
  folder: string,
  json: PackageJson,
  subpath: string,
  options: EntryOptions,
): string | null {
  if (json.exports !== undefined && json.exports !== null) {
    const target = exportTarget(json.exports, subpath, options.conditions);
    if (target === null) return null;
    return probe(join(folder, target), options);
  }
  if (subpath !== ".") return probe(join(folder, subpath), options);
  for (const field of options.mainFields) {
    const value = json[field];
    if (typeof value === "string") {
      const found = probe(join(folder, value), options);
      if (found !== null) return found;
    }
  }
  return probe(join(folder, "index"), options);
}

/** The target of an `imports` entry (`#x`) of a package, or null. */
export function packageImport(
  json: PackageJson,
  specifier: string,
  conditions: readonly string[],
): string | null {
  if (typeof json.imports !== "object" || json.imports === null) return null;
  return matchKeys(json.imports as Record<string, unknown>, specifier, conditions);
}

/** `path` itself, with an ending, or the index of that folder. */
export function probe(path: string, options: EntryOptions): string | null {
  if (options.isFile(path)) return path;
  for (const ending of options.extensions) {
    if (options.isFile(path + ending)) return path + ending;
  }
  for (const ending of options.extensions) {
    const index = join(path, `index${ending}`);
    if (options.isFile(index)) return index;
  }
  return null;
}

function exportTarget(
  exports: unknown,
  subpath: string,
  conditions: readonly string[],
): string | null {
  const isTable = typeof exports === "object" && exports !== null && !Array.isArray(exports) &&
    Object.keys(exports).some((key) => key.startsWith("."));
  if (!isTable) return subpath === "." ? pick(exports, "", conditions) : null;
  return matchKeys(exports as Record<string, unknown>, subpath, conditions);
}

function matchKeys(
  table: Record<string, unknown>,
  wanted: string,
  conditions: readonly string[],
): string | null {
  if (Object.hasOwn(table, wanted) && !wanted.includes("*")) {
    return pick(table[wanted], "", conditions);
  }
  let best: { key: string; at: number; star: string } | null = null;
  for (const key of Object.keys(table)) {
    const at = key.indexOf("*");
    if (at < 0) continue;
    const head = key.slice(0, at), tail = key.slice(at + 1);
    if (!wanted.startsWith(head) || !wanted.endsWith(tail)) continue;
    if (wanted.length < key.length) continue;
    const longer = best === null || at > best.at ||
      (at === best.at && key.length > best.key.length);
    if (longer) best = { key, at, star: wanted.slice(at, wanted.length - tail.length) };
  }
  return best === null ? null : pick(table[best.key], best.star, conditions);
}

function pick(target: unknown, star: string, conditions: readonly string[]): string | null {
  if (typeof target === "string") return target.replaceAll("*", star);
  if (Array.isArray(target)) {
    for (const one of target) {
      const found = pick(one, star, conditions);
      if (found !== null) return found;
    }
    return null;
  }
  if (typeof target !== "object" || target === null) return null;
  for (const [condition, value] of Object.entries(target)) {
    if (condition !== "default" && !conditions.includes(condition)) continue;
    const found = pick(value, star, conditions);
    if (found !== null) return found;
  }
  return null;
}
