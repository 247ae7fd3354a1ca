/**
 * Read functions: `get` and `get_many` are static SQL per table; `query`, `count` and `changes` build
 * theirs from a checked filter. None ever assigns a transaction id; all run in the snapshot of the one
 * statement that calls them and judge visibility by the snapshot of the call.
 *
 * @module
 */
import { DEFINER, identifier, literal } from "./definer.ts";

/** What a per-table function is made from. */
export interface TableSql {
  /** Logical name. */
  readonly name: string;
  /** Hash of the logical name, part of function names. */
  readonly key: string;
  /** Physical table. */
  readonly ptr: string;
  /** `rows: "owner"`. */
  readonly owned: boolean;
  /** Values of fields that were added after rows existed. */
  readonly lazy: Readonly<Record<string, unknown>>;
  /** Defaults of today. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** Bits of fields that have less than all. */
  readonly bits: Readonly<Record<string, number>>;
  readonly primkey: string;
  /** Text of a SQL expression over `data` that is true for valid rows. */
  readonly check: string;
}

/** Parameters every read function begins with. */
const READ_PARAMETERS =
  `p_sid text, p_bits int, p_group text, p_grants jsonb, p_snap pg_snapshot, p_inc text,
   p_lane text, p_reqno numeric`;

/** Session, rights, incarnation and snapshot checks of one read, in the caller's statement. */
export function enter(tableMatch: string, tableText: string): string {
  return `
     if pg_is_in_recovery() then raise exception 'standby' using errcode = '25006'; end if;
     select x.owner, x.tenant, x.system, x.ugroups, x.create_txid, st.ptr, st.owned, st.fields, st.bits,
            st.lazy, st.horizon, st.permissions & p_bits as may,
            coalesce((select i.value from incarnation i where i.xmin = i.filled_by), '') || '.' || st.epoch as inc
       into s
       from trxs x join storage st on st.owner = x.tenant and st.id = ${tableMatch}
      where x.sid = sha256(convert_to(p_sid, 'UTF8')) and x.expires_at > now()
        and not exists (select 1 from tombstones t where t.tenant = x.tenant and t.family = x.family);
     if not found then perform refuse(p_sid, ${tableText}); end if;
     if p_group is not null and not p_group = any (s.ugroups) then
       raise exception 'group' using errcode = '42501';
     end if;
     if s.may & 4 = 0 or (not s.system and starts_with(${tableText}, '_')) then
       raise exception 'table' using errcode = '42501',
         detail = json_build_object('table', ${tableText})::text;
     end if;
     if p_snap is null then
       p_snap := pg_current_snapshot();
       if not pg_visible_in_snapshot(s.create_txid, p_snap) then
         raise exception 'snapshot' using errcode = '72000';
       end if;
     elsif p_inc is distinct from s.inc or pg_snapshot_xmin(p_snap) < s.horizon
           or pg_snapshot_xmax(p_snap) > pg_snapshot_xmax(pg_current_snapshot())
           or not pg_visible_in_snapshot(s.create_txid, p_snap) then
       raise exception 'snapshot' using errcode = '72000';
     end if;
     snap := p_snap;
     inc := s.inc;
     if p_lane is not null then
       select e.answer into replay from effects e
        where e.tenant = s.tenant and e.owner = s.owner and e.lane = p_lane and e.reqno = p_reqno;
       if found then return; end if;
     end if;`;
}

/** Expression for what a session sees of \`u.data\`. */
function visibleData(table: TableSql): string {
  const lazy = Object.keys(table.lazy).length > 0
    ? `${literal(JSON.stringify(table.lazy))}::jsonb || `
    : "";
  return hasHidden(table) ? `(${lazy}u.data) - hidden` : `${lazy}u.data`;
}

function hasHidden(table: TableSql): boolean {
  return Object.values(table.bits).some((bits) => (bits & 4) === 0);
}

/** Names of the fields this call may not read. */
export const HIDDEN = `array(select f.key from jsonb_each_text(s.bits) f
  where ((f.value::int | coalesce((p_grants->>f.key)::int, 0)) & 4) = 0)`;

