/**
 * Hashes of what routes put on the wire: equal hashes, the same bytes mean the same. Docs and places in the
 * sources do not count.
 *
 * @module
 */
import type { RouteDef } from "../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../_internal/shape.ts";
import { compareText } from "./diagnostic.ts";
import { digest } from "./digest.ts";

/** What a shape says as JSON, keys ordered, and the names it refers to itself. */
interface Canonical {
  readonly text: string;
  readonly refs: ReadonlySet<string>;
}

/** Hashes over one table of types. */
export class SchemaHashes {
  readonly #types: ShapeTable;
  readonly #named: Map<string, Canonical> = new Map();
  /** By what routes take and give: many do the same. */
  readonly #hashes: Map<string, string> = new Map();
  /** What types say that are used together, by their names: routes of one module use the same. */
  readonly #closures: Map<string, string> = new Map();

  /** `types` are those that routes refer to. */
  constructor(types: ShapeTable) {
    this.#types = types;
  }

  /** The hash of a route. */
  of({ parameters, result }: Pick<RouteDef, "parameters" | "result">): string {
    const wire = {
      parameters: parameters.map(({ shape, optional, rest }) => ({ shape, optional, rest })),
      result,
    };
    const key = JSON.stringify(wire);
    let hash = this.#hashes.get(key);
    if (hash === undefined) {
      const own = canonical(wire);
      this.#hashes.set(key, hash = digest([own.text, this.#closure(own.refs)], 16));
    }
    return hash;
  }

  /** All types that `refs` lead to. */
  #closure(refs: ReadonlySet<string>): string {
    const key = [...refs].sort(compareText).join(" ");
    const known = this.#closures.get(key);
    if (known !== undefined) return known;
    const used = new Map<string, Canonical>();
    const pending = [...refs];
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const shape = this.#types[name];
      if (shape === undefined || used.has(name)) continue;
      const found = this.#ofType(name, shape);
      used.set(name, found);
      pending.push(...found.refs);
    }
    const named = [...used].sort(([a], [b]) => compareText(a, b))
      .map(([name, { text }]) => `[${JSON.stringify(name)},${text}]`);
    const text = `[${named.join(",")}]`;
    this.#closures.set(key, text);
    return text;
  }

  #ofType(name: string, shape: Shape): Canonical {
    let known = this.#named.get(name);
    if (known === undefined) this.#named.set(name, known = canonical(shape));
    return known;
  }
}

function canonical(value: unknown): Canonical {
  const refs = new Set<string>();
  const textOf = (one: unknown): string => {
    if (typeof one !== "object" || one === null) return JSON.stringify(one);
    if (Array.isArray(one)) return `[${one.map(textOf).join(",")}]`;
    const record = one as Record<string, unknown>;
    if (record.kind === "ref" && typeof record.name === "string") refs.add(record.name);
    const keys = Object.keys(record).filter((key) => key !== "doc" && record[key] !== undefined);
    return `{${keys.sort(compareText).map((key) => `"${key}":${textOf(record[key])}`).join(",")}}`;
  };
  return { text: textOf(value), refs };
}
