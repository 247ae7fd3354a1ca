/** As `get_many` without a snapshot, for several calls; no lock, one snapshot. */
export function getGroupStatement(key: string): string {
  return `select kontract.get_group_${key}($1, $2, $3, $4, $5, $6) as r`;
}

/** As `put_many` of rows that were read, for several calls: locks that are free, and waits for none. */
export function putGroupStatement(key: string): string {
  return `select kontract.put_group_${key}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) as r`;
}
