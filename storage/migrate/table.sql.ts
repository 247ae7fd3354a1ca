/**
 * DDL of one data table: versions of rows, the live ones and those that were closed.
 *
 * A row that changes keeps its place: a copy of the old version, closed, is put in and the live one is
 * overwritten. No column of an index changes then (unless a declared index is on the data), so the server
 * makes no index entries for it and reclaims the overwritten tuple by itself; `fillfactor` leaves it the
 * room. A version may as well be closed where it stands and its successor inserted. Whatever changed
 * since a snapshot is found in one of two ways, never by `_txid`, which no index has:
 *
 * - a version that was closed, by its `_deleted_txid`, and the live row of the same key as its successor;
 * - a live row that was inserted, by its `_born`, the transaction that did it.
 *
 * Indexes: unique on the live key; `(id, _deleted_txid)` over closed versions for old snapshots;
 * `(_deleted_txid, _born)` for validation, the change feed and garbage collection; one per declared index
 * over all versions (old snapshots are served too) and, where unique, a second over live versions that
 * enforces it.
 *
 * @module
 */
import { identifier } from "./definer.ts";

/** Statements that create an empty physical table. */
export function createTable(ptr: string, owned: boolean): readonly string[] {
  const name = `kontract_private.${identifier(ptr)}`;
  const key = owned ? "_owner, id" : "id";
  return [
    `create sequence kontract_private.${identifier(`${ptr}_seq`)}`,
    `create table ${name} (
       id text collate "C" not null,
       data jsonb not null,
       _txid xid8 not null default pg_current_xact_id(),
       _deleted_txid xid8,
       _born xid8 not null default pg_current_xact_id(),
       _owner text collate "C" not null,
       _order bigint not null
     ) with (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 80)`,
    `create unique index ${
      identifier(`${ptr}_live`)
    } on ${name} (${key}) where _deleted_txid is null`,
    `create index ${
      identifier(`${ptr}_old`)
    } on ${name} (${key}, _deleted_txid) where _deleted_txid is not null`,
    `create index ${identifier(`${ptr}_changed`)} on ${name} (_deleted_txid, _born)`,
    `create index ${identifier(`${ptr}_order`)} on ${name} (${owned ? "_owner, " : ""}_order)`,
  ];
}

/** Puts in closed copies of the live versions `u` that `where` finds, before they are overwritten. */
export function keepVersions(name: string, where: string): string {
  return `insert into ${name} (id, data, _txid, _deleted_txid, _born, _owner, _order)
         select u.id, u.data, u._txid, pg_current_xact_id(), u._born, u._owner, u._order
           from ${name} u where ${where}`;
}

/**
 * Versions that were closed (`_deleted_txid`), or live rows that were inserted (`_born`), by transactions from
 * `xmax` on or one of `xips`. `more` is a condition on \`u\`, or empty. The order is the index's: without it a
 * plan made early may be a walk over the table.
 */
export function outsideSnapshot(
  name: string,
  column: "_deleted_txid" | "_born",
  { xmax, xips, more = "" }: {
    readonly xmax: string;
    readonly xips: string;
    readonly more?: string;
  },
): string {
  const live = column === "_born" ? "u._deleted_txid is null and " : "";
  const search = (test: string): string =>
    `(select u.* from ${name} u where ${live}u.${column} ${test} ${more} order by u._deleted_txid, u._born)`;
  return `${search(`>= ${xmax}`)} union all
       select u.* from unnest(${xips}) x(xid) cross join lateral ${search("= x.xid")} u`;
}
