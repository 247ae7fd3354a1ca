/**
 * Read functions: `get` and `get_many` are static SQL per table; `query`, `count` and `changes` build
 * theirs from a checked filter. None ever assigns a transaction id; all run in the snapshot of the one
 * statement that calls them and judge visibility by the snapshot of the call.
 *
 * @module
 */
import type { TableCheck } from "./checks.ts";
import { DEFINER, DEFINER_HOT, DEFINER_HOT_MANY, HELPER, identifier, literal } from "./definer.ts";
import { beforeSwap, overlayRetired } from "./retired.sql.ts";

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
  /** Transaction of the last swap, while the table before it is kept. */
  readonly swap?: string;
  /** Guards the rows' type; see `checks.ts`. */
  readonly check: TableCheck;
  /** True where some declared index is unique. */
  readonly unique: boolean;
}

/** Parameters every read function begins with. */
export const READ_PARAMETERS =
  `p_sid text, p_bits int, p_group text, p_grants jsonb, p_snap pg_snapshot, p_inc text,
   p_lane text, p_reqno numeric`;

/**
 * Condition under which row `x` of `trxs` is the live session whose hashed id is in `v_sid`. A revoked
 * session has no row; `open_session` sees to it that none appears afterwards. By the clock, since `now()` stands
 * still in a transaction that somebody keeps open.
 */
export const ALIVE = "x.sid = v_sid and x.expires_at > clock_timestamp()";

/** The same for the session whose id is `p_sid`. */
export const ALIVE_SID =
  "x.sid = sha256(convert_to(p_sid, 'UTF8')) and x.expires_at > clock_timestamp()";

/** Declares `v_sid`: the id is hashed once, not per row looked at. */
export const HASHED_SID = `v_sid bytea := sha256(convert_to(p_sid, 'UTF8'));`;

/**
 * Joins the incarnation as `i`: no row of the query where it is unknown. By no key, since there is one row at most and
 * a key would have to be set up.
 */
export const KNOWN_INCARNATION = `join incarnation i on i.xmin = i.filled_by`;

/** Joins the incarnation as `i`, whose columns are null where it is unknown. */
export const INCARNATION = `left ${KNOWN_INCARNATION}`;

/** The incarnation for comparison, `value` from the join. */
export function incarnationText(value: string): string {
  return `coalesce(${value}, unfilled())`;
}

/**
 * Session, rights, incarnation and snapshot checks of one read, in the caller's statement. Where the request
 * was applied before, its answer is in `replay` and `replayed` is run.
 */
export function enter(tableMatch: string, tableText: string, replayed = "return;"): string {
  return `
     if pg_is_in_recovery() then raise exception 'standby' using errcode = '25006'; end if;
     select x.owner, x.tenant, x.system, x.ugroups, x.create_txid, st.ptr, st.owned, st.fields, st.bits,
            st.lazy, st.horizon, st.swap_txid, st.permissions & p_bits as may,
            ${incarnationText("i.value")} || '.' || st.epoch as inc
       into s
       from trxs x join storage st on st.owner = x.tenant and st.id = ${tableMatch} ${INCARNATION}
      where ${ALIVE};
     if not found then perform refuse(p_sid, ${tableText}); end if;
     if p_group is not null and (p_group = any (s.ugroups)) is not true then
       raise exception 'group' using errcode = '42501';
     end if;
     if (s.may & 4) is distinct from 4 or (not s.system and starts_with(${tableText}, '_')) then
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
     ${overlayRetired(tableMatch)}
     snap := p_snap;
     inc := s.inc;
     if p_lane is not null then
       select e.answer into replay from effects e
        where e.tenant = s.tenant and e.owner = s.owner and e.lane = p_lane and e.reqno = p_reqno;
       if found then ${replayed} end if;
     end if;`;
}

