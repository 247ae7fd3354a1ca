/**
 * What storage promises, in the plainest way: arrays and whole copies, nothing clever. It knows nothing
 * of SQL, JSON or versions, and evaluates filters by its own few lines.
 *
 * Order of rows: a row keeps its place for as long as it exists; a call that deletes and stores the same
 * row replaces it. New rows stand behind all others, in the order in which their call first wrote them.
 *
 * @module
 */

/** A row. */
export type ModelRow = Readonly<Record<string, unknown>> & { readonly id: string };
/** `{ field: value | { operator: operand } | nested filter }`, as `query` takes it. */
export type ModelFilter = Readonly<Record<string, unknown>>;
/** Fields to sort by. */
export type ModelOrder = readonly (readonly [field: string, direction: "asc" | "desc"])[];

/** A refusal with the code that storage gives. */
export class Refused extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** One table: committed rows in order, and what a call makes of them. */
export class MemoryTable {
  readonly #defaults: Readonly<Record<string, unknown>>;
  #committed: readonly ModelRow[] = [];
  #rows: (ModelRow | { readonly id: string; readonly gone: true })[] = [];

  /** An empty table whose rows get these values where a field is missing. */
  constructor(defaults: Readonly<Record<string, unknown>>) {
    this.#defaults = defaults;
  }

  /** A call begins: it works on a copy. Deleted rows stay as marks, so that they keep their place. */
  begin(): void {
    this.#rows = [...this.#committed];
  }

  /** The call's state becomes everybody's. */
  commit(): void {
    this.#committed = this.#live();
  }

  #live(): readonly ModelRow[] {
    return this.#rows.filter((row): row is ModelRow => !("gone" in row));
  }

  #put(id: string, row: ModelRow | { readonly id: string; readonly gone: true }): void {
    const at = this.#rows.findIndex((other) => other.id === id);
    if (at < 0) this.#rows.push(row);
    else this.#rows[at] = row;
  }

  get(id: string): ModelRow | null {
    return this.#live().find((row) => row.id === id) ?? null;
  }

  set(id: string, row: Readonly<Record<string, unknown>>): ModelRow {
    const made = { ...this.#defaults, ...present(row), id };
    this.#put(id, made);
    return made;
  }

  update(id: string, patch: Readonly<Record<string, unknown>>): ModelRow {
    const old = this.get(id);
    if (old === null) throw new Refused("NOT_FOUND");
    const made: Record<string, unknown> = { ...old };
    for (const [name, value] of Object.entries(patch)) {
      if (value !== undefined) made[name] = value;
      else if (name in this.#defaults) made[name] = this.#defaults[name];
      else delete made[name];
    }
    this.#put(id, made as ModelRow);
    return made as ModelRow;
  }

  delete(id: string): void {
    this.#put(id, { id, gone: true });
  }

  pop(): ModelRow | null {
    const row = this.#live().at(-1) ?? null;
    if (row !== null) this.delete(row.id);
    return row;
  }

  shift(): ModelRow | null {
    const row = this.#live()[0] ?? null;
    if (row !== null) this.delete(row.id);
    return row;
  }

  query(filter: ModelFilter, order: ModelOrder): readonly ModelRow[] {
    return this.#live().filter((row) => matches(row, filter)).sort((a, b) => {
      for (const [field, direction] of order) {
        const result = compareMissing(a[field], b[field]);
        if (result !== 0) return direction === "desc" ? -result : result;
      }
      return 0;
    });
  }
}

function present(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined));
}

function isOperators(condition: unknown): condition is Readonly<Record<string, unknown>> {
  return typeof condition === "object" && condition !== null && !(condition instanceof Date) &&
    !Array.isArray(condition);
}

const OPERATORS = new Set(["eq", "ne", "gt", "gte", "lt", "lte", "in", "prefix", "contains"]);

function matches(row: Readonly<Record<string, unknown>>, filter: ModelFilter): boolean {
  return Object.entries(filter).every(([field, condition]) => {
    const value = row[field] ?? null;
    if (!isOperators(condition)) return same(value, condition);
    return Object.entries(condition).every(([name, operand]) =>
      OPERATORS.has(name)
        ? holds(name, value, operand)
        : matches((value ?? {}) as Readonly<Record<string, unknown>>, { [name]: operand })
    );
  });
}

function holds(operator: string, value: unknown, operand: unknown): boolean {
  if (operator === "eq") return same(value, operand);
  if (operator === "ne") return !same(value, operand);
  if (value === null) return false;
  switch (operator) {
    case "gt":
      return compare(value, operand) > 0;
    case "gte":
      return compare(value, operand) >= 0;
    case "lt":
      return compare(value, operand) < 0;
    case "lte":
      return compare(value, operand) <= 0;
    case "in":
      return (operand as readonly unknown[]).some((item) => same(value, item));
    case "prefix":
      return (value as string).startsWith(operand as string);
    default:
      return (value as string | readonly unknown[]).includes(operand as never);
  }
}

function same(a: unknown, b: unknown): boolean {
  if (a === null || b === null) return a === b;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((x, i) => same(x, b[i]));
  }
  return compare(a, b) === 0;
}

/** Missing values come last. */
function compareMissing(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  return compare(a, b);
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === "string") {
    const [left, right] = [[...a], [...b as string]].map((text) =>
      text.map((c) => c.codePointAt(0)!)
    );
    for (let i = 0; i < Math.min(left!.length, right!.length); i++) {
      if (left![i] !== right![i]) return left![i]! - right![i]!;
    }
    return left!.length - right!.length;
  }
  const [left, right] = [a, b].map((value) => value instanceof Date ? value.getTime() : value) as [
    number,
    number,
  ];
  return left < right ? -1 : left > right ? 1 : 0;
}
