/**
 * Turning a checked filter into SQL, inside the database.
 *
 * A filter arrives as data, `[[path, op, kind, value], …]`, all of which must hold. Field names are
 * taken only from the table's own list and quoted; values are never put into text: they stay in
 * parameter `$1` and are addressed by position. The same `field_expr` builds index expressions, so a
 * filter and its index always agree, lazy defaults included.
 *
 * Text compares by code point (collation C), as the gateway does for its buffered writes.
 *
 * A caller may be of the build before, to which a field was a number that may be text now. So a cast is made
 * only of what it can be made of where the field is declared as another kind, or nothing is known of it, as of
 * what is inside a field; anything else is then like a value that is missing, but for the question whether it is.
 *
 * @module
 */
import { HELPER } from "./definer.ts";

/** Functions in the private schema, in order of dependence. */
export const FILTER_HELPERS: readonly string[] = [
  // p_kind with a question mark: the value may be of another kind.
  `create or replace function kontract_private.field_expr(p_lazy jsonb, p_path jsonb, p_kind text, p_at text)
   returns text language plpgsql immutable ${HELPER} as $f$
   declare top text := p_path->>0; j text; t text; e text;
   begin
     if jsonb_array_length(p_path) = 1 then
       j := format('%s->%L', p_at, top);
       t := format('%s->>%L', p_at, top);
       if p_lazy ? top then
         j := format('case when %s ? %L then %s else %L::jsonb end', p_at, top, j, (p_lazy->top)::text);
         t := format('case when %s ? %L then %s else %L::text end', p_at, top, t, p_lazy->>top);
       end if;
     else
       j := format('%s #> %L::text[]', p_at, array(select jsonb_array_elements_text(p_path)));
       t := format('%s #>> %L::text[]', p_at, array(select jsonb_array_elements_text(p_path)));
       if p_kind in ('number', 'boolean') then p_kind := p_kind || '?'; end if;
     end if;
     return case p_kind
       when 'number?' then format(
         '(case when jsonb_typeof(%1$s) = ''number'' or (%2$s) ~ ''^-?[0-9]+$'' then (%2$s)::numeric end)', j, t)
       when 'boolean?' then format('(case when jsonb_typeof(%1$s) = ''boolean'' then (%2$s)::boolean end)', j, t)
       when 'text' then format('((%s) collate "C")', t)
       when 'number' then format('((%s)::numeric)', t)
       when 'boolean' then format('((%s)::boolean)', t)
       -- A null is like a value that is missing, as it is of the other kinds.
       when 'json' then format('nullif(%s, ''null'')', j) end;
   end $f$`,

  // Whether each value there can be cast. What is known of a field is 'key', or its kind with '!' where each row
  // has one; a table that was swapped away before that was noted has something else.
  `create or replace function kontract_private.is_sure(p_fields jsonb, p_path jsonb, p_kind text)
   returns boolean language plpgsql immutable ${HELPER} as $f$
   declare known text := rtrim(p_fields->>(p_path->>0), '!');
   begin
     return p_kind in ('text', 'json') or jsonb_array_length(p_path) = 1
       and (known = p_kind or known not in ('text', 'number', 'boolean', 'json', 'key'));
   end $f$`,

  `create or replace function kontract_private.is_key(p_fields jsonb, p_path jsonb, p_kind text)
   returns boolean language plpgsql immutable ${HELPER} as $f$
   begin
     return p_kind = 'text' and jsonb_array_length(p_path) = 1 and p_fields->>(p_path->>0) is not distinct from 'key';
   end $f$`,

  // A field of version u: the key is a column, which has the table's own indexes.
  `create or replace function kontract_private.value_expr(p_fields jsonb, p_lazy jsonb, p_path jsonb, p_kind text)
   returns text language plpgsql immutable ${HELPER} as $f$
   begin
     if is_key(p_fields, p_path, p_kind) then return 'u.id'; end if;
     return field_expr(p_lazy, p_path,
       p_kind || case when is_sure(p_fields, p_path, p_kind) then '' else '?' end, 'u.data');
   end $f$`,

  // Refuses a field that does not exist or that this call may not read.
  `create or replace function kontract_private.check_path(
     p_fields jsonb, p_bits jsonb, p_grants jsonb, p_path jsonb, p_kind text)
   returns void language plpgsql immutable ${HELPER} as $f$
   declare top text := p_path->>0;
   begin
     if jsonb_typeof(p_path) is distinct from 'array' or jsonb_array_length(p_path) not between 1 and 16
        or top is null or not p_fields ? top then
       raise exception 'field' using errcode = '22023', detail = json_build_object('field', top)::text;
     end if;
     if coalesce(p_kind, '') not in ('text', 'number', 'boolean', 'json') then
       raise exception 'kind' using errcode = '22023', detail = json_build_object('field', top)::text;
     end if;
     if ((coalesce((p_bits->>top)::int, 7) | coalesce((p_grants->>top)::int, 0)) & 4) = 0 then
       raise exception 'field' using errcode = '42501', detail = json_build_object('field', top)::text;
     end if;
   end $f$`,

  // " and (…)" per condition; values are $1->i->3.
  `create or replace function kontract_private.where_sql(
     p_fields jsonb, p_bits jsonb, p_lazy jsonb, p_grants jsonb, p_where jsonb)
   returns text language plpgsql immutable ${HELPER} as $f$
   declare
     c jsonb; i int := 0; sql text := ''; e text; v text; list text; op text; kind text; cast_to text;
     missing text;
   begin
     if jsonb_typeof(p_where) is distinct from 'array' or jsonb_array_length(p_where) > 64 then
       raise exception 'filter' using errcode = '22023';
     end if;
     for c in select jsonb_array_elements(p_where) loop
       op := c->>1; kind := c->>2;
       perform check_path(p_fields, p_bits, p_grants, c->0, kind);
       e := value_expr(p_fields, p_lazy, c->0, kind);
       cast_to := case kind when 'number' then '::numeric' when 'boolean' then '::boolean' else '' end;
       v := case kind when 'json' then format('($1->%s->3)', i) else format('($1->%s->>3)%s', i, cast_to) end;
       list := case kind
         when 'json' then format('array(select jsonb_array_elements($1->%s->3))', i)
         else format('array(select jsonb_array_elements_text($1->%s->3)%s)', i, cast_to) end;
       missing := case
         when is_sure(p_fields, c->0, kind) then format('%s is null', e)
         else format('(%s is null and %s is null)', e, value_expr(p_fields, p_lazy, c->0, 'text')) end;
       sql := sql || ' and ' || case
         when op = 'eq' and c->3 = 'null' then missing
         when op = 'ne' and c->3 = 'null' then format('not (%s)', missing)
         when op = 'eq' then format('%s = %s', e, v)
         when op = 'ne' then format('%s is distinct from %s', e, v)
         when op = 'gt' and kind <> 'json' then format('%s > %s', e, v)
         when op = 'gte' and kind <> 'json' then format('%s >= %s', e, v)
         when op = 'lt' and kind <> 'json' then format('%s < %s', e, v)
         when op = 'lte' and kind <> 'json' then format('%s <= %s', e, v)
         when op = 'in' then format('%s = any (%s)', e, list)
         when op = 'prefix' and kind = 'text' then format(
           '%s like replace(replace(replace(%s, ''\\'', ''\\\\''), ''%%'', ''\\%%''), ''_'', ''\\_'') || ''%%''', e, v)
         when op = 'contains' and kind = 'text' then format('strpos(%s, %s) > 0', e, v)
         when op = 'contains' and kind = 'json' then format('%s @> jsonb_build_array($1->%s->3)', e, i)
         end;
       if sql is null then
         raise exception 'operator' using errcode = '22023', detail = json_build_object('field', c->0->>0)::text;
       end if;
       i := i + 1;
     end loop;
     return sql;
   end $f$`,

  // ORDER BY list; insertion order breaks every tie, so pages never overlap.
  `create or replace function kontract_private.order_sql(
     p_fields jsonb, p_bits jsonb, p_lazy jsonb, p_grants jsonb, p_order jsonb, p_backward boolean)
   returns text language plpgsql immutable ${HELPER} as $f$
   declare o jsonb; sql text := '';
   begin
     if jsonb_typeof(p_order) is distinct from 'array' or jsonb_array_length(p_order) > 8 then
       raise exception 'order' using errcode = '22023';
     end if;
     for o in select jsonb_array_elements(p_order) loop
       perform check_path(p_fields, p_bits, p_grants, o->0, o->>2);
       if o->>2 = 'json' then raise exception 'order' using errcode = '22023'; end if;
       sql := sql || value_expr(p_fields, p_lazy, o->0, o->>2)
         || case when o->>1 = 'desc' then ' desc' else ' asc' end;
       -- One row at most has a key: what comes after it sorts nothing, and would keep its index from having the order.
       if is_key(p_fields, o->0, o->>2) then return sql; end if;
       sql := sql || ', ';
     end loop;
     return sql || 'u._order' || case when p_backward then ' desc' else '' end;
   end $f$`,

  // " and (row is after the cursor)"; values are $3->i, the last one is the insertion order. What comes after it is
  // one range of an index on the order, and where nulls come after values, or values after nulls, a second one:
  // one condition each, in this order, with no row in both. A key that may be null ends the range's columns, since
  // a comparison of rows loses its nulls; behind the first key the rest of the condition sorts them out. Where the
  // second key goes the other way no index has the order: what is left of the first key's value is a range by itself.
  `create or replace function kontract_private.after_sql(
     p_fields jsonb, p_lazy jsonb, p_order jsonb, p_after jsonb, p_backward boolean)
   returns text[] language plpgsql immutable ${HELPER} as $f$
   declare
     o jsonb; i int := 0; ties text := ''; sql text := ''; e text; v text; cast_to text; later text;
     first text; descends boolean := p_order->0->>1 = 'desc'; always boolean; keys text[]; bounds text[];
     second text;
   begin
     if p_after is null or p_after = 'null' then return array['']; end if;
     if jsonb_typeof(p_after) is distinct from 'array'
        or jsonb_array_length(p_after) <> jsonb_array_length(p_order) + 1 then
       raise exception 'cursor' using errcode = '22023';
     end if;
     for o in select jsonb_array_elements(p_order) loop
       e := value_expr(p_fields, p_lazy, o->0, o->>2);
       cast_to := case o->>2 when 'number' then '::numeric' when 'boolean' then '::boolean' else '' end;
       v := format('($3->>%s)%s', i, cast_to);
       later := case
         when o->>1 = 'desc' and p_after->i = 'null' then format('%s is not null', e)
         when o->>1 = 'desc' then format('%s < %s', e, v)
         when p_after->i = 'null' then 'false'
         else format('(%s > %s or %s is null)', e, v, e) end;
       sql := sql || format('(%s%s) or ', ties, later);
       ties := ties || format('%s is not distinct from %s and ', e, v);
       always := jsonb_array_length(o->0) = 1 and p_fields->>(o->0->>0) in ('key', (o->>2) || '!');
       if i = 0 then
         first := case when not always then e end;
         keys := array[e];
         bounds := array[v];
       elsif cardinality(keys) = i and always and p_after->i <> 'null' and (o->>1 = 'desc') = descends then
         keys := keys || e;
         bounds := bounds || v;
       elsif i = 1 and p_after->i <> 'null' and (always or o->>1 = 'desc') then
         -- The other way round: within one value of the first key that is a range as well.
         second := format('%s %s %s', e, case when o->>1 = 'desc' then '<=' else '>=' end, v);
       end if;
       i := i + 1;
     end loop;
     -- As the column's own type, or its index would not serve; a number out of its range is brought into it.
     sql := format(' and (%s(%su._order %s least(greatest(($3->>%s)::numeric, -9e18), 9e18)::bigint))', sql, ties,
       case when p_backward then '<' else '>' end, i);
     if i = 0 then return array[sql]; end if;
     if p_after->0 = 'null' then
       return array[format(' and %s is null', keys[1]) || sql]
         || case when descends then array[format(' and %s is not null', keys[1])] end;
     end if;
     if second is not null and cardinality(keys) = 1 then
       return array[format(' and %s = %s and %s', keys[1], bounds[1], second) || sql,
           format(' and %s %s %s', keys[1], case when descends then '<' else '>' end, bounds[1])]
         || case when not descends and first is not null then array[format(' and %s is null', first)] end;
     end if;
     return array[format(' and (%s) %s (%s)', array_to_string(keys, ', '),
           case when descends then '<=' else '>=' end, array_to_string(bounds, ', ')) || sql]
       || case when not descends and first is not null then array[format(' and %s is null', first)] end;
   end $f$`,
];
