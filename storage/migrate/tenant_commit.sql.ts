/**
 * What `apply_<key>` of `commit.sql.ts` does for one table of the default tenant, for any table of any
 * other: validates and applies one table's part of a commit. Everything before it (effect, locks, session,
 * rights) is the one `commit`'s.
 *
 * Text is made from the table's physical name and nothing else that varies.
 *
 * @module
 */
import { fieldRules, newerVersion, newVersions } from "./commit.sql.ts";
import { HELPER } from "./definer.ts";

/** `raise` with a JSON detail that begins with the table's name. */
function fail(errcode: string, message: string, detail: string): string {
  return `raise exception '${message}' using errcode = '${errcode}',
         detail = json_build_object('table', p_st.id${detail})::text;`;
}

/** Functions in the private schema. */
export const TENANT_COMMIT_FUNCTIONS: readonly string[] = [
  `create or replace function kontract_private.apply_tenant(
     p_st kontract.storage, p_may int, p_owner text, p_snap pg_snapshot, p_late boolean, p_op jsonb)
   returns void language plpgsql volatile ${HELPER} as $f$
   declare
     me xid8 := pg_current_xact_id(); hit text; bad record; broken text; q jsonb;
     own text := case when p_st.owned then ' and u._owner = $2' else '' end;
     ids text[]; rows jsonb[]; o_ids text[]; o_owners text[]; o_orders bigint[]; o_datas jsonb[];
     locked text[]; kept text[];
   begin
     if p_snap is not null and not coalesce(pg_visible_in_snapshot(p_st.swap_txid, p_snap), true) then
       ${fail("40001", "conflict", "")}
     end if;
     if p_op->'r' <> '[]' then
       execute format('select r.id from (select e->>0 as id, e->>1 as txid from jsonb_array_elements($1) e) r
          where (select u._txid::text from kontract_private.%I u
                  where u.id = r.id and u._deleted_txid is null%s) is distinct from r.txid limit 1', p_st.ptr, own)
         into hit using p_op->'r', p_owner;
       if hit is not null then ${fail("40001", "conflict", ", 'key', hit")} end if;
     end if;
     if p_op->'q' <> '[]' then for q in select jsonb_array_elements(p_op->'q') loop
       perform validate_predicate(p_st, p_owner, p_op->'g', p_snap, q);
     end loop; end if;
     if p_op->'w' = '[]' then return; end if;
     select array_agg(e->>0 order by n), array_agg(nullif(e->1, 'null'::jsonb) order by n) into ids, rows
       from jsonb_array_elements(p_op->'w') with ordinality w(e, n);
     if ((p_may & 1) is distinct from 1 and array_position(rows, null) is not null)
        or ((p_may & 2) is distinct from 2 and array_remove(rows, null) <> '{}') then
       ${fail("42501", "table", "")}
     end if;
     -- As in apply_<key>: an id taken before waiting may be older than what it overwrites.
     if p_late and pg_snapshot_xmax(pg_current_snapshot()) > me then
       execute format('${
    newerVersion("kontract_private.%1$I", { ids: "$1", me: "$3", own: "%2$s" })
  }', p_st.ptr, own)
         into hit using ids, p_owner, me;
       if hit is not null then ${fail("40001", "conflict", ", 'key', hit")} end if;
     end if;
     execute format('with c as (update kontract_private.%I u set _deleted_txid = $3
            where u.id = any ($1) and u._deleted_txid is null%s
           returning u.id, u._owner, u._order, u.data)
         select array_agg(c.id), array_agg(c._owner), array_agg(c._order), array_agg(c.data) from c',
         p_st.ptr, own)
       into o_ids, o_owners, o_orders, o_datas using ids, p_owner, me;
     if p_st.bits <> '{}' then ${fieldRules("p_st.lazy", "p_st.defaults", fail)} end if;
     begin
       execute format($q$ insert into kontract_private.%1$I (id, data, _owner, _order) ${
    newVersions("unnest($2, $3)", "unnest($4, $5, $6)", {
      owner: "$1",
      sequence: "kontract_private.%1$s_seq",
    })
  } $q$, p_st.ptr) using p_owner, ids, rows, o_ids, o_owners, o_orders;
     exception when unique_violation then
       get stacked diagnostics broken = constraint_name;
     end;
     if broken is not null then
       ${fail("23505", "unique", ", 'fields', p_st.indexes->broken")}
     end if;
   end $f$`,
];
