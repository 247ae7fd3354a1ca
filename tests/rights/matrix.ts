/**
 * The permission matrix of one app: every table, field and route, every operation, against the algebra.
 *
 * The subject is PostgreSQL. The gateway would refuse most of it before anything is sent, so the matrix is gone
 * through twice: as an app runs, and **blind**, where the gateway's half believes that everything is allowed and
 * only the bits that reach the database are true.
 *
 * A table, field or route that is added to an app is covered by itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Bits, FieldDef, Manifest, TableDef } from "../../_internal/manifest.ts";
import { KontractError } from "../../_internal/errors.ts";
import type { CallOptions, StorageEngine, StorageSession } from "../../storage/contract.ts";
import type { Database, SqlParam, SqlRow } from "../../storage/database.ts";
import { storageEngine } from "../../storage/engine.ts";
import { exec } from "../../storage/exec/testing/query.ts";
import { encodeValue } from "../../storage/row_codec.ts";
import { type AnyRow, type AnyTable, call, run } from "../../storage/testing/tables.ts";
import type { TestDatabase } from "../postgres.ts";
import { Rights, type RouteRights, type Verdict } from "./algebra.ts";
import { filterOf, hasOrder, queriesOf, sample, type TableQueries } from "./samples.ts";

/** What a matrix is made from. */
export interface MatrixParts {
  readonly app: Pick<Manifest, "tables" | "routes" | "types">;
  readonly db: TestDatabase;
  readonly database: Database;
}

/** Where the gateway looks, and where it does not. */
export type Mode = "seeing" | "blind";

/** Bits of the route in a statement, by the statement's name: the position of the parameter. */
const BITS_AT: Readonly<Record<string, number>> = {
  "put": 2,
  "put_many": 2,
  "commit": 3,
  "tenant:commit": 3,
  "tenant:put": 3,
  "tenant:put_many": 3,
};

/** Passes on with other route bits than the caller said. */
class OtherBits implements Database {
  bits = 7;
  readonly #inner: Database;

  constructor(inner: Database) {
    this.#inner = inner;
  }

