/** Advisory locks of tables and keys, then row locks of closed versions; READ COMMITTED, asserted. */
export const COMMIT = `select replayed, answer, txid
  from kontract.commit($1, $2, $3, $4, $5, $6, $7, $8, $9::text::jsonb)`;
