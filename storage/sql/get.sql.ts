/** No lock; the unique live index of the key, then the index of closed versions; one snapshot. */
export function getStatement(key: string): string {
  return `select kontract.get_${key}($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9) as r`;
}

/** As `get`, for a JSON array of keys in `$9`. */
export function getManyStatement(key: string): string {
  return `select kontract.get_many_${key}($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9) as many`;
}
