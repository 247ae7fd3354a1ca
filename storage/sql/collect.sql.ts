/** One table's advisory lock, or row locks of closed versions by the index on `_deleted_txid`; READ COMMITTED, asserted. */
export const COLLECT =
  `select removed::float8 as removed, swept::float8 as swept, horizon, after, done, busy
  from kontract.collect($1, $2, $3, $4)`;

/** Place before all tables, for `$4`. */
export const FIRST_TABLE = '["", ""]';

/** Tables that one call looks into, one after the other: it holds a lock on the one it removes from. */
export const TABLES_PROBED = 100;
