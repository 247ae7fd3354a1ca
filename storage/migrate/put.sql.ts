/**
 * The commit of one row: what `commit` does (see there for the order and what it promises), written
 * out for one table and one key. Most calls that write change one row they have read, or write one blindly.
 *
 * The effect record and then the locks; everything that is checked, with the live version, in one fresh
 * statement; the writes. As for `get`, setting statements and expressions up is most of the cost, so all is
 * conditions of one search, with fewer of them where nothing was read; why it found nothing is asked by
 * another, only then. Tenant and owner are compared in a form that no index serves: only the session's id may
 * choose how its row is found.
 *
 * @module
 */
import { failure, staleSnapshot, write } from "./commit.sql.ts";
import { DEFINER_HOT, identifier, literal } from "./definer.ts";
import {
  ALIVE_SID,
  INCARNATION,
  incarnationText,
  placeOf,
  tableOf,
  type TableSql,
} from "./read.sql.ts";
import { beforeSwap } from "./retired.sql.ts";
import { keepVersions } from "./table.sql.ts";

/**
 * `put_<key>`: `p_read` says whether the row was read by this call, and `p_seen` the version it was
 * (null: there was none). `p_data` null deletes.
 */
export function putFunction(table: TableSql, tenant: string): string {
  const ptr = `kontract_private.${identifier(table.ptr)}`;
  const name = literal(table.name);
  const at = `${literal(tenant)} || chr(10) || ${name}`;
  const locks = `pg_advisory_xact_lock_shared(hashtextextended(${at}, 11)) is null,
              pg_advisory_xact_lock(hashtextextended(${at} || chr(10) || p_id, 12)) is null`;
  const fail = (errcode: string, message: string, detail: string) =>
    failure(table, errcode, message, detail);
  return `create or replace function kontract.put_${table.key}(
     p_sid text, p_owner text, p_bits int, p_group text, p_grants jsonb, p_snap pg_snapshot, p_inc text,
     p_lane text, p_reqno numeric, p_answer bytea, p_id text, p_read boolean, p_seen xid8, p_data jsonb)
   returns text language plpgsql volatile ${DEFINER_HOT} as $f$
   #variable_conflict use_column
   declare
     v_one boolean; v_two boolean; v_wrong text; v_row tid; v_before jsonb; may int; broken text;
   begin
     if p_lane is null then
       select ${locks} into v_one, v_two;
     else
       insert into effects (tenant, owner, lane, reqno, answer)
         values (${literal(tenant)}, p_owner, p_lane, p_reqno, p_answer) on conflict do nothing
         returning ${locks} into v_one, v_two;
       if not found then
         return stored_answer(p_sid, ${literal(tenant)}, p_owner, p_group, p_lane, p_reqno);
       end if;
     end if;
     ${look(table, tenant)}
     if v_row is null then
       if not found then
         ${lookAgain(table, tenant)}
       end if;
       if v_row is null and p_lane is not null then
         perform 1 from ${ptr} u where u.id = p_id and u._deleted_txid > pg_current_xact_id()${
    table.owned ? " and u._owner = p_owner" : ""
  } limit 1;
         if found then ${fail("40001", "conflict", ", 'key', p_id")} end if;
       end if;
     end if;
     if p_data is null then
       update ${ptr} u set _deleted_txid = pg_current_xact_id() where u.ctid = v_row;
       return '';
     end if;
     ${isGuarded(table) ? guard(table, fail) : ""}
     ${
    write(
      table,
      literal(tenant),
      `if v_row is null then
         insert into ${ptr} (id, data, _owner, _order)
           values (p_id, p_data, p_owner, nextval('kontract_private.${table.ptr}_seq'));
       else
         ${keepVersions(ptr, "u.ctid = v_row")};
         update ${ptr} u set data = p_data, _txid = pg_current_xact_id() where u.ctid = v_row;
       end if;`,
    )
  }
     return '';
   end $f$`;
}

/**
 * Bits that the commit needs, as a SQL expression of constants: a variable, or a sum, would have to be set up in
 * each call.
 */
const NEED = `(case when p_data is null then case when p_read then 5 else 1 end
              when p_read then 6 else 2 end)`;

/** True where fields have rights of their own; what may be written then depends on what was there. */
function isGuarded(table: TableSql): boolean {
  return Object.keys(table.bits).length > 0;
}

function guarded(table: TableSql, column: string): string {
  return isGuarded(table) ? `, ${column}` : "";
}

