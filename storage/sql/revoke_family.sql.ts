/** Locks the family's rows of `trxs` by index `trxs_family`; READ COMMITTED. */
export const REVOKE_FAMILY = `select kontract.revoke_family($1, $2, $3) as ended`;
