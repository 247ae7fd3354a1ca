/**
 * Which of PostgreSQL's functions and types a query may use: whatever is immutable, and of the rest what
 * formats, converts and adds up. Nothing that reads a setting, a catalog, a file or another database,
 * nothing that waits, locks or writes.
 *
 * @module
 */

/** Functions of `pg_catalog` that are STABLE and harmless, by name. */
const STABLE_FUNCTIONS: ReadonlySet<string> = new Set(
  ("now transaction_timestamp date_trunc date_part extract to_char to_date to_timestamp age timezone " +
    "timestamptz timestamp date time generate_series concat concat_ws array_to_string array_to_json " +
    "json_agg jsonb_agg json_object_agg jsonb_object_agg json_agg_strict jsonb_agg_strict to_json to_jsonb " +
    "row_to_json json_build_array json_build_object jsonb_build_array jsonb_build_object textanycat anytextcat " +
    "json_agg_finalfn jsonb_agg_finalfn date_add date_subtract timestamptz_pl_interval timestamptz_mi_interval " +
    "interval_pl_timestamptz").split(" "),
);

/** Comparisons between dates, timestamps and timestamps with zone, as `timestamptz_lt_date`. */
const CROSS_COMPARISON =
  /^(?:date|timestamp|timestamptz)_(?:lt|le|eq|ge|gt|ne|cmp)_(?:date|timestamp|timestamptz)$/;

/** Functions that make something long of a number, and which argument says how long. */
const SIZED: ReadonlyMap<string, number> = new Map([["repeat", 1], ["lpad", 1], ["rpad", 1]]);

/** The longest that one of these may make. */
export const MOST_SIZE = 10_000;

/** Does a call, its arguments given where they are constants, make something of a length that nobody bounds? */
export function isUnbounded(name: string, constants: readonly (number | null)[]): boolean {
  const at = SIZED.get(name);
  return at !== undefined && (constants[at] ?? Infinity) > MOST_SIZE;
}

/** Is this function of `pg_catalog` one that a query may call? */
export function mayCall(name: string, volatility: string): boolean {
  return volatility === "i" && name !== "array_fill" ||
    (volatility === "s" && (STABLE_FUNCTIONS.has(name) || CROSS_COMPARISON.test(name)));
}

const TYPES: ReadonlySet<string> = new Set(
  ("bool int2 int4 int8 float4 float8 numeric text varchar bpchar unknown bytea date timestamp timestamptz time " +
    "interval json jsonb uuid record jsonpath").split(" "),
);

/** Is this type of `pg_catalog`, or an array of it, one that a query may have values of? */
export function mayHold(name: string): boolean {
  return TYPES.has(name.replace(/^_/, ""));
}
