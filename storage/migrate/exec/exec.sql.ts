/**
 * Running a stored query: checks per table as every read has them, then the query's own text over one list
 * entry of WITH per table that holds what this session sees in the call's snapshot.
 *
 * Only an owner's migration writes texts (see `install.ts`); a caller sends an id, parameters and its own
 * buffered rows. What a text may call is for `check.ts` to say; should it miss something, the role that the
 * text runs as (`role.sql.ts`) has no right to anything else. It runs with the names of `pg_catalog` and of its
 * tables and no others, its strings read as they were when it was judged.
 *
 * @module
 */
import { DEFINER, EXEC_SCHEMA, HELPER } from "../definer.ts";
import { ALIVE, enter, HASHED_SID, READ_PARAMETERS } from "../read.sql.ts";
import { KEPT_FUNCTIONS } from "./kept.ts";
import { EXEC_ROLE_FUNCTIONS, EXEC_SESSION } from "./role.sql.ts";

/** The texts. A query that no build has declared for a day goes; see `install.ts`. */
export const EXEC_TABLES: readonly string[] = [
  `create table if not exists kontract_private.execs (
     id text primary key,
     body text not null,
     tables jsonb not null,
     declared_at timestamptz not null default now())`,
  // What the functions of `kept.ts` were made from; null where there are none.
  "alter table kontract_private.execs add column if not exists kept jsonb",
  // By which name they are called.
  "alter table kontract_private.execs add column if not exists kept_as text",
];

/** Functions, in order of dependence. */
export const EXEC_FUNCTIONS: readonly string[] = [
  ...EXEC_ROLE_FUNCTIONS,

  // One table as the query sees it: a list entry of WITH. p_writes: [[id, data | null], …] of this call.
  `create or replace function kontract_private.exec_view(
     p_name text, p_columns jsonb, p_ptr text, p_fields jsonb, p_bits jsonb, p_lazy jsonb, p_grants jsonb,
     p_written boolean) returns text
   language plpgsql immutable set search_path = pg_catalog, kontract_private, pg_temp as $f$
   declare c jsonb; e text; list text; stored text;
   begin
     for c in select jsonb_array_elements(p_columns) loop
       -- A column that the text does not use only keeps its place: names may be given in order.
       if jsonb_typeof(c->1) = 'null' then
         list := concat_ws(', ', list, format('null::%s as %I', c->>2, c->>0));
         continue;
       end if;
       if c->>1 = 'key' then
         list := concat_ws(', ', list, format('u.id as %I', c->>0));
         continue;
       end if;
       perform check_path(p_fields, p_bits, p_grants, jsonb_build_array(c->0), c->>1);
       e := value_expr(p_fields, p_lazy, jsonb_build_array(c->0), c->>1);
       -- Dates of other years than 1 to 9999 have a text of their own, and one row with such must not end the query.
       if c->>2 = '::timestamptz' then
         e := format('case when %1$s >= ''0001'' and %1$s < '':'' then %1$s::timestamptz end', e);
       end if;
       list := concat_ws(', ', list, format('%s as %I', e, c->>0));
     end loop;
     stored := format('${EXEC_SCHEMA}.%I u where pg_visible_in_snapshot(u._txid, $1)
       and (u._deleted_txid is null or not pg_visible_in_snapshot(u._deleted_txid, $1))', p_ptr);
     if p_written then
       stored := format('(select u.id, u.data from %s and u.id <> all (array(select w->>0 from jsonb_array_elements($3->%L) w))
         union all select (w->>0) collate "C", w->1 from jsonb_array_elements($3->%L) w where w->1 <> ''null'') u', stored, p_name, p_name);
     end if;
     return format('%I as not materialized (select %s from %s)', p_name, list, stored);
   end $f$`,

  // The whole text; p_places: { table: [ptr, fields, bits, lazy] }.
  `create or replace function kontract_private.exec_text(
     p_tables jsonb, p_body text, p_places jsonb, p_grants jsonb, p_writes jsonb) returns text
   language plpgsql immutable ${HELPER} as $f$
   declare views text;
   begin
     select string_agg(exec_view(t.key, t.value, p.p->>0, p.p->1, p.p->2, p.p->3, p_grants->t.key,
              coalesce(p_writes ? t.key, false)), ', ') into views
       from jsonb_each(p_tables) t cross join lateral (select p_places->t.key) p(p);
     return 'with ' || views || ' ' || p_body;
   end $f$`,

  ...KEPT_FUNCTIONS,

  // p_grants: { table: { field: bits } }. p_writes: { table: [[id, data | null], …] }.
  `create or replace function kontract.exec(${READ_PARAMETERS}, p_exec text, p_params jsonb, p_writes jsonb,
     out rows json, out tables json, out snap pg_snapshot, out inc text, out replay bytea)
   language plpgsql stable ${DEFINER} as $f$
   #variable_conflict use_column
   declare ${HASHED_SID} s record; e record; t record; places jsonb := '{}'; written boolean := false;
   begin
     select x.body, x.tables, x.kept, x.kept_as into e from execs x where x.id = p_exec;
     if not found then
       perform 1 from trxs x where ${ALIVE};
       if not found then perform refuse(p_sid, ''); end if;
       raise exception 'exec' using errcode = '42883';
     end if;
     for t in select v as name from jsonb_object_keys(e.tables) v loop
       ${enter("t.name", "t.name")}
       p_inc := inc;
       p_lane := null;
       places := places || jsonb_build_object(t.name, jsonb_build_array(s.ptr, s.fields, s.bits, s.lazy));
       written := written or coalesce(p_writes ? t.name, false);
     end loop;
     perform set_config('${EXEC_SESSION}', encode(v_sid, 'hex'), true);
     if e.kept = places and not written then
       rows := exec_kept(e.kept_as, p_snap, p_params);
     end if;
     if rows is null then
       rows := ${EXEC_SCHEMA}.run(exec_text(e.tables, e.body, places, p_grants, p_writes),
         p_snap, p_params, p_writes);
     end if;
     perform set_config('${EXEC_SESSION}', '', true);
     select json_agg(v.key) into tables from jsonb_each(e.tables) v;
   end $f$`,
];
