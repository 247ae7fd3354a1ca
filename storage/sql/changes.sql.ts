/** No lock; the indexes on `_txid` and `_deleted_txid`; one snapshot. */
export const CHANGES = `select changes, place as position, reset, more
  from kontract.changes($1, $2, $3::text::jsonb, $4, $5)`;
