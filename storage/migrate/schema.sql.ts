/**
 * Kontract's own tables. Run as `kontract_owner`; every statement can be repeated.
 *
 * - `storage` maps a tenant's logical table to its physical one and holds rights and field rules. With
 *   `trxs` it is one of the two tables the gateway may see, some columns of its own rows only.
 * - `effects` is the record that makes a request happen once: it is the first thing a commit writes.
 * - `incarnation` is UNLOGGED on purpose: empty after a crash, so that a snapshot taken before it is
 *   refused. `filled_by` equals the row's own `xmin`, except in a logical restore.
 * - `tombstones` keep a revoked session family dead until its longest token has ended. A row that is
 *   `-infinity` is no tombstone: it is what opening and ending a family's sessions meet on. The family `''`
 *   stands for a tenant that was dropped.
 * - `storage.retired` is the row as it was before the last swap, for snapshots that do not see `swap_txid`
 *   and for a rollback.
 *
 * @module
 */

import { LOCK_SALT } from "./lock_keys.ts";
import { TENANT_TABLES } from "./tenants.sql.ts";

/**
 * What a migration needs before its transaction; an older database gets it first. `rebuilds` names tables
 * that are being filled, so that one whose migration was killed is dropped by the next.
 */
export const LEDGER_TABLES: readonly string[] = [
  `alter table kontract.storage add column if not exists retired jsonb`,
  `alter table kontract_private.migrations add column if not exists undo jsonb not null default '[]'`,
  `create table if not exists kontract_private.migration_files (
     name text primary key,
     hash text not null,
     at timestamptz not null default now(),
     run bigint not null references kontract_private.migrations (id))`,
  `create table if not exists kontract_private.rebuilds (
     ptr text primary key,
     at timestamptz not null default now())`,
  ...LOCK_SALT,
];

/** Tables, in order of creation. */
export const TABLES: readonly string[] = [
  `create table if not exists kontract.storage (
     owner text collate "C" not null,
     id text collate "C" not null,
     ptr text not null,
     key text not null,
     permissions int not null,
     owned boolean not null,
     fields jsonb not null,
     bits jsonb not null,
     lazy jsonb not null,
     defaults jsonb not null,
     indexes jsonb not null,
     def jsonb not null,
     epoch text not null,
     horizon xid8 not null default '0',
     swap_txid xid8,
     primary key (owner, id))`,
  `create table if not exists kontract.trxs (
     sid bytea primary key,
     owner text not null,
     tenant text not null,
     family text not null,
     ugroups text[] not null default '{}',
     system boolean not null default false,
     create_txid xid8 not null default pg_current_xact_id(),
     expires_at timestamptz not null)`,
  `create index if not exists trxs_family on kontract.trxs (tenant, family)`,
  `create index if not exists trxs_owner on kontract.trxs (tenant, owner)`,
  `create index if not exists trxs_expires on kontract.trxs (expires_at)`,
  `create table if not exists kontract_private.keys (
     kid text primary key,
     header text not null,
     ipad bytea not null,
     opad bytea not null)`,
  `create table if not exists kontract_private.token_ids (
     jti text primary key,
     expires_at timestamptz not null)`,
  `create index if not exists token_ids_expires on kontract_private.token_ids (expires_at)`,
  `create table if not exists kontract_private.tombstones (
     tenant text not null,
     family text not null,
     until timestamptz not null,
     primary key (tenant, family))`,
  `create table if not exists kontract_private.effects (
     tenant text not null,
     owner text not null,
     lane text not null,
     reqno numeric(20) not null,
     answer bytea not null,
     created_at timestamptz not null default now(),
     primary key (tenant, owner, lane, reqno))`,
  `create index if not exists effects_created on kontract_private.effects (created_at)`,
  `create table if not exists kontract_private.markers (
     at timestamptz primary key default now(),
     incarnation text not null,
     horizon xid8 not null)`,
  `create unlogged table if not exists kontract_private.incarnation (
     one boolean primary key check (one),
     value text not null,
     filled_by xid not null)`,
  `create table if not exists kontract_private.meta (
     name text primary key,
     value text not null)`,
  `create table if not exists kontract_private.migrations (
     id bigint generated always as identity primary key,
     at timestamptz not null default now(),
     steps jsonb not null)`,
  ...LEDGER_TABLES,
  ...TENANT_TABLES,
];
