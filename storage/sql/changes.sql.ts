/** No lock; the indexes on `_txid` and `_deleted_txid`; one snapshot. */
export const CHANGES = `select changes, place as position, reset, more
  from kontract.changes($1, $2, $3::text::jsonb, $4, $5)`;

/** The same for several sessions and positions. */
export const CHANGES_GROUP = `select kontract.changes_group($1, $2, $3::text::jsonb, $4, $5) as r`;
