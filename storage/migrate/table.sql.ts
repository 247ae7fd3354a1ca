/**
 * DDL of one data table: versions of rows, never an update in place but for closing a version.
 *
 * Indexes: unique on the live key; `(id, _txid)` over closed versions for old snapshots; `_txid` and
 * `_deleted_txid` for validation and the change feed; one per declared index over all versions (old
 * snapshots are served too) and, where unique, a second over live versions that enforces it.
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
       _owner text collate "C" not null,
       _order bigint not null
     ) with (autovacuum_vacuum_scale_factor = 0.02)`,
    `create unique index ${
      identifier(`${ptr}_live`)
    } on ${name} (${key}) where _deleted_txid is null`,
    `create index ${
      identifier(`${ptr}_old`)
    } on ${name} (${key}, _txid) where _deleted_txid is not null`,
    `create index ${identifier(`${ptr}_txid`)} on ${name} (_txid)`,
    `create index ${
      identifier(`${ptr}_closed`)
    } on ${name} (_deleted_txid) where _deleted_txid is not null`,
    `create index ${identifier(`${ptr}_order`)} on ${name} (${owned ? "_owner, " : ""}_order)`,
  ];
}
