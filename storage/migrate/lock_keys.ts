/**
 * Keys of advisory locks, as SQL expressions of SQL expressions.
 *
 * `pg_locks` shows them to every role of the server. So that a guess of a tenant's name is not confirmed by its
 * hash, what is hashed begins with a secret of the database, which the owner's functions alone can read; and
 * functions ask for the session before they lock, or the guess could be tried on them. The secret is written
 * down once and never changes, since every writer must come to the same key. `main` is a name that everybody
 * knows, and the commit of its rows counts each microsecond: its keys have no secret.
 *
 * `lock_salt()` is declared IMMUTABLE so that the secret becomes a constant in each plan, which a session makes
 * once; the debug settings that print plans are off in every function of ours.
 *
 * @module
 */
import { DEFAULT_TENANT } from "../tenant_name.ts";
import { HELPER, literal } from "./definer.ts";

/** The secret, and the function that gives it. Raises where it is lost: a key that is null would lock nothing. */
export const LOCK_SALT: readonly string[] = [
  `insert into kontract_private.meta (name, value)
     values ('lock salt', encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
                                        || uuid_send(gen_random_uuid())), 'hex'))
     on conflict do nothing`,
  `create or replace function kontract_private.lock_salt() returns text
   language plpgsql immutable ${HELPER} as $f$
   declare salt text;
   begin
     select m.value into strict salt from kontract_private.meta m where m.name = 'lock salt';
     return salt;
   end $f$`,
];

/** Of a table, taken shared by every commit that touches it. */
export function tableLock(tenant: string, table: string): string {
  return ofTenant(11, tenant, table);
}

/** Of one row. */
export function keyLock(tenant: string, table: string, key: string): string {
  return ofTenant(12, tenant, table, key);
}

/** Of an owner's groups. */
export function ownerLock(tenant: string, owner: string): string {
  return ofTenant(13, tenant, owner);
}

/** Of a tenant that is made, dropped or migrated. */
export function tenantLock(name: string): string {
  return secret(14, name);
}

function ofTenant(seed: number, tenant: string, ...parts: readonly string[]): string {
  const known = [tenant, ...parts].join(" || chr(10) || ");
  return `case when ${tenant} = ${literal(DEFAULT_TENANT)}
    then hashtextextended(${known}, ${seed}) else ${secret(seed, tenant, ...parts)} end`;
}

function secret(seed: number, ...parts: readonly string[]): string {
  const text = ["kontract_private.lock_salt()", ...parts].join(" || chr(10) || ");
  return `hashtextextended(encode(sha256(convert_to(${text}, 'UTF8')), 'hex'), ${seed})`;
}
