/** No lock; the declared indexes of the fields that the stored query filters by; one snapshot. */
export const EXEC = `select rows, tables, snap, inc, replay
  from kontract.exec($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9, $10::text::jsonb, $11::text::jsonb)`;
