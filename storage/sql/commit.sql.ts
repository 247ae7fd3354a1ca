/** Advisory locks of tables and keys, then row locks of closed versions; READ COMMITTED, asserted. */
export const COMMIT = `select kontract.commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
  $11::text::jsonb) as r`;

/** As `commit`, for one row of the table with this key. */
export function putStatement(key: string): string {
  return `select kontract.put_${key}($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8, $9, $10, $11, $12, $13,
    $14::text::jsonb) as r`;
}

/** As `put`, for some rows of the table with this key. */
export function putManyStatement(key: string): string {
  return `select kontract.put_many_${key}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
    $15) as r`;
}
