/**
 * Tables that the storage tests share, and the calls on them.
 *
 * @module
 */
import type { FieldDef, IndexDef, TableDef } from "../../_internal/manifest.ts";
import type { Shape } from "../../_internal/shape.ts";
import type { CallOptions, CallOutcome, StorageEngine, StorageSession } from "../contract.ts";
import type { Database } from "../database.ts";
import type { Table } from "../types.ts";

/** Any row. */
export type AnyRow = Record<string, unknown>;
/** A handle whose rows are not typed. */
export type AnyTable = Table<AnyRow, { readonly key: string; readonly defaults: string }>;
/** `env.storage` of the tests. */
export type AnyStorage = Readonly<Record<string, AnyTable>>;

export const string: Shape = { kind: "string" };
export const number: Shape = { kind: "number", width: "float64" };

/** A field with nothing special. */
export function field(name: string, shape: Shape, extra: Partial<FieldDef> = {}): FieldDef {
  return { name, shape, optional: false, perm: 7, doc: "", ...extra };
}

/** An index over these fields. */
export function index(fields: readonly string[], unique = false): IndexDef {
  return { fields, unique, oracle: false };
}

/** A table with key `id`. */
export function table(
  name: string,
  fields: readonly FieldDef[],
  extra: Partial<TableDef> = {},
): TableDef {
  return {
    name,
    className: name,
    primkey: "id",
    perm: 7,
    rows: "all",
    fields: [field("id", string), ...fields],
    indexes: [],
    doc: "",
    source: { file: "src/schema.ts", line: 3, column: 1 },
    ...extra,
  };
}

/** Accounts of a bank: a plain table. */
export const ACCOUNTS: TableDef = table("accounts", [
  field("balance", number),
  field("city", string, { default: "Ulm" }),
  field("email", string, { optional: true }),
], { indexes: [index(["email"], true), index(["city"])] });

/** Notes, each seen by its owner only. */
export const NOTES: TableDef = table("notes", [field("text", string)], { rows: "owner" });

/** People with fields of different rights. */
export const PEOPLE: TableDef = table("people", [
  field("name", string),
  field("role", string, { default: "member", perm: 4 }),
  field("pin", string, { default: "0000", perm: 2 }),
  field("hash", string, { default: "none", perm: 0 }),
]);

/** Every shape a row can hold. */
export const THINGS: TableDef = table("things", [
  field("at", { kind: "date" }, { optional: true }),
  field("big", { kind: "bigint", width: "big" }, { optional: true }),
  field("raw", { kind: "bytes" }, { optional: true }),
  field("tags", { kind: "array", element: string }, { optional: true }),
  field("flag", { kind: "boolean" }, { optional: true }),
  field("size", { kind: "number", width: "int32" }, { optional: true }),
  field("note", { kind: "nullable", inner: string, null: true, undefined: false }, {
    optional: true,
  }),
  field("home", {
    kind: "object",
    fields: [
      { name: "city", id: 0, shape: string, optional: false },
      { name: "since", id: 1, shape: { kind: "date" }, optional: true },
    ],
  }, { optional: true }),
  field("scores", { kind: "map", key: string, value: number }, { optional: true }),
  field("any", { kind: "unknown" }, { optional: true }),
], { indexes: [index(["home.city"]), index(["big"]), index(["at"])] });

let lastRequest = 0n;

/** As those of a route: one object for its whole life. */
const NO_GRANTS = {};

/** Options of a call that may do everything its session may. */
export function call(session: StorageSession, extra: Partial<CallOptions> = {}): CallOptions {
  return {
    session,
    perm: 7,
    grants: NO_GRANTS,
    ugroup: null,
    readOnly: false,
    retry: 10,
    deadline: Date.now() + 20_000,
    effect: { lane: "test", reqno: ++lastRequest },
    ...extra,
  };
}

/** Runs a body and gives back what it returned beside the outcome. */
export async function run<T>(
  engine: StorageEngine,
  options: CallOptions,
  body: (storage: AnyStorage) => Promise<T>,
): Promise<{ readonly value: T; readonly outcome: CallOutcome }> {
  let value: T | undefined;
  const outcome = await engine.run(options, async (transaction) => {
    value = await body(transaction.storage as AnyStorage);
    return new TextEncoder().encode("done");
  });
  return { value: value as T, outcome };
}

/** A database that counts what passes. */
export class CountingDatabase implements Database {
  readonly #inner: Database;
  /** Names of the statements sent, in order. */
  readonly sent: string[] = [];

  /** Passes everything on to `inner`. */
  constructor(inner: Database) {
    this.#inner = inner;
  }

  execute(...args: Parameters<Database["execute"]>): ReturnType<Database["execute"]> {
    this.sent.push(args[0]);
    return this.#inner.execute(...args);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
