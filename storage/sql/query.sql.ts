/** No lock; the declared index of a filtered field, else the order index; one snapshot. */
export const QUERY = `select rows, snap, inc, replay
  from kontract.query($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9, $10::text::jsonb)`;

/** As `query`, counting. */
export const COUNT = `select total::float8 as total, snap, inc, replay
  from kontract.count($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9, $10::text::jsonb)`;