  execute(statement: string, params: readonly SqlParam[]): Promise<readonly SqlRow[]> {
    const at = BITS_AT[statement] ?? BITS_AT[statement.split(":")[0]!] ?? 1;
    assert.equal(params[at], 7, `the bits of '${statement}' stand elsewhere now`);
    return this.#inner.execute(statement, params.with(at, this.bits));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Routes of the app and, for PostgreSQL, each of R, W, X alone, none and all; alike ones once. */
export function routesOf(
  app: MatrixParts["app"],
  table: TableDef,
  mode: Mode,
): readonly RouteRights[] {
  const found = new Map<string, RouteRights>();
  const add = (perm: number, grants: Readonly<Record<string, number>>): void => {
    const own = Object.entries(grants).filter(([path]) => path.startsWith(`${table.name}.`)).sort();
    found.set(JSON.stringify([perm, own]), { perm, grants: Object.fromEntries(own) });
  };
  for (const perm of mode === "blind" ? [0, 1, 2, 4, 7] : []) add(perm, {});
  for (const { meta } of app.routes) add(meta.perm, meta.grants);
  return [...found.values()];
}

/** Values are told apart by these, in all tables and modes. */
let numbers = 0;

/** The matrix of one table. */
export class TableMatrix {
  readonly #parts: MatrixParts;
  readonly #table: TableDef;
  readonly #mode: Mode;
  readonly #queries: TableQueries;
  readonly #bits: OtherBits;
  readonly #engine: StorageEngine;
  readonly #alice: StorageSession;
  readonly #ptr: string;
  /** How many cells were compared. */
  cells = 0;

  private constructor(
    parts: MatrixParts,
    table: TableDef,
    mode: Mode,
    { session, ptr }: { readonly session: StorageSession; readonly ptr: string },
  ) {
    this.#parts = parts;
    this.#table = table;
    this.#mode = mode;
    this.#queries = queriesOf(table);
    this.#bits = new OtherBits(parts.database);
    this.#alice = session;
    this.#ptr = ptr;
    const { types } = parts.app;
    const execs = [this.#queries.count, ...[...this.#queries.fields.values()].flat()];
    this.#engine = mode === "seeing"
      ? storageEngine({ database: parts.database, tables: [table], types, execs })
      : storageEngine({ database: this.#bits, tables: [blind(table)], types, execs });
  }

  /** Opens the session and finds the physical table. */
  static async open(parts: MatrixParts, table: TableDef, mode: Mode): Promise<TableMatrix> {
    const token = await parts.db.token({ owner: "alice" });
    const session = await storageEngine({ database: parts.database, tables: [] })
      .openSession(token);
    const [row] = await parts.db.admin`
      select ptr from kontract.storage where owner = 'main' and id = ${table.name}`;
    return new TableMatrix(parts, table, mode, { session, ptr: String(row!.ptr) });
  }

  /** Everything, for one route. */
  async check(route: RouteRights): Promise<void> {
    const rights = new Rights(this.#table, route);
    await this.#reads(rights);
    await this.#fields(rights);
    await this.#writes(rights);
    if (this.#table.rows === "owner") await this.#othersRows(rights);
  }

  async #reads(rights: Rights): Promise<void> {
    const id = await this.#row();
    const visible = rights.visible();
    const seen = (row: unknown): void =>
      assert.deepEqual(
        row === null ? [] : Object.keys(row as AnyRow).sort(),
        [...visible].sort(),
        this.#about(rights, "what is visible"),
      );
    const rows = await this.#count();
    const reads: Readonly<Record<string, (t: AnyTable) => Promise<void>>> = {
      get: async (t) => seen(await t.get(id)),
      getMany: async (t) => seen((await t.getMany([id]))[0]),
      has: async (t) => assert.equal(await t.has(id), true),
      ownerOf: async (t) => assert.equal(await t.ownerOf(id), "alice"),
      query: async (t) => (await t.query()).forEach(seen),
      first: async (t) => seen(await t.first()),
      page: async (t) => seen((await t.query().limit(1).page()).rows[0]),
      count: async (t) => assert.equal(await t.count(), rows),
      iterate: async (t) => {
        let found = 0;
        for await (const row of t) {
          seen(row);
          found++;
        }
        assert.equal(found, rows);
      },
    };
    for (const [name, read] of Object.entries(reads)) {
      await this.#cell(rights, name, rights.read(), read);
    }
    await this.#cell(rights, "exec count", rights.read(), async (_, storage) => {
      assert.deepEqual(await exec(storage, this.#queries.count), [{ x: rows }]);
    });
  }

  async #fields(rights: Rights): Promise<void> {
    const { types } = this.#parts.app;
    for (const field of this.#table.fields) {
      const expected = rights.name(field);
      const at = (what: string): string => `${what} ${field.name}`;
      await this.#cell(rights, at("filter by"), expected, (t) => t.query(filterOf(field, types)));
      await this.#cell(rights, at("count by"), expected, (t) => t.count(filterOf(field, types)));
      if (hasOrder(field, types)) {
        await this.#cell(rights, at("order by"), expected, (t) => t.query().orderBy(field.name));
      }
      for (const query of this.#queries.fields.get(field.name)!) {
        await this.#cell(rights, at("exec over"), expected, (_, storage) => exec(storage, query));
      }
    }
  }

  async #writes(rights: Rights): Promise<void> {
    const { primkey, fields } = this.#table;
    for (const field of fields.filter(({ name }) => name !== primkey)) {
      const id = await this.#row();
      const before = await this.#stored(id);
      const value = this.#other(field, before![field.name]);
      const verdict = await this.#cell(
        rights,
        `update ${field.name}`,
        rights.change(field),
        (t) => t.update(id, { [field.name]: value }),
      );
      const json = this.#json(field, value);
      await this.#expect(rights, id, verdict === "ok" ? { ...before, [field.name]: json } : before);
      if ((rights.of(field) & 2) !== 0) continue;
      const fresh = this.#id();
      const row = {
        ...this.#given(rights, fresh),
        [field.name]: this.#other(field, field.default),
      };
      await this.#cell(
        rights,
        `set with ${field.name}`,
        "PERMISSION_DENIED",
        (t) => t.set(fresh, row),
      );
      await this.#expect(rights, fresh, null);
    }
    for (const name of ["set", "push"] as const) {
      const id = this.#id();
      const row = this.#given(rights, id);
      const verdict = await this.#cell(
        rights,
        `${name} a new row`,
        rights.create(),
        (t) => name === "set" ? t.set(id, row) : t.push({ ...row, [primkey]: id }),
      );
      await this.#expect(rights, id, verdict === "ok" ? this.#created(rights, row) : null);
    }
    const gone = await this.#row();
    const stays = await this.#stored(gone);
    const verdict = await this.#cell(rights, "delete", rights.remove(), (t) => t.delete(gone));
    await this.#expect(rights, gone, verdict === "ok" ? null : stays);
    for (const name of ["pop", "shift"] as const) {
      await this.#row();
      const rows = await this.#count();
      const taken = await this.#cell(rights, name, rights.take(), (t) => t[name]());
      assert.equal(
        await this.#count(),
        taken === "ok" ? rows - 1 : rows,
        this.#about(rights, name),
      );
    }
  }

  /** Of a table with rows of owners, nobody else's exist. */
  async #othersRows(rights: Rights): Promise<void> {
    const id = await this.#row("bob");
    const before = await this.#stored(id);
    const read = rights.read();
    await this.#cell(
      rights,
      "get another's",
      read,
      async (t) => assert.equal(await t.get(id), null),
    );
    await this.#cell(
      rights,
      "has another's",
      read,
      async (t) => assert.equal(await t.has(id), false),
    );
    await this.#cell(
      rights,
      "owner of another's",
      read,
      async (t) => assert.equal(await t.ownerOf(id), null),
    );
    await this.#cell(
      rights,
      "find another's",
      read,
      async (t) => assert.ok((await t.query()).every((row) => row[this.#table.primkey] !== id)),
    );
    await this.#cell(rights, "delete another's", rights.remove(), (t) => t.delete(id));
    await this.#expect(rights, id, before);
  }

  /** The feed follows the table's own bits: it belongs to no route. */
  async changes(): Promise<void> {
    const rights = new Rights(this.#table, { perm: 7, grants: {} });
    const read = (after: string | null): ReturnType<StorageEngine["changes"]> =>
      storageEngine({
        database: this.#parts.database,
        tables: [this.#mode === "seeing" ? this.#table : blind(this.#table)],
        types: this.#parts.app.types,
      }).changes({ session: this.#alice, table: this.#table.name, after, limit: 100 });
    this.cells++;
    if (rights.read() !== "ok") {
      await assert.rejects(
        read(null),
        { code: "PERMISSION_DENIED" },
        this.#about(rights, "changes"),
      );
      return;
    }
    const { position } = await read(null);
    const id = await this.#row();
    const other = await this.#row("bob");
    const made = await read(position);
    const ids = made.changes.map((change) => change.id);
    assert.deepEqual(ids, this.#table.rows === "owner" ? [id] : [id, other]);
    assert.deepEqual(Object.keys(made.changes[0]!.data!).sort(), [...rights.visible()].sort());
    for (const field of this.#table.fields) {
      if (field.name === this.#table.primkey) continue;
      const before = await read(null);
      await this.#rewrite(id, field);
      const { changes } = await read(before.position);
      const shown = rights.name(field) === "ok";
      assert.equal(changes.length, shown ? 1 : 0, this.#about(rights, `change of ${field.name}`));
      this.cells++;
    }
  }

  /** One comparison. Gives what was expected, which is then what happened. */
  async #cell(
    rights: Rights,
    what: string,
    expected: Verdict,
    work: (table: AnyTable, storage: Parameters<typeof exec>[0]) => PromiseLike<unknown>,
    extra: Partial<CallOptions> = {},
  ): Promise<Verdict> {
    const { perm, grants } = rights.route;
    this.#bits.bits = perm;
    this.cells++;
    const options = call(this.#alice, {
      perm: (this.#mode === "blind" ? 7 : perm) as Bits,
      grants: grants as CallOptions["grants"],
      ...extra,
    });
    let verdict = "ok";
    try {
      await run(this.#engine, options, async (s) => await work(s[this.#table.name]!, s));
    } catch (error) {
      if (!(error instanceof KontractError)) throw error;
      verdict = error.code;
    }
    assert.equal(verdict, expected, this.#about(rights, what));
    return expected;
  }

  #about({ route, table }: Rights, what: string): string {
    return `${this.#mode}: '${what}' on '${table.name}' (${table.perm}) by a route with ${
      JSON.stringify(route)
    }`;
  }

  #id(): string {
    return `${this.#mode} ${this.#table.name} ${++numbers}`;
  }

  #json(field: FieldDef, value: unknown): unknown {
    return encodeValue(field.shape, value, field.name, this.#parts.app.types);
  }

  /** A value that is not stored as `json`. */
  #other(field: FieldDef, json: unknown): unknown {
    for (let i = 0;; i++) {
      const value = sample(field.shape, this.#parts.app.types, ++numbers);
      if (JSON.stringify(this.#json(field, value)) !== JSON.stringify(json) || i > 3) return value;
    }
  }

  #given(rights: Rights, id: string): AnyRow {
    return Object.fromEntries(
      rights.given().map(({ name, shape }) => [
        name,
        name === this.#table.primkey ? id : sample(shape, this.#parts.app.types, ++numbers),
      ]),
    );
  }

  /** As it is stored: what was given, and defaults for what could not be. */
  #created(rights: Rights, row: AnyRow): Record<string, unknown> {
    const given = rights.given().map((field) => [field.name, this.#json(field, row[field.name])]);
    const defaults = this.#table.fields.filter((field) => field.default !== undefined)
      .map((field) => [field.name, field.default]);
    return { ...Object.fromEntries(defaults), ...Object.fromEntries(given) };
  }

  /** Stores a row behind everybody's back. */
  async #row(owner = "alice"): Promise<string> {
    const id = this.#id();
    const data = Object.fromEntries(
      this.#table.fields.map((field) => [
        field.name,
        field.name === this.#table.primkey
          ? id
          : this.#json(field, sample(field.shape, this.#parts.app.types, ++numbers)),
      ]),
    );
    await this.#parts.db.admin.unsafe(
      `insert into kontract_private."${this.#ptr}" (id, data, _owner, _order)
        values ($1, $2::text::jsonb, $3, nextval('kontract_private."${this.#ptr}_seq"'))`,
      [id, JSON.stringify(data), owner],
    );
    return id;
  }

  /** A new version of a row that differs in one field. */
  async #rewrite(id: string, field: FieldDef): Promise<void> {
    const before = await this.#stored(id);
    const value = this.#json(field, this.#other(field, before![field.name]));
    await this.#parts.db.admin.unsafe(
      `with c as (update kontract_private."${this.#ptr}" set _deleted_txid = pg_current_xact_id()
                   where id = $1 and _deleted_txid is null returning _owner, _order)
       insert into kontract_private."${this.#ptr}" (id, data, _owner, _order)
         select $1, $2::text::jsonb, c._owner, c._order from c`,
      [id, JSON.stringify({ ...before, [field.name]: value })],
    );
  }

  async #stored(id: string): Promise<Record<string, unknown> | null> {
    const [row] = await this.#parts.db.admin.unsafe(
      `select data from kontract_private."${this.#ptr}" where id = $1 and _deleted_txid is null`,
      [id],
    );
    return row === undefined ? null : row.data as Record<string, unknown>;
  }

  async #count(): Promise<number> {
    const [row] = await this.#parts.db.admin.unsafe(
      `select count(*)::int as n from kontract_private."${this.#ptr}"
        where _deleted_txid is null and (_owner = 'alice' or ${this.#table.rows !== "owner"})`,
    );
    return Number(row!.n);
  }

  async #expect(rights: Rights, id: string, data: unknown): Promise<void> {
    assert.deepEqual(await this.#stored(id), data, this.#about(rights, `what is stored of ${id}`));
  }

  /** Every kind of operation for a route with a group, by a session that is or is not in it. */
  async group(group: string, member: boolean): Promise<void> {
    const rights = new Rights(this.#table, { perm: 7, grants: {} });
    this.#bits.bits = 7;
    const id = await this.#row();
    const before = await this.#stored(id);
    const { primkey } = this.#table;
    const operations: Readonly<
      Record<
        string,
        readonly [number, (t: AnyTable, s: Parameters<typeof exec>[0]) => PromiseLike<unknown>]
      >
    > = {
      get: [4, (t) => t.get(id)],
      getMany: [4, (t) => t.getMany([id])],
      has: [4, (t) => t.has(id)],
      query: [4, (t) => t.query()],
      count: [4, (t) => t.count()],
      exec: [4, (_, s) => exec(s, this.#queries.count)],
      delete: [1, (t) => t.delete("nothing")],
      pop: [5, async (t) => {
        await t.pop();
        throw new KontractError("CANCELLED");
      }],
      "delete after a read": [5, async (t) => {
        await t.has("nothing");
        await t.delete("nothing");
      }],
      "two rows at once": [1, async (t) => {
        await t.delete("nothing");
        await t.delete("nothing else");
      }],
    };
    for (const [name, [need, work]] of Object.entries(operations)) {
      if ((this.#table.perm & need) !== need) continue;
      this.cells++;
      const options = call(this.#alice, { ugroup: group });
      const outcome = run(this.#engine, options, async (s) => await work(s[this.#table.name]!, s));
      const about = this.#about(rights, `${name} for '${group}', member: ${member}`);
      if (!member) await assert.rejects(outcome, { code: "FORBIDDEN" }, about);
      else if (name === "pop") await assert.rejects(outcome, { code: "CANCELLED" }, about);
      else await outcome;
    }
    assert.deepEqual(await this.#stored(id), before, `${primkey} ${id}`);
  }

  /** Puts the session into these groups and no others. */
  async become(groups: readonly string[]): Promise<void> {
    await this.#parts.db.admin`update kontract.trxs set ugroups = ${
      this.#parts.db.admin.array([...groups])
    } where owner = 'alice'`;
  }
}

/**
 * The table as somebody sees it who believes that all is allowed. X means nothing on a field: left out where fields
 * have rights, so that the statement is one for such a table.
 */
function blind(table: TableDef): TableDef {
  const perm = table.fields.every((field) => field.perm === 7) ? 7 : 6;
  return {
    ...table,
    perm: 7,
    fields: table.fields.map(({ default: _, ...field }) => ({
      ...field,
      perm,
      optional: field.name !== table.primkey,
    })),
  };
}
