/**
 * Random programs of storage operations, as data: they can be printed, cut down and run on anything.
 *
 * @module
 */
import type { Random } from "../../_internal/testing/random.ts";
import type { ModelFilter, ModelOrder } from "./memory_store.ts";

type Values = Readonly<Record<string, unknown>>;

/** How a query is run. */
export type QueryForm = "all" | "first" | "count" | "page" | "pages" | "iterate";

/** One operation. */
export type Op =
  | { readonly op: "get" | "has" | "delete"; readonly id: string }
  | { readonly op: "getMany"; readonly ids: readonly string[] }
  | { readonly op: "set" | "update" | "push"; readonly id: string; readonly values: Values }
  | { readonly op: "pop" | "shift" | "scan" }
  | {
    readonly op: "query";
    readonly form: QueryForm;
    readonly filter: ModelFilter;
    readonly order: ModelOrder;
    readonly limit: number | null;
  };

/** An operation on one of the tables. */
export type Step = Op & { readonly table: string };

/** One call. */
export interface ProgramCall {
  readonly steps: readonly Step[];
  /** False: the body throws at its end, and nothing of the call may remain. */
  readonly commits: boolean;
}

/** Calls, one after the other. */
export type Program = readonly ProgramCall[];

const KEYS = ["a", "b", "c", "d", "e", "f", "é", "'; --", "\u{1f600}"];
const TEXTS = [
  "",
  "a",
  "ab",
  "abc",
  "%",
  "a%",
  "_",
  "B",
  "é",
  "\u{ffff}",
  "\u{1f600}",
  "\\",
  "'",
  "null",
];
const NUMBERS = [
  0,
  1,
  2,
  -1,
  1.5,
  0.1 + 0.2,
  1e21,
  -1e-7,
  9007199254740991,
  -5e-324,
  1.7976931348623157e308,
];
const BIGS = [0n, 1n, -1n, 10n, 9n, 123456789012345678901234567890n, -(2n ** 70n)];
const DATES = [0, 1, -1, 951782400000, 1e12, 1700000000123].map((ms) => new Date(ms));
const DIRECTIONS = ["asc", "desc"] as const;

const FIELDS: Readonly<Record<string, (random: Random) => unknown>> = {
  n: (random) => random.pick(NUMBERS),
  s: (random) => random.pick(TEXTS),
  tags: (random) => random.list(3, () => random.pick(TEXTS)),
  flag: (random) => random.oneIn(2),
  home: (random) => ({
    city: random.pick(TEXTS),
    ...(random.oneIn(2) ? { zip: random.pick(NUMBERS) } : {}),
  }),
  big: (random) => random.pick(BIGS),
  at: (random) => random.pick(DATES),
};
const SORTABLE = ["n", "s", "big", "at", "flag", "id"];

/** A program of up to `calls` calls on `tables`. */
export function randomProgram(random: Random, tables: readonly string[], calls: number): Program {
  return Array.from({ length: 1 + random.below(calls) }, () => ({
    steps: random.list(8, () => ({ table: random.pick(tables), ...randomOp(random) })),
    commits: !random.oneIn(6),
  }));
}

function randomOp(random: Random): Op {
  const kind = random.below(20);
  const id = random.pick(KEYS);
  if (kind < 5) return { op: "set", id, values: randomValues(random, 2) };
  if (kind < 7) {
    const gone = random.oneIn(3) ? { [random.pick(Object.keys(FIELDS))]: undefined } : {};
    return { op: "update", id, values: { ...randomValues(random, 4), ...gone } };
  }
  if (kind < 8) return { op: "push", id, values: randomValues(random, 2) };
  if (kind < 10) return { op: random.pick(["get", "has"]), id };
  if (kind < 11) return { op: "getMany", ids: random.list(4, () => random.pick(KEYS)) };
  if (kind < 12) return { op: "delete", id };
  if (kind < 13) return { op: random.pick(["pop", "shift", "scan"]) };
  return {
    op: "query",
    form: random.pick(["all", "first", "count", "page", "pages", "iterate"]),
    filter: random.oneIn(3) ? {} : randomFilter(random),
    order: random.list(2, () => [random.pick(SORTABLE), random.pick(DIRECTIONS)] as const),
    limit: random.oneIn(2) ? null : 1 + random.below(4),
  };
}

function randomValues(random: Random, sparse: number): Values {
  return Object.fromEntries(
    Object.entries(FIELDS).filter(() => random.oneIn(sparse)).map((
      [name, make],
    ) => [name, make(random)]),
  );
}

function randomFilter(random: Random): ModelFilter {
  const filter: Record<string, unknown> = {};
  for (let i = random.below(2); i >= 0; i--) {
    const field = random.pick([...SORTABLE, "tags", "home"]);
    const value = (): unknown => field === "id" ? random.pick(KEYS) : FIELDS[field]!(random);
    if (field === "tags") {
      filter.tags = random.pick([
        { contains: random.pick(TEXTS) },
        { eq: value() },
        { ne: value() },
        null,
      ]);
    } else if (field === "home") {
      filter.home = random.pick([
        { city: random.pick(TEXTS) },
        { zip: random.pick([null, { ne: null }, { gt: random.pick(NUMBERS) }]) },
      ]);
    } else filter[field] = randomCondition(random, field, value);
  }
  return filter;
}

function randomCondition(random: Random, field: string, value: () => unknown): unknown {
  const choices: unknown[] = [value(), { eq: value() }, { ne: value() }, {
    in: random.list(3, value),
  }];
  if (field !== "flag") {
    choices.push({ gt: value() }, { gte: value(), lt: value() }, { lte: value() });
  }
  if (field === "s") choices.push({ prefix: random.pick(TEXTS) }, { contains: random.pick(TEXTS) });
  if (field !== "s" && field !== "id") choices.push(null, { ne: null });
  return random.pick(choices);
}

/** All programs that are one step smaller: without a call, or without a step. */
export function* smaller(program: Program): Generator<Program, void, undefined> {
  for (let i = 0; i < program.length; i++) yield program.toSpliced(i, 1);
  for (const [i, call] of program.entries()) {
    for (let j = 0; j < call.steps.length; j++) {
      yield program.with(i, { ...call, steps: call.steps.toSpliced(j, 1) });
    }
  }
}

/** A program as text that reads like code. */
export function programText(program: Program): string {
  return program.map(({ steps, commits }) =>
    [
      ...steps.map((step) => `  ${Deno.inspect(step, { breakLength: 120, depth: 9 })}`),
      commits ? "commit" : "abort",
    ]
      .join("\n")
  ).join("\n");
}