/** `get` and `get_many` of one table. */
export function readFunctions(table: TableSql): readonly string[] {
  const ptr = `kontract_private.${identifier(table.ptr)}`;
  const own = table.owned ? " and u._owner = s.owner" : "";
  const name = literal(table.name);
  const moved = `
     if s.ptr <> ${literal(table.ptr)} then raise exception 'moved' using errcode = '72000'; end if;
     ${hasHidden(table) ? `hidden := ${HIDDEN};` : ""}`;
  const data = visibleData(table);
  return [
    // The live version by the unique live index; else the newest visible closed one, by its own index.
    `create or replace function kontract.get_${table.key}(${READ_PARAMETERS}, p_id text,
       out data jsonb, out txid text, out owner text, out ord bigint,
       out snap pg_snapshot, out inc text, out replay bytea)
     language plpgsql stable ${DEFINER} as $f$
     #variable_conflict use_column
     declare s record; v record; hidden text[];
     begin ${enter(name, name)} ${moved}
       select ${data} as d, u._txid, u._owner, u._order into v from ${ptr} u
        where u.id = p_id and u._deleted_txid is null${own};
       if not found or not pg_visible_in_snapshot(v._txid, p_snap) then
         select ${data} as d, u._txid, u._owner, u._order, u._deleted_txid into v from ${ptr} u
          where u.id = p_id and u._deleted_txid is not null${own}
            and pg_visible_in_snapshot(u._txid, p_snap)
          order by u._txid desc limit 1;
         if not found or pg_visible_in_snapshot(v._deleted_txid, p_snap) then return; end if;
       end if;
       data := v.d; txid := v._txid::text; owner := v._owner; ord := v._order;
     end $f$`,
    `create or replace function kontract.get_many_${table.key}(${READ_PARAMETERS}, p_ids text,
       out rows json, out snap pg_snapshot, out inc text, out replay bytea)
     language plpgsql stable ${DEFINER} set enable_seqscan = off as $f$
     #variable_conflict use_column
     declare s record; hidden text[];
     begin ${enter(name, name)} ${moved}
       select coalesce(json_agg(json_build_array(u.id, ${data}, u._txid::text, u._owner, u._order)), '[]')
         into rows from ${ptr} u
        where u.id = any (array(select jsonb_array_elements_text(p_ids::jsonb)))${own}
          and pg_visible_in_snapshot(u._txid, p_snap)
          and (u._deleted_txid is null or not pg_visible_in_snapshot(u._deleted_txid, p_snap));
     end $f$`,
  ];
}

/** Functions that serve every table. */
export const READ_FUNCTIONS: readonly string[] = [
  // p_query: { where, order, after, exclude, limit, backward }
  `create or replace function kontract.query(${READ_PARAMETERS}, p_table text, p_query jsonb,
     out rows json, out snap pg_snapshot, out inc text, out replay bytea)
   language plpgsql stable ${DEFINER} as $f$
   #variable_conflict use_column
   declare s record; hidden text[]; back boolean := coalesce((p_query->>'backward')::boolean, false);
   begin ${enter("p_table", "p_table")}
     hidden := ${HIDDEN};
     execute format($q$
       select coalesce(json_agg(json_build_array(r.id, ($6 || r.data) - $7, r._txid::text, r._owner, r._order)
                order by r.n), '[]')
         from (select u.*, row_number() over () as n from (select * from kontract_private.%I u
           where pg_visible_in_snapshot(u._txid, $2)
             and (u._deleted_txid is null or not pg_visible_in_snapshot(u._deleted_txid, $2))
             %s %s %s %s order by %s limit $5) u) r $q$,
       s.ptr,
       case when s.owned then ' and u._owner = $4' else '' end,
       where_sql(s.fields, s.bits, s.lazy, p_grants, p_query->'where'),
       case when jsonb_array_length(p_query->'exclude') > 0
         then ' and u.id <> all (array(select jsonb_array_elements_text($8)))' else '' end,
       after_sql(s.lazy, p_query->'order', p_query->'after', back),
       order_sql(s.fields, s.bits, s.lazy, p_grants, p_query->'order', back))
     into rows
     using p_query->'where', p_snap, p_query->'after', s.owner, (p_query->>'limit')::int, s.lazy, hidden,
           p_query->'exclude';
   end $f$`,

  `create or replace function kontract.count(${READ_PARAMETERS}, p_table text, p_query jsonb,
     out total bigint, out snap pg_snapshot, out inc text, out replay bytea)
   language plpgsql stable ${DEFINER} as $f$
   #variable_conflict use_column
   declare s record;
   begin ${enter("p_table", "p_table")}
     execute format($q$ select count(*) from kontract_private.%I u
         where pg_visible_in_snapshot(u._txid, $2)
           and (u._deleted_txid is null or not pg_visible_in_snapshot(u._deleted_txid, $2)) %s %s %s $q$,
       s.ptr,
       case when s.owned then ' and u._owner = $3' else '' end,
       where_sql(s.fields, s.bits, s.lazy, p_grants, p_query->'where'),
       case when jsonb_array_length(p_query->'exclude') > 0
         then ' and u.id <> all (array(select jsonb_array_elements_text($4)))' else '' end)
     into total using p_query->'where', p_snap, s.owner, p_query->'exclude';
   end $f$`,
];