/** Expression for what a session sees of `u.data`. */
export function visibleData(table: TableSql): string {
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

/** Joins a session with the table, by its name; of the tenant that the session must be compared with. */
export function tableOf(table: TableSql, tenant: string): string {
  return `join storage st on st.owner = ${literal(tenant)} and st.id = ${literal(table.name)}`;
}

/**
 * The same by where its rows are, which no other table shares: no row once they are elsewhere, or the table has
 * another name, under which its rows are locked then. The owner need not be set up to be compared.
 */
export function placeOf(table: TableSql): string {
  return `join storage st on st.ptr = ${literal(table.ptr)} and st.id = ${literal(table.name)}`;
}

/** `get` and `get_many` of one table. */
export function readFunctions(table: TableSql, tenant: string): readonly string[] {
  return [...getFunctions(table, tenant), ...getManyFunctions(table, tenant)];
}

/**
 * `first` makes the statements for a call's first read, without a snapshot, where the statement's own is the call's:
 * what they find is what the call sees; nothing where the request was applied before. `later` is for its other reads.
 * Three of them, since a condition costs its setting up even where nothing comes to be asked of it.
 */
function threeReads(
  table: TableSql,
  first: (condition: string) => string,
  later: (condition: string) => string,
): string {
  return `
       if p_snap is null and p_lane is null and p_group is null then
         ${first("")};
       elsif p_snap is null then
         ${
    first(
      `and ${IN_GROUP} and not exists (select from effects e where e.tenant = x.tenant and e.owner = x.owner
           and e.lane = p_lane and e.reqno = p_reqno)`,
    )
  };
       else
         ${
    later(`and ${IN_GROUP} and case when p_lane is null then p_inc end = i.value || '.' || st.epoch
              and pg_snapshot_xmin(p_snap) >= st.horizon
              and pg_snapshot_xmax(p_snap) <= pg_snapshot_xmax(pg_current_snapshot())
              and pg_visible_in_snapshot(x.create_txid, p_snap)${
      table.swap === undefined ? "" : ` and not (${beforeSwap(table.swap)})`
    }`)
  };
       end if;`;
}

/** Condition for the call's group, if it has one, to be one of the session's. */
const IN_GROUP = "(p_group is null or p_group = any (x.ugroups))";

/**
 * Condition for whoever may read the table where its rows are (`placeOf`), whatever the group; no row where anything
 * is out of the ordinary. The tenant is compared in a form that no index serves, since only the session's id may
 * choose how its row is found. A standby is not asked for: the server plans no statement there that reads
 * `incarnation`, which is UNLOGGED.
 */
function mayRead(table: TableSql, tenant: string): string {
  return `${ALIVE_SID} and x.tenant is not distinct from ${literal(tenant)}
          and st.permissions & p_bits & 4 = 4${table.name.startsWith("_") ? " and x.system" : ""}`;
}

/**
 * `get_many`, as `get`: live versions in one statement, everything else by `get_many_slowly`. The answer is
 * `snap|incarnation|epoch|[[id, data, txid, owner, ord], …]`, or `R|base64`.
 */
function getManyFunctions(table: TableSql, tenant: string): readonly string[] {
  const ptr = `kontract_private.${identifier(table.ptr)}`;
  const own = table.owned ? " and u._owner = s.owner" : "";
  const name = literal(table.name);
  const moved = `
     ${
    table.swap === undefined ? "" : `if ${beforeSwap(table.swap)} then
       select coalesce(json_agg(json_build_array(b.id, b.data, b.txid::text, b.owner, b.ord)), '[]') into rows
         from before_swap(s.tenant, s.owner, ${name}, p_grants, p_snap,
           array(select jsonb_array_elements_text(p_ids::jsonb))) b;
       return;
     end if;`
  }
     if s.ptr <> ${literal(table.ptr)} then raise exception 'moved' using errcode = '72000'; end if;
     ${hasHidden(table) ? `hidden := ${HIDDEN};` : ""}`;
  const data = visibleData(table);
  const live = (snapshot: string, seen: string, condition: string): string =>
    `select concat_ws('|', ${snapshot}, i.value, st.epoch, r.rows) into answer
           from trxs x ${placeOf(table)} ${KNOWN_INCARNATION}
                cross join lateral (
                  select coalesce(json_agg(json_build_array(u.id, ${data}, u._txid::text, u._owner, u._order)),
                           '[]') as rows${seen}
                    from ${ptr} u
                   where u.id = any (array(select jsonb_array_elements_text(p_ids::jsonb)))
                     and u._deleted_txid is null${table.owned ? " and u._owner = x.owner" : ""}) r
          where ${mayRead(table, tenant)} ${condition}`;
  const parameters = `${READ_PARAMETERS}, p_ids text`;
  return [
    `create or replace function kontract_private.get_many_slowly_${table.key}(${parameters},
       out rows json, out snap pg_snapshot, out inc text, out replay bytea)
     language plpgsql stable ${HELPER} as $f$
     #variable_conflict use_column
     declare ${HASHED_SID} s record; hidden text[];
     begin ${enter(name, name)} ${moved}
       select coalesce(json_agg(json_build_array(u.id, ${data}, u._txid::text, u._owner, u._order)), '[]')
         -- Per key as in get: the live version by its index, else the newest visible closed one by its own.
         into rows from (select distinct jsonb_array_elements_text(p_ids::jsonb) as id) k
         cross join lateral (
           (select * from ${ptr} u where u.id = k.id and u._deleted_txid is null${own}
               and pg_visible_in_snapshot(u._txid, p_snap))
           union all
           (select * from ${ptr} u where u.id = k.id and u._deleted_txid is not null${own}
               and pg_visible_in_snapshot(u._txid, p_snap) order by u._deleted_txid desc limit 1)) u
        where u._deleted_txid is null or not pg_visible_in_snapshot(u._deleted_txid, p_snap);
     end $f$`,
    `create or replace function kontract.get_many_${table.key}(${parameters}) returns text
     language plpgsql stable ${DEFINER_HOT_MANY} as $f$
     #variable_conflict use_column
     declare answer text; ${hiddenVariable(table)}
     begin ${
      threeReads(
        table,
        (condition) => live("pg_current_snapshot()", "", condition),
        (condition) =>
          live(
            "p_snap",
            `,
                         count(*) = jsonb_array_length(p_ids::jsonb)
                         and bool_and(pg_visible_in_snapshot(u._txid, p_snap)) as seen`,
            `${condition} and r.seen`,
          ),
      )
    }
       if answer is null then
         select coalesce('R|' || encode(r.replay, 'base64'),
                  concat_ws('|', r.snap, replace(r.inc, '.', '|'), r.rows)) into answer
           from get_many_slowly_${table.key}(
             p_sid, p_bits, p_group, p_grants, p_snap, p_inc, p_lane, p_reqno, p_ids) r;
       end if;
       return answer;
     end $f$`,
  ];
}

/** Declares what `visibleData` needs. */
function hiddenVariable(table: TableSql): string {
  return hasHidden(table) ? `hidden text[] := ${hiddenExpression(table)};` : "";
}

/** Names of hidden fields as one expression over `p_grants`, from the bits of today. */
function hiddenExpression(table: TableSql): string {
  const cases = Object.entries(table.bits).filter(([, bits]) => (bits & 4) === 0)
    .map(([field, bits]) =>
      `case when (${bits} | coalesce((p_grants->>${literal(field)})::int, 0)) & 4 = 0 then ${
        literal(field)
      } end`
    );
  return `array_remove(array[${cases.join(", ")}]::text[], null)`;
}

/**
 * `get`: all checks and the live version in one statement of one plan. What a server spends on a statement
 * is mostly setting it up, expression by expression, so there is nothing here that the usual read does
 * not need; whatever is out of the ordinary (a refusal, an older version, a request that was applied
 * before) gives null and is looked at by `get_slowly`.
 *
 * Answers with text, since a row of columns costs half again: `snap|incarnation|epoch|txid|ord|data`, the
 * last three missing where there is no row, or `R|base64`, the stored answer of the request.
 */
function getFunctions(table: TableSql, tenant: string): readonly string[] {
  const ptr = `kontract_private.${identifier(table.ptr)}`;
  const own = table.owned ? " and u._owner = x.owner" : "";
  const name = literal(table.name);
  const hidden = hiddenVariable(table);
  const system = table.name.startsWith("_") ? " and x.system" : "";
  const parameters = `${READ_PARAMETERS}, p_id text`;
  const answer = (snapshot: string): string =>
    `concat_ws('|', ${snapshot}, i.value, st.epoch, u._txid, u._order, ${visibleData(table)})`;
  const live = (snapshot: string, condition: string): string =>
    `select ${answer(snapshot)} into answer
           from trxs x ${placeOf(table)} ${KNOWN_INCARNATION}
                left join ${ptr} u on u.id = p_id and u._deleted_txid is null${own}
          where ${mayRead(table, tenant)} ${condition}`;
  return [
    `create or replace function kontract_private.get_slowly_${table.key}(${parameters})
     returns text language plpgsql stable ${HELPER} as $f$
     #variable_conflict use_column
     declare ${HASHED_SID} ${hidden}
       s record; v record; v_inc text; v_answer bytea; v_first boolean := p_snap is null;
     begin
       select x.owner, x.tenant, x.system, x.ugroups, x.create_txid, st.ptr, st.horizon, st.epoch,
              st.permissions & p_bits as may, ${incarnationText("i.value")} as known
         into s
         from trxs x join storage st on st.owner = x.tenant and st.id = ${name} ${INCARNATION}
        where ${ALIVE};
       if not found then perform refuse(p_sid, ${name}); end if;
       if (s.may & 4) is distinct from 4 or s.ptr <> ${literal(table.ptr)} or pg_is_in_recovery()
          or (p_group is not null and (p_group = any (s.ugroups)) is not true)${
      system === "" ? "" : " or not s.system"
    } then
         perform deny(p_group, s.ugroups, s.may, 4, s.system, ${name});
       end if;
       if v_first then
         p_snap := pg_current_snapshot();
       elsif p_inc is distinct from s.known || '.' || s.epoch or pg_snapshot_xmin(p_snap) < s.horizon
             or pg_snapshot_xmax(p_snap) > pg_snapshot_xmax(pg_current_snapshot()) then
         raise exception 'snapshot' using errcode = '72000';
       end if;
       if not pg_visible_in_snapshot(s.create_txid, p_snap) then
         raise exception 'snapshot' using errcode = '72000';
       end if;
       if p_lane is not null then
         select e.answer into v_answer from effects e
          where e.tenant = s.tenant and e.owner = s.owner and e.lane = p_lane and e.reqno = p_reqno;
         if found then return 'R|' || encode(v_answer, 'base64'); end if;
       end if;
       ${
      table.swap === undefined ? "" : `if ${beforeSwap(table.swap)} then
         select b.txid, b.ord, b.data into v
           from before_swap(s.tenant, s.owner, ${name}, p_grants, p_snap, array[p_id]) b;
         return concat_ws('|', p_snap, s.known, s.epoch, v.txid, v.ord, v.data);
       end if;`
    }
       select u._txid, u._order, ${visibleData(table)} as data into v from ${ptr} u
        where u.id = p_id and u._deleted_txid is null${own.replace("x.", "s.")};
       if not found or not pg_visible_in_snapshot(v._txid, p_snap) then
         select u._txid, u._order, ${
      visibleData(table)
    } as data, u._deleted_txid into v from ${ptr} u
          where u.id = p_id and u._deleted_txid is not null${own.replace("x.", "s.")}
            and pg_visible_in_snapshot(u._txid, p_snap)
          order by u._deleted_txid desc limit 1;
         if not found or pg_visible_in_snapshot(v._deleted_txid, p_snap) then
           return concat_ws('|', p_snap, s.known, s.epoch);
         end if;
       end if;
       return concat_ws('|', p_snap, s.known, s.epoch, v._txid, v._order, v.data);
     end $f$`,
    `create or replace function kontract.get_${table.key}(${parameters})
     returns text language plpgsql stable ${DEFINER_HOT} as $f$
     #variable_conflict use_column
     declare answer text; ${hidden}
     begin ${
      threeReads(
        table,
        (condition) => live("pg_current_snapshot()", condition),
        (condition) => live("p_snap", `${condition} and pg_visible_in_snapshot(u._txid, p_snap)`),
      )
    }
       if answer is null then
         return get_slowly_${table.key}(p_sid, p_bits, p_group, p_grants, p_snap, p_inc, p_lane, p_reqno, p_id);
       end if;
       return answer;
     end $f$`,
  ];
}

/**
 * Version `u` was not closed yet in snapshot `$2`. Each side says which of the two indexes by key has it: neither
 * has both, and a search by key takes both.
 */
const VISIBLE =
  `(u._deleted_txid is null or u._deleted_txid is not null and not pg_visible_in_snapshot(u._deleted_txid, $2))`;

/** In `format`: what a query finds of a table (1) under its further conditions (2), in its order (3). */
const FOUND = `select * from kontract_private.%1$I u
  where pg_visible_in_snapshot(u._txid, $2) and ${VISIBLE} %2$s order by %3$s limit $5`;

/**
 * The same in the order of the key, which the index of live versions has. Of closed ones those are left that were
 * closed since the snapshot, by the index for that: few, or as many as the snapshot is old.
 */
const FOUND_BY_KEY = `select * from (
  (select * from kontract_private.%1$I u
    where pg_visible_in_snapshot(u._txid, $2) and u._deleted_txid is null %2$s order by %3$s limit $5)
  union all
  (select * from kontract_private.%1$I u
    where pg_visible_in_snapshot(u._txid, $2) and u._deleted_txid >= pg_snapshot_xmin($2)
      and not pg_visible_in_snapshot(u._deleted_txid, $2) %2$s order by %3$s limit $5)) u
  order by %3$s limit $5`;

/** Functions that serve every table. */
export const READ_FUNCTIONS: readonly string[] = [
  // p_query: { where, order, after, exclude, limit, backward, bytes }. With \`bytes\` (of the rows as they are stored)
  // the list may end before the limit, then with a null in place of what follows.
  `create or replace function kontract.query(${READ_PARAMETERS}, p_table text, p_query jsonb,
     out rows json, out snap pg_snapshot, out inc text, out replay bytea)
   language plpgsql stable ${DEFINER} as $f$
   #variable_conflict use_column
   declare
     ${HASHED_SID} s record; hidden text[]; back boolean := coalesce((p_query->>'backward')::boolean, false);
     v_left int := (p_query->>'limit')::int; v_after text; part json; conditions text; sorted text;
     v_bytes int := (p_query->>'bytes')::int; v_cut boolean := false; fits text := '';
   begin ${enter("p_table", "p_table")}
     hidden := ${HIDDEN};
     conditions := concat(case when s.owned then ' and u._owner = $4' end,
       where_sql(s.fields, s.bits, s.lazy, p_grants, p_query->'where'),
       case when jsonb_array_length(p_query->'exclude') > 0
         then ' and u.id <> all (array(select jsonb_array_elements_text($8)))' end);
     sorted := order_sql(s.fields, s.bits, s.lazy, p_grants, p_query->'order', back);
     if v_bytes is not null then fits := ' filter (where r.n = 1 or r.size <= $9)'; end if;
     foreach v_after in array after_sql(s.fields, s.lazy, p_query->'order', p_query->'after', back) loop
       execute format($q$
         select coalesce(json_agg(json_build_array(r.id, ($6 || r.data) - $7, r._txid::text, r._owner, r._order)
                  order by r.n)%2$s, '[]'), count(*) > count(*)%2$s
           from (select u.*, row_number() over () as n%3$s from (%1$s) u) r $q$,
         format(case when is_key(s.fields, p_query->'order'->0->0, p_query->'order'->0->>2)
             then $q$${FOUND_BY_KEY}$q$ else $q$${FOUND}$q$ end,
           s.ptr, conditions || v_after, sorted), fits,
         case when v_bytes is not null
           then ', sum(pg_column_size(u.data)) over (rows unbounded preceding) as size' else '' end)
       into part, v_cut
       using p_query->'where', p_snap, p_query->'after', s.owner, v_left, s.lazy, hidden, p_query->'exclude', v_bytes;
       v_left := v_left - json_array_length(part);
       -- Two lists as text: taken apart and put together again they would cost as much as the query.
       rows := case when rows is null or rows::text = '[]' then part when part::text = '[]' then rows
         else (left(rows::text, -1) || ', ' || substr(part::text, 2))::json end;
       exit when v_left <= 0 or v_cut;
     end loop;
     if v_cut then rows := (left(rows::text, -1) || ', null]')::json; end if;
   end $f$`,

  `create or replace function kontract.count(${READ_PARAMETERS}, p_table text, p_query jsonb,
     out total bigint, out snap pg_snapshot, out inc text, out replay bytea)
   language plpgsql stable ${DEFINER} as $f$
   #variable_conflict use_column
   declare ${HASHED_SID} s record;
   begin ${enter("p_table", "p_table")}
     execute format($q$ select count(*) from kontract_private.%I u
         where pg_visible_in_snapshot(u._txid, $2)
           and ${VISIBLE} %s %s %s $q$,
       s.ptr,
       case when s.owned then ' and u._owner = $3' else '' end,
       where_sql(s.fields, s.bits, s.lazy, p_grants, p_query->'where'),
       case when jsonb_array_length(p_query->'exclude') > 0
         then ' and u.id <> all (array(select jsonb_array_elements_text($4)))' else '' end)
     into total using p_query->'where', p_snap, s.owner, p_query->'exclude';
   end $f$`,
];
