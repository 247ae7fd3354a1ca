/**
 * Rebuilding a table beside the one in use, and the swap.
 *
 * The copy needs no lock: it reads live rows in the order of their keys, then catches up with what the
 * old table saw since, by the same difference of snapshots as the change feed, until little is left. The
 * rest happens in the migration's transaction, under the table lock that every commit shares: the last
 * difference, then the old table is frozen (`CHECK (false) NOT VALID`) and `storage` points to the new
 * one. Readers wait for nothing but that last moment.
 *
 * `_txid`, which is `_born` as well, `_owner` and `_order` are carried over. Closed versions are not: a snapshot that sees the
 * swap sees everything that was closed before it, and one that does not reads the old table.
 *
 * @module
 */
import type postgres from "postgres";
import type { TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { KontractError } from "../../_internal/errors.ts";
import type { JsonObject } from "../row_codec.ts";
import { TableRules } from "../table_rules.ts";
import { livePage, PAGE, type StoredTable, unguarded } from "./applied.ts";
import { EXEC_SCHEMA, identifier, OWNER_ROLE } from "./definer.ts";
import {
  buildIndexes,
  duplicates,
  type ExpressionSource,
  type WantedIndex,
  wantedIndexes,
} from "./indexes.ts";
import type { MigrationRow, RowChange } from "./migration.ts";
import { pages } from "./pages.ts";
import { refusal, type StoredDef } from "./plan.ts";
import type { Statements } from "./statements.ts";
import { createTable, outsideSnapshot } from "./table.sql.ts";
import { rowCheck } from "./value_check.ts";

/** A version on its way. */
interface Version {
  readonly id: string;
  readonly owner: string;
  readonly ord: string;
  readonly txid: string;
  readonly data: JsonObject;
}

/** Units of JSON text in one statement: a value of PostgreSQL's holds 256 MiB. */
const STATEMENT = 16 * 1024 * 1024;
/** Differences this small are left to the transaction that holds the lock. */
const SMALL = 500;
const ROUNDS = 20;

/** A new name for a physical table. */
export function newPtr(): string {
  return `tbl_${crypto.getRandomValues(new Uint8Array(12)).toHex()}`;
}

/** One table being rebuilt. */
export class Rebuild {
  readonly source: StoredTable;
  /** Physical name of the new table. */
  readonly ptr: string = newPtr();
  /** Rows copied, and copied again where they changed meanwhile. */
  copied = 0;
  readonly #sql: postgres.Sql;
  readonly #table: TableDef;
  readonly #types: ShapeTable;
  readonly #changes: readonly RowChange[];
  readonly #before: TableRules;
  readonly #after: TableRules;
  readonly #check: string;
  #since = "";
  #indexes: readonly WantedIndex[] = [];

  /** `table` and `types` are what the rows become. `sql` must be one connection. */
  constructor(
    sql: postgres.Sql,
    source: StoredTable,
    target: StoredDef,
    changes: readonly RowChange[],
  ) {
    this.source = source;
    this.#sql = sql;
    this.#table = target.table;
    this.#types = target.types;
    this.#changes = changes;
    this.#before = new TableRules(unguarded(source.def.table), source.def.types, 7, {});
    this.#after = new TableRules(unguarded(target.table), target.types, 7, {});
    this.#check = rowCheck(target.table, target.types);
  }

  /**
   * Makes and fills the new table; noted in `rebuilds`, so that one that was cut off is dropped later.
   *
   * @throws {KontractError} `MIGRATION_REFUSED` naming the row that does not fit.
   */
  async copy(expressions: ExpressionSource): Promise<void> {
    await this.#transaction(async (tx) => {
      await tx`insert into kontract_private.rebuilds (ptr) values (${this.ptr})`;
      for (const statement of createTable(this.ptr, this.#table.rows === "owner")) {
        await tx.unsafe(statement);
      }
    });
    this.#since = await this.#snapshot(this.#sql);
    let last = await this.#copyPage();
    while (last !== undefined) last = await this.#copyPage(last);
    for (let round = 0; round < ROUNDS; round++) {
      const { next, touched } = await this.#transaction((tx) => this.#catchUp(tx));
      this.#since = next;
      if (touched < SMALL) break;
    }
    this.#indexes = await wantedIndexes(
      this.#sql,
      this.#table,
      this.#types,
      { ptr: this.ptr, lazy: {} },
      expressions,
    );
    await this.#transaction((tx) =>
      buildIndexes(tx, this.#table, this.ptr, this.#indexes, "in transaction")
    );
    await this.#sql.unsafe(`analyze kontract_private.${identifier(this.ptr)}`);
  }

  /**
   * The last difference; then nobody can write the old table any more. In the migration's transaction, as
   * the owner, with the table lock held. May be repeated where that transaction is.
   */
  async finish(tx: postgres.TransactionSql): Promise<void> {
    const name = `kontract_private.${identifier(this.source.ptr)}`;
    await tx.unsafe(`lock table ${name} in share row exclusive mode`);
    await this.#catchUp(tx);
    const sequence = (ptr: string): string => `kontract_private.${identifier(`${ptr}_seq`)}`;
    await tx.unsafe(
      `select setval('${sequence(this.ptr)}', nextval('${sequence(this.source.ptr)}'))`,
    );
    await tx`delete from kontract_private.rebuilds where ptr = ${this.ptr}`;
  }

  /** Removes the new table; for a migration that fails in an orderly way. */
  async drop(): Promise<void> {
    await this.#transaction((tx) => dropPhysical(tx, this.ptr));
  }

  /** One page of live rows after `last`; answers with its end. */
  async #copyPage(last?: Version): Promise<Version | undefined> {
    return await this.#transaction(async (tx) => {
      const rows = await this.#read(tx, livePage(this.source), [last?.owner ?? "", last?.id ?? ""]);
      await this.#write(tx, rows);
      return rows.at(-1);
    });
  }

  /** Copies again what was made or closed since the last look. */
  async #catchUp(
    tx: postgres.TransactionSql,
  ): Promise<{ readonly next: string; readonly touched: number }> {
    const old = `kontract_private.${identifier(this.source.ptr)}`;
    const next = await this.#snapshot(tx);
    await tx.unsafe("set local enable_seqscan = off");
    const outside = {
      xmax: "pg_snapshot_xmax($1::pg_snapshot)",
      xips: "array(select pg_snapshot_xip($1::pg_snapshot))",
    };
    const keys = await tx.unsafe(
      `select k._owner, k.id, (select pg_column_size(l.data) from ${old} l
          where l.id = k.id and l._owner = k._owner and l._deleted_txid is null) as bytes
         from (select distinct u._owner, u.id from (
         ${outsideSnapshot(old, "_deleted_txid", outside)} union all ${
        outsideSnapshot(old, "_born", outside)
      }) u) k`,
      [this.#since],
    );
    // Asked afterwards: what is removed meanwhile is below a horizon that is known by then.
    const [row] = await tx`
      select st.horizon > pg_snapshot_xmin(${this.#since}::pg_snapshot) as lost from kontract.storage st
       where st.owner = ${this.source.owner} and st.id = ${this.source.id}`;
    if (row?.lost !== false) {
      throw new KontractError(
        "MIGRATION_REFUSED",
        `Table '${this.source.id}': copying took longer than the retention of old versions. Run the migration ` +
          "again at a quieter time.",
      );
    }
    const some = `select e->>0 as owner, e->>1 as id from jsonb_array_elements($1::text::jsonb) e`;
    const batches = [...pages(keys, (key) => Number(key.bytes), PAGE)].map((page) =>
      JSON.stringify(page.map((key) => [key._owner, key.id]))
    );
    // All of them before any is copied: a row may have the key, or a unique value, that another one had.
    for (const pairs of batches) {
      await tx.unsafe(
        `delete from kontract_private.${identifier(this.ptr)} n using (${some}) k
          where n.id = k.id and n._owner = k.owner`,
        [pairs],
      );
    }
    for (const pairs of batches) {
      const rows = await this.#read(
        tx,
        `(select u.* from ${old} u join (${some}) k on k.id = u.id and k.owner = u._owner
          where u._deleted_txid is null) v`,
        [pairs],
      );
      await this.#write(tx, rows);
    }
    return { next, touched: keys.length };
  }

  async #read(
    tx: postgres.TransactionSql,
    versions: string,
    params: readonly string[],
  ): Promise<readonly Version[]> {
    const rows = await tx.unsafe(
      `select v.id, v._owner as owner, v._order::text as ord, v._txid::text as txid, v.data
         from ${versions}`,
      [...params],
    );
    return rows as unknown as readonly Version[];
  }

  async #write(tx: postgres.TransactionSql, versions: readonly Version[]): Promise<void> {
    const rows: string[] = [];
    for (const version of versions) {
      const { id, txid, owner, ord } = version;
      const data = await this.#change(version);
      if (data !== null) rows.push(JSON.stringify([id, data, txid, owner, ord]));
    }
    this.copied += rows.length;
    const most = { rows: rows.length, bytes: STATEMENT };
    for (const some of pages(rows, ({ length }) => length, most)) {
      await this.#insert(tx, `[${some.join(",")}]`);
    }
  }

  /** Rows as JSON, into the new table. */
  async #insert(tx: postgres.TransactionSql, rows: string): Promise<void> {
    const [bad] = await tx.unsafe(
      `select w.id from (select e->>0 as id, e->1 as data
          from jsonb_array_elements($1::text::jsonb) e) w where (${this.#check}) is not true limit 1`,
      [rows],
    );
    if (bad !== undefined) throw this.#misfit(String(bad.id), "does not have the declared type");
    try {
      await tx.unsafe(
        `insert into kontract_private.${
          identifier(this.ptr)
        } (id, data, _txid, _born, _owner, _order)
           select e->>0, e->1, (e->>2)::xid8, (e->>2)::xid8, e->>3, (e->>4)::bigint
             from jsonb_array_elements($1::text::jsonb) e`,
        [rows],
      );
    } catch (cause) {
      const { code, constraint_name } = cause as Readonly<Record<string, unknown>>;
      if (code !== "23505") throw cause;
      const index = this.#indexes.find(({ name }) => name === constraint_name);
      throw refusal([duplicates(this.#table, index?.fields ?? [this.#table.primkey])]);
    }
  }

  /** One row through all changes, from the old type to the new one. */
  async #change(version: Version): Promise<JsonObject | null> {
    let row: MigrationRow | null;
    try {
      row = this.#before.decodeRow({ ...(this.source.lazy as JsonObject), ...version.data });
      for (const change of this.#changes) {
        row = await change(row);
        if (row === null) return null;
      }
      return this.#after.encodeRow(version.id, row, null);
    } catch (cause) {
      throw this.#misfit(version.id, cause instanceof Error ? cause.message : String(cause), cause);
    }
  }

  #misfit(id: string, why: string, cause?: unknown): KontractError {
    const { source, name } = this.#table;
    return new KontractError(
      "MIGRATION_REFUSED",
      `Table '${name}' (${source.file}:${source.line}), row '${id}': ${why}`,
      { cause, data: { table: name, key: id, file: source.file } },
    );
  }

  async #snapshot(sql: Statements): Promise<string> {
    const [row] = await sql`select pg_current_snapshot()::text as now`;
    return String(row!.now);
  }

  async #transaction<T>(work: (tx: postgres.TransactionSql) => Promise<T>): Promise<T> {
    return await this.#sql.begin(async (tx) => {
      await tx.unsafe(`set local role ${OWNER_ROLE}`);
      return await work(tx);
    }) as T;
  }
}

/** Drops a physical table and what belongs to it. As the owner. */
export async function dropPhysical(tx: postgres.TransactionSql, ptr: string): Promise<void> {
  await tx.unsafe(`drop view if exists ${EXEC_SCHEMA}.${identifier(ptr)}`);
  await tx.unsafe(`drop table if exists kontract_private.${identifier(ptr)}`);
  await tx.unsafe(`drop sequence if exists kontract_private.${identifier(`${ptr}_seq`)}`);
  await tx`delete from kontract_private.rebuilds where ptr = ${ptr}`;
}

/** Nobody writes a frozen table; to unfreeze it is to drop the constraint. */
export const FROZEN = "frozen";

/** The last thing before the swap commits: readers wait from here on. */
export async function freeze(tx: postgres.TransactionSql, ptr: string): Promise<void> {
  await tx.unsafe(
    `alter table kontract_private.${
      identifier(ptr)
    } add constraint ${FROZEN} check (false) not valid`,
  );
}
