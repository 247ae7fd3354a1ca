/**
 * What Cloudflare must know of every built app, said once: the dev server and the generated
 * `wrangler.jsonc` both read it here.
 *
 * @module
 */

/** Binding → exported class; all of them SQLite-backed. */
export const DURABLE_OBJECTS = {
  SESSION: "SessionDO",
  KVC: "KvcDO",
  CHANGE_HUB: "ChangeHubDO",
  DB_POOL: "DbPoolDO",
} as const;

/** Behaviour of the runtime is that of this day. */
export const COMPATIBILITY_DATE = "2026-07-01";

/** Node's modules, which the database driver needs. */
export const COMPATIBILITY_FLAGS: readonly string[] = ["nodejs_compat", "enable_request_signal"];
