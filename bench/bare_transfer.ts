/**
 * The cheapest transfer in two round trips that PostgreSQL could make with the same record of versions and
 * effects: no session, no rights, no type of a row, no field, nothing but one table and two keys. What the
 * storage costs beyond it is what it checks; what it costs itself no check can go below.
 *
 * @module
 */
import type postgres from "postgres";
import { createTable } from "../storage/migrate/table.sql.ts";

/** A transfer of 1 between two accounts; again where another one came between. */
export type BareTransfer = (a: string, b: string) => Promise<void>;

const TABLE = "kontract_private.bare";

/** Makes table and function; `rows` accounts, `account0` on, with 1000 each. */
export async function bareTransfer(admin: postgres.Sql, rows: number): Promise<BareTransfer> {
  for (const statement of createTable("bare", false)) await admin.unsafe(statement);
  await admin.unsafe(
    `insert into ${TABLE} (id, data, _owner, _order) select 'account' || i,
       jsonb_build_object('id', 'account' || i, 'balance', 1000, 'city', 'Ulm'), 'o', i
       from generate_series(0, $1::int - 1) i`,
    [rows],
  );
  await admin.unsafe(`create table bare_effects (id bigint primary key, answer bytea)`);
  await admin.unsafe(`create function bare_put(
      p_id bigint, a text, a_seen xid8, a_data jsonb, b text, b_seen xid8, b_data jsonb)
    returns boolean language plpgsql as $f$
    declare x bigint := hashtextextended(a, 12); y bigint := hashtextextended(b, 12); v boolean; found tid[];
    begin
      insert into bare_effects values (p_id, '') on conflict do nothing;
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
    end $f$`);
  let request = 0;
  const prepare = { prepare: true };
  return async (a, b) => {
    for (;;) {
      const rows = await admin.unsafe(
        `select id, data, _txid::text from ${TABLE} where id in ($1, $2) and _deleted_txid is null`,
        [a, b],
        prepare,
      );
      const changed = (id: string, by: number): readonly [string, string, string] => {
        const { data, _txid } = rows.find((row) => row.id === id)!;
        return [id, _txid, JSON.stringify({ ...data, balance: data.balance + by })];
      };
      try {
        await admin.unsafe(
          "select bare_put($1, $2, $3, $4::text::jsonb, $5, $6, $7::text::jsonb)",
          [++request, ...changed(a, -1), ...changed(b, 1)],
          prepare,
        );
        return;
      } catch (error) {
        if ((error as { code?: string }).code !== "40001") throw error;
      }
    }
  };
}
