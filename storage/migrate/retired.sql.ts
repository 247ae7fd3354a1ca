/**
 * Reads of calls that began before a table was swapped: they see the table as it was, with the rights of
 * that time. Their writes conflict; see `apply_<key>` and `put_<key>`.
 *
 * @module
 */
import { HELPER, literal } from "./definer.ts";

/**
 * Condition under which the snapshot is from before the swap that made the kept table, given as text; what
 * came before that one is gone. Asked of the swap itself: the snapshot's `xmin` may be held back by a
 * transaction of any other database of the server.
 */
const beforeKept = (swap: string): string =>
  `not coalesce(pg_visible_in_snapshot((${swap})::xid8, p_snap), true)`;

/** Functions in the private schema. */
export const RETIRED_FUNCTIONS: readonly string[] = [
  `create or replace function kontract_private.before_swap(
     p_tenant text, p_user text, p_table text, p_grants jsonb, p_snap pg_snapshot, p_ids text[])
   returns table (id text, data jsonb, txid xid8, owner text, ord bigint)
   language plpgsql stable ${HELPER} as $f$
   #variable_conflict use_column
   declare r jsonb;
   begin
     select st.retired into r from storage st where st.owner = p_tenant and st.id = p_table;
     if r is null or ${beforeKept("r->>'swap_txid'")} then
       raise exception 'snapshot' using errcode = '72000';
     end if;
     -- Live and closed versions each have an index by key, none has both.
     return query execute format($q$
       select u.id, ($4 || u.data) - $5, u._txid, u._owner, u._order
         from (select distinct unnest($1) as id) k cross join lateral (
           (select * from kontract_private.%1$I u where u.id = k.id and u._deleted_txid is null%2$s
               and pg_visible_in_snapshot(u._txid, $3))
           union all
           (select * from kontract_private.%1$I u where u.id = k.id and u._deleted_txid is not null%2$s
               and pg_visible_in_snapshot(u._txid, $3) order by u._deleted_txid desc limit 1)) u
        where u._deleted_txid is null or not pg_visible_in_snapshot(u._deleted_txid, $3) $q$,
       r->>'ptr', case when (r->>'owned')::boolean then ' and u._owner = $2' else '' end)
     using p_ids, p_user, p_snap, r->'lazy', array(select f.key from jsonb_each_text(r->'bits') f
       where ((f.value::int | coalesce((p_grants->>f.key)::int, 0)) & 4) = 0);
   end $f$`,
];

/** Condition under which the call's snapshot is from before the swap; `false` for a table without one. */
export function beforeSwap(swap: string | undefined): string {
  return swap === undefined
    ? "false"
    : `not pg_visible_in_snapshot(${literal(swap)}::xid8, p_snap)`;
}

/** In a function that takes any table, after \`s\` was read: the table as it was for such a snapshot. */
export function overlayRetired(tableMatch: string): string {
  return `
     if s.swap_txid is not null and not pg_visible_in_snapshot(s.swap_txid, p_snap) then
       select r.retired->>'ptr', (r.retired->>'owned')::boolean, r.retired->'fields', r.retired->'bits',
              r.retired->'lazy'
         into s.ptr, s.owned, s.fields, s.bits, s.lazy
         from storage r where r.owner = s.tenant and r.id = ${tableMatch}
          and not (${beforeKept("r.retired->>'swap_txid'")});
       if s.ptr is null then raise exception 'snapshot' using errcode = '72000'; end if;
     end if;`;
}
