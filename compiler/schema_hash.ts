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

  /** `types` are those that routes refer to. */
  constructor(types: ShapeTable) {
    this.#types = types;
  }

  /** The hash of a route. */
  of({ parameters, result }: Pick<RouteDef, "parameters" | "result">): string {
    const own = canonical({
      parameters: parameters.map(({ shape, optional, rest }) => ({ shape, optional, rest })),
      result,
    });
    const used = new Map<string, Canonical>();
    const pending = [...own.refs];
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const shape = this.#types[name];
      if (shape === undefined || used.has(name)) continue;
      const found = this.#ofType(name, shape);
      used.set(name, found);
      pending.push(...found.refs);
    }
    const named = [...used].sort(([a], [b]) => compareText(a, b))
      .map(([name, { text }]) => `[${JSON.stringify(name)},${text}]`);
    return digest([own.text, `[${named.join(",")}]`], 16);
  }

  #ofType(name: string, shape: Shape): Canonical {
    let known = this.#named.get(name);
    if (known === undefined) this.#named.set(name, known = canonical(shape));
    return known;
  }
}

function canonical(value: unknown): Canonical {
  const refs = new Set<string>();
  const plain = (one: unknown): unknown => {
    if (Array.isArray(one)) return one.map(plain);
    if (typeof one !== "object" || one === null) return one;
    const record = one as Record<string, unknown>;
    if (record.kind === "ref" && typeof record.name === "string") refs.add(record.name);
    return Object.fromEntries(
      Object.keys(record).filter((key) => key !== "doc").sort(compareText)
        .map((key) => [key, plain(record[key])]),
    );
  };
  return { text: JSON.stringify(plain(value)), refs };
}
