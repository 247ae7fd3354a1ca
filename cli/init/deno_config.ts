/**
 * What an app's `deno.json` must have, and how it gets into one that is there already: missing members
 * are added, nothing that stands there is changed.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { parseJsonc } from "../jsonc.ts";
import { VERSION } from "../version.ts";
import { addElement, addMember, type Json } from "./jsonc_edit.ts";

const PACKAGE = "@kontract/kontract";
const KONTRACT = `deno run -A ${PACKAGE}/cli`;

/** The whole configuration of a new app. */
const WANTED = {
  tasks: {
    dev: `${KONTRACT} dev`,
    start: `${KONTRACT} start`,
    build: `${KONTRACT} build`,
    check: `deno fmt --check && deno lint && ${KONTRACT} check`,
    test: `${KONTRACT} build && deno test -A`,
    migrate: `${KONTRACT} migrate up`,
    deploy: `${KONTRACT} deploy`,
    kontract: KONTRACT,
  },
  imports: {
    [PACKAGE]: `jsr:${PACKAGE}@^${VERSION}`,
    "@/client": "./dist/client/client.js",
  },
  compilerOptions: {
    lib: ["deno.window", "dom", "dom.iterable", "dom.asynciterable", "esnext"],
    types: ["./.kontract/types.d.ts"],
  },
  exclude: ["dist", ".kontract"],
} as const;

/** A `deno.json` after members were added. */
export interface CompletedConfig {
  readonly text: string;
  /** Members that were added, as `tasks.dev`. */
  readonly added: readonly string[];
  /** Members that say something else than a new app's, and stay. */
  readonly kept: readonly string[];
}

/** Text of a new app's `deno.json`; `link` as in {@link completeConfig}. */
export function newConfig(link: string | null): string {
  return completeConfig(`{\n  "nodeModulesDir": "none"\n}\n`, "deno.json", link).text;
}

/** True where the configuration names Kontract among its imports. */
export function importsKontract(text: string, file: string): boolean {
  const { imports } = parseJsonc(text, file);
  return isObject(imports) && typeof imports[PACKAGE] === "string";
}

/**
 * Adds what is missing. `link` is the way to a checkout that stands in for the published package, if any.
 *
 * @throws {KontractError} `CONFIG` where it is no JSON or a member has another type than Deno wants.
 */
export function completeConfig(text: string, file: string, link: string | null): CompletedConfig {
  let current = text;
  const added: string[] = [];
  const kept: string[] = [];
  const all = link === null ? WANTED : { ...WANTED, links: [link] };
  for (const [section, wanted] of Object.entries(all)) {
    const found = parseJsonc(current, file)[section];
    if (found === undefined) {
      current = addMember(current, [], section, wanted);
      added.push(section);
    } else if (Array.isArray(wanted)) {
      current = completeArray(current, [section], found, wanted, file, added);
    } else {
      requireObject(found, section, file);
      for (const [key, value] of Object.entries(wanted) as [string, Json][]) {
        const name = `${section}.${key}`;
        const there = found[key];
        if (there === undefined) {
          current = addMember(current, [section], key, value);
          added.push(name);
        } else if (key === "types") {
          const list = value as readonly Json[];
          current = completeArray(current, [section, key], there, list, file, added);
        } else if (key !== PACKAGE && JSON.stringify(there) !== JSON.stringify(value)) {
          kept.push(name);
        }
      }
    }
  }
  return { text: current, added, kept };
}

function completeArray(
  text: string,
  path: readonly string[],
  found: unknown,
  wanted: readonly Json[],
  file: string,
  added: string[],
): string {
  if (!Array.isArray(found)) {
    throw new KontractError("CONFIG", `'${path.join(".")}' in ${file} must be an array.`);
  }
  const missing = wanted.filter((one) => !found.includes(one));
  if (missing.length > 0) added.push(path.join("."));
  return missing.reduce<string>((current, one) => addElement(current, path, one), text);
}

function requireObject(
  value: unknown,
  name: string,
  file: string,
): asserts value is Record<string, unknown> {
  if (!isObject(value)) {
    throw new KontractError("CONFIG", `'${name}' in ${file} must be an object.`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
