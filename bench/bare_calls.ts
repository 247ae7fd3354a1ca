/**
 * The cheapest calls that PostgreSQL could serve with the same record of versions and effects: no session, no
 * rights, no incarnation, no type of a row, no field, nothing but one table and its keys. What the storage costs
 * beyond them is what it checks; what they cost themselves no check can go below.
 *
 * @module
 */
import type postgres from "postgres";
import { DEFINER_HOT } from "../storage/migrate/definer.ts";
import { createTable } from "../storage/migrate/table.sql.ts";

/** The calls, over rows `account0` on. */
export interface BareCalls {
  /** Reads a row, by a function with the settings of those that the gateway may call. */
  get(id: string): Promise<unknown>;
  /** Writes one blindly: effect, locks, closed copy, update. */
  set(id: string, balance: number): Promise<unknown>;
  /** A transfer of 1 between two accounts in two round trips; again where another one came between. */
  transfer(a: string, b: string): Promise<void>;
}

const TABLE = "kontract_private.bare";
const PREPARE = { prepare: true };

/** Makes table and functions; `rows` accounts with 1000 each. */
export async function bareCalls(admin: postgres.Sql, rows: number): Promise<BareCalls> {
  for (const statement of createTable("bare", false)) await admin.unsafe(statement);
  await admin.unsafe(
    `insert into ${TABLE} (id, data, _owner, _order) select 'account' || i,
       jsonb_build_object('id', 'account' || i, 'balance', 1000, 'city', 'Ulm'), 'o', i
       from generate_series(0, $1::int - 1) i`,
    [rows],
  );
  await admin.unsafe(
    `create table kontract_private.bare_effects (id bigint primary key, answer bytea)`,
  );
  for (const text of [GET, SET, TRANSFER]) await admin.unsafe(text);
  await admin.unsafe("vacuum analyze");
  let request = 0;
  return {
    get: (id) => admin.unsafe("select bare_get($1) as r", [id], PREPARE),
    set: (id, balance) =>
      admin.unsafe("select bare_set($1, $2, $3::text::jsonb) as r", [
        ++request,
        id,
        JSON.stringify({ id, balance, city: "Ulm" }),
      ], PREPARE),
    transfer: (a, b) => transfer(admin, () => ++request, a, b),
  };
}

const GET =
  `create function bare_get(p_id text) returns text language plpgsql stable ${DEFINER_HOT} as $f$
  declare answer text;
  begin
    select concat_ws('|', pg_current_snapshot(), u._txid, u._order, u.data) into answer
      from ${TABLE} u where u.id = p_id and u._deleted_txid is null;
    return answer;
  end $f$`;

const SET = `create function bare_set(p_request bigint, p_id text, p_data jsonb) returns text
  language plpgsql ${DEFINER_HOT} as $f$
  declare v_one boolean; v_two boolean; v_row tid;
  begin
    insert into bare_effects values (p_request, '') on conflict do nothing
      returning pg_advisory_xact_lock_shared(12) is null,
                pg_advisory_xact_lock(hashtextextended(p_id, 12)) is null into v_one, v_two;
    select u.ctid into v_row from ${TABLE} u where u.id = p_id and u._deleted_txid is null;
    insert into ${TABLE} (id, data, _txid, _deleted_txid, _born, _owner, _order)
      select u.id, u.data, u._txid, pg_current_xact_id(), u._born, u._owner, u._order from ${TABLE} u
       where u.ctid = v_row;
    update ${TABLE} u set data = p_data, _txid = pg_current_xact_id() where u.ctid = v_row;
    return '';
  end $f$`;

const TRANSFER = `create function bare_put(
    p_id bigint, a text, a_seen xid8, a_data jsonb, b text, b_seen xid8, b_data jsonb)
  returns boolean language plpgsql as $f$
  declare x bigint := hashtextextended(a, 12); y bigint := hashtextextended(b, 12); v boolean; found tid[];
  begin
    insert into kontract_private.bare_effects values (p_id, '') on conflict do nothing;
    v := pg_advisory_xact_lock(least(x, y)) is null;
    v := pg_advisory_xact_lock(greatest(x, y)) is null;
    found := array(select u.ctid from ${TABLE} u where u._deleted_txid is null
      and (u.id = a and u._txid = a_seen or u.id = b and u._txid = b_seen));
    if cardinality(found) < 2 then raise exception 'conflict' using errcode = '40001'; end if;
    insert into ${TABLE} (id, data, _txid, _deleted_txid, _born, _owner, _order)
      select u.id, u.data, u._txid, pg_current_xact_id(), u._born, u._owner, u._order
        from ${TABLE} u where u.ctid = any (found);
    update ${TABLE} u set data = case when u.id = a then a_data else b_data end, _txid = pg_current_xact_id()
     where u.ctid = any (found);
    return true;
  end $f$`;

async function transfer(
  admin: postgres.Sql,
  request: () => number,
  a: string,
  b: string,
): Promise<void> {
  for (;;) {
    const rows = await admin.unsafe(
      `select id, data, _txid::text from ${TABLE} where id in ($1, $2) and _deleted_txid is null`,
      [a, b],
      PREPARE,
    );
    const changed = (id: string, by: number): readonly [string, string, string] => {
      const { data, _txid } = rows.find((row) => row.id === id)!;
      return [id, _txid, JSON.stringify({ ...data, balance: data.balance + by })];
    };
    try {
      await admin.unsafe(
        "select bare_put($1, $2, $3, $4::text::jsonb, $5, $6, $7::text::jsonb)",
        [request(), ...changed(a, -1), ...changed(b, 1)],
        PREPARE,
      );
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "40001") throw error;
    }
  }
}
