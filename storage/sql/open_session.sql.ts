/** Takes a shared advisory lock of the owner; keys by primary key; READ COMMITTED. */
export const OPEN_SESSION =
  `select sid, owner, tenant, to_json(ugroups) as ugroups, system, expires_ms from kontract.open_session($1)`;