/** Finds the live version, or that there is none, where nothing is out of the ordinary. */
function look(table: TableSql, tenant: string): string {
  // An id taken before waiting may be older than what it overwrites: as in commit.
  const search = (allowed: string): string =>
    `select u.ctid${guarded(table, "u.data")} into v_row${guarded(table, "v_before")}
         ${sessionAndRow(table, placeOf(table))} and ${allowed} and ${mayCommit(table, tenant)}
          and (u._txid <= pg_current_xact_id()) is not false`;
  return `if p_snap is null and not p_read then
       ${search("st.permissions & p_bits & case when p_data is null then 1 else 2 end <> 0")};
     else
       ${search(hasBits(NEED))} and ${knownSnapshot(table)}
          and (not p_read or pg_snapshot_xmin(p_snap) >= st.horizon and u._txid is not distinct from p_seen);
     end if;`;
}

/** Session, table as `joined`, incarnation and the live version, for the session alone. */
function sessionAndRow(table: TableSql, joined: string): string {
  return `from trxs x ${joined} ${INCARNATION}
            left join kontract_private.${identifier(table.ptr)} u
              on u.id = p_id and u._deleted_txid is null${
    table.owned ? " and u._owner = x.owner" : ""
  }
        where ${ALIVE_SID}`;
}

/** Condition for the bits `need`, which may be chosen by a CASE. */
export function hasBits(need: string): string {
  return `st.permissions & p_bits & ${need} = ${need}`;
}

/** Condition for whoever has them and may commit to the table in its place; no row where anything is out of the ordinary. */
export function mayCommit(table: TableSql, tenant: string): string {
  return `x.tenant is not distinct from ${literal(tenant)} and x.owner is not distinct from p_owner
            and current_setting('transaction_isolation') = 'read committed'
            and current_setting('synchronous_commit') <> 'off'
            and (p_group is null or p_group = any (x.ugroups))${
    table.name.startsWith("_") ? " and x.system" : ""
  } and i.value is not null`;
}

/** Condition under which what was read in the call's snapshot can be validated; not where it is null. */
export function knownSnapshot(table: TableSql): string {
  return `p_inc = i.value || '.' || st.epoch
            and pg_snapshot_xmax(p_snap) <= pg_snapshot_xmax(pg_current_snapshot())
            and pg_visible_in_snapshot(x.create_txid, p_snap)${
    table.swap === undefined ? "" : ` and not (${beforeSwap(table.swap)})`
  }`;
}

/** Finds out what is out of the ordinary and raises it, or finds the row, if any. */
function lookAgain(table: TableSql, tenant: string): string {
  return `select case
         when pg_is_in_recovery() or current_setting('transaction_isolation') <> 'read committed'
              or current_setting('synchronous_commit') = 'off' then 'insist'
         when x.tenant <> ${literal(tenant)} or x.owner is distinct from p_owner then 'nobody'
         when (st.permissions & p_bits & ${NEED}) is distinct from ${NEED} or st.ptr <> ${
    literal(table.ptr)
  }
              or (p_group is not null and (p_group = any (x.ugroups)) is not true)${
    table.name.startsWith("_") ? " or not x.system" : ""
  } then 'deny'
         when p_snap is not null and (${
    staleSnapshot(incarnationText("i.value"), "st.epoch", "x.create_txid")
  })
              or p_read and (p_snap is null or pg_snapshot_xmin(p_snap) < st.horizon) then 'snapshot'
         -- As in commit: an id taken before waiting may be older than what it overwrites.
         when p_read and u._txid is distinct from p_seen${
    table.swap === undefined ? "" : `
              or p_snap is not null and ${beforeSwap(table.swap)}`
  }
              or p_lane is not null and u._txid > pg_current_xact_id() then 'conflict'
         when i.value is null then 'incarnation'
         else 'nothing' end,
         u.ctid${guarded(table, "u.data")}
       into v_wrong, v_row${guarded(table, "v_before")}
       ${sessionAndRow(table, tableOf(table, tenant))};
     -- Not wrong any more where somebody else has just filled the incarnation.
     if v_wrong is distinct from 'nothing' then
       perform put_wrong(v_wrong, p_sid, p_bits, p_group, ${NEED}, ${literal(table.name)}, p_id);
     end if;`;
}

/** Field rules for `p_data` over `v_before`, field by field; as in commit. */
function guard(
  table: TableSql,
  fail: (errcode: string, message: string, detail: string) => string,
): string {
  const lazy = `${literal(JSON.stringify(table.lazy))}::jsonb`;
  const defaults = `${literal(JSON.stringify(table.defaults))}::jsonb`;
  const fields = Object.entries(table.bits).map(([field, bits]) => {
    const name = literal(field);
    return `
     may := ${bits} | coalesce((p_grants->>${name})::int, 0);
     if may & 2 = 0 and p_data ? ${name} and p_data->${name} is distinct from v_before->${name} then
       ${fail("42501", "field", `, 'field', ${name}`)}
     end if;
     if may & 6 <> 6 and not p_data ? ${name} and v_before ? ${name} then
       p_data := p_data || jsonb_build_object(${name}, v_before->${name});
     end if;`;
  });
  return `v_before := case when v_row is null then ${defaults} else ${lazy} || v_before end;${
    fields.join("")
  }`;
}
