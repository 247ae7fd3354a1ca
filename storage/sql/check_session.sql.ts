/** No lock; the primary key of `trxs`; one snapshot. */
export const CHECK_SESSION = `select to_json(kontract.check_session($1)) as ugroups`;
