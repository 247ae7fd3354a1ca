/**
 * The clauses every SECURITY DEFINER function carries. Schema `kontract` has `storage`, `trxs` and the functions
 * that the gateway may call; it has no USAGE on `kontract_private`: data, keys, effects, helpers.
 *
 * Each SET closes something that an attack with the runtime role's connection string had opened:
 * the search path (shadowing), the debug and notice settings (they print parameters and plans to the
 * attacker), `lock_timeout` (a squatted lock may delay, never hang), `row_security` (cannot be used
 * to make a function fail). `jit` is off because compiling costs more than any of these statements;
 * plans are generic because replanning does as well. Each clause costs half a microsecond a call, and more
 * where the caches are cold, so functions that are called often have no more than they need; what they do
 * without is held by `security_test.ts`.
 *
 * @module
 */

/** Schema of what a query of `env.storage.exec` can reach: the views of `exec/role.sql.ts`. */
export const EXEC_SCHEMA = "kontract_exec";

/** Role that owns everything; NOLOGIN. */
export const OWNER_ROLE = "kontract_owner";

/** Role that the queries of `env.storage.exec` run as; NOLOGIN. It may read those views and nothing else. */
export const EXEC_ROLE = "kontract_exec";

/** Where names are looked up: temporary objects last, so that none shadows ours. */
const SEARCH_PATH = `
  set search_path = pg_catalog, kontract, kontract_private, pg_temp`;

/** Clauses for helpers on the hot path: only definer functions, whose settings hold inside, call them. */
export const HELPER = SEARCH_PATH;

/**
 * Clauses for definer functions that are called often: planner settings are the gateway role's own. Not for functions
 * that know a secret (keys, the salt of locks): a plan of theirs could be written to the server's log. What these
 * plan has the text that the catalog shows to everybody, and their parameters, which the plan of the statement that
 * calls them has as well, outside all settings; none is INTO STRICT; and they run as the tables' owner, whom no row
 * policy concerns.
 */
const SETTINGS_HOT = `${SEARCH_PATH}
  set client_min_messages = warning
  set lock_timeout = '2s'`;

/** Clauses for functions that plan text of their own, or know a secret. */
export const SETTINGS = `${SETTINGS_HOT}
  set debug_print_plan = off
  set debug_print_parse = off
  set debug_print_rewritten = off
  set plpgsql.print_strict_params = off
  set row_security = on
  set jit = off
  set plan_cache_mode = force_generic_plan`;

/** Clauses for functions the gateway may call. */
export const DEFINER = `security definer${SETTINGS}`;

/**
 * The same where each microsecond counts. Their statements are static and find rows by index however
 * small a table is, so that no plan made early goes bad as it grows.
 */
export const DEFINER_HOT = `security definer${SETTINGS_HOT}
  set enable_seqscan = off`;

/**
 * For many keys at once. Of a table that nobody has analyzed yet the planner takes a list of keys for long, and
 * rather merges what other indexes say of all live rows, or of all rows of an owner.
 */
const MANY = `
  set enable_bitmapscan = off`;

export const DEFINER_HOT_MANY = `${DEFINER_HOT}${MANY}`;

/** For functions that plan text of their own, or know a secret, over many keys. */
export const DEFINER_MANY = `${DEFINER}
  set enable_seqscan = off${MANY}`;

/** What a database's owner may have set otherwise for it, and what text, lists and transactions here rely on. */
const RELIED_ON: readonly string[] = [
  "standard_conforming_strings = on",
  "array_nulls = on",
  "default_transaction_isolation = 'read committed'",
];

/**
 * Settings of the gateway's sessions. The planner's are about speed only; the timeout ends a query of the app
 * that would never end by itself (a setting inside a function cannot: the clock starts with the statement).
 */
export const ROLE_SETTINGS: readonly string[] = [
  ...RELIED_ON,
  "jit = off",
  "plan_cache_mode = force_generic_plan",
  "statement_timeout = '60s'",
];

/** Settings of a migration's session: names of types are compared; index builds and copies take as long as they take. */
export const ADMIN_SETTINGS: readonly string[] = [
  ...RELIED_ON,
  "quote_all_identifiers = off",
  "statement_timeout = 0",
  "idle_in_transaction_session_timeout = 0",
];

/**
 * For both, from version 17 on. It ends the connection, and then whoever sent a commit cannot know what became of it;
 * each statement of the gateway is a transaction of its own, and has `statement_timeout`.
 */
export const NO_TRANSACTION_TIMEOUT = "transaction_timeout = 0";

/** Bounds what the sorts and joins of one session may write to the disk; only a superuser may set it. */
export const DISK_SETTING = "temp_file_limit = '1GB'";

/** A text constant; only for names and JSON that come from a checked manifest. */
export function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes("\\") ? ` E${quoted.replaceAll("\\", "\\\\")}` : quoted;
}

/** A quoted identifier. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
