/**
 * Restored data fail closed: the first session after a restore finds no incarnation, and before one is
 * made the database checks that it is the one the last migration or rebase was run in.
 *
 * @module
 */
import { HELPER } from "./definer.ts";

/** Functions in the private schema. */
export const IDENTITY_FUNCTIONS: readonly string[] = [
  // A cluster that hides its identifier from the owner is told by the database's oid alone.
  `create or replace function kontract_private.check_identity() returns void
   language plpgsql volatile ${HELPER} as $f$
   declare noted text[]; cluster text := 'unknown';
   begin
     select string_to_array(m.value, '.') into noted from meta m where m.name = 'system';
     if not found then return; end if;
     if has_function_privilege('pg_control_system()', 'execute') then
       select c.system_identifier::text into cluster from pg_control_system() c;
     end if;
     if noted[2] is distinct from (select d.oid::text from pg_database d where d.datname = current_database())
        or (noted[1] <> cluster and noted[1] <> 'unknown' and cluster <> 'unknown') then
       raise exception 'restored' using errcode = '55000';
     end if;
   end $f$`,
];
