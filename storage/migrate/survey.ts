/**
 * Which tables of a tenant are already what this build makes of their declarations: what `storage` notes, the
 * indexes and the triggers there are, in one statement for all tables of a tenant. Most runs leave nearly all
 * tables of a thousand tenants as they are, and looking at each table by itself takes a hundred times as long.
 *
 * @module
 */
import type { TableDef } from "../../_internal/manifest.ts";
import { ptrsOf } from "./applied.ts";
import { tableCheck } from "./checks.ts";
import { GROUPS_TRIGGER, USERS } from "./groups.ts";
import { DECLARED_INDEX, type ExpressionSource, indexNames, wantedIndexes } from "./indexes.ts";
import { canonical } from "./plan.ts";
import type { Wanted } from "./prepare.ts";
import type { Statements } from "./statements.ts";
import { templateEntry } from "./templates.ts";
import { TEMPLATE_PTR } from "./tenants.sql.ts";

/** What a tenant has. */
export interface Surveyed {
  /** Tables that need nothing unless a file changes their rows. */
  readonly unchanged: ReadonlySet<string>;
  /** As `ptrsOf` says it. */
  readonly ptrs: string;
}

interface Row {
  readonly id: string;
  readonly ptr: string;
  readonly lazy: Readonly<Record<string, unknown>>;
  readonly indexes: Readonly<Record<string, readonly string[]>>;
  readonly digest: string;
  /** Of the physical table: valid or not, by name. */
  readonly built: Readonly<Record<string, boolean>>;
  /** Whether it fires always, by name. */
  readonly triggers: Readonly<Record<string, boolean>>;
}

/** One word for the columns of `storage` that all tenants share. */
const DIGEST =
  `md5(concat_ws(chr(10), st.key, st.permissions, st.owned, st.fields, st.bits, st.defaults, st.def))`;

const SURVEY = `
  select st.id, st.ptr, st.lazy, st.indexes, ${DIGEST} as digest,
         coalesce((select json_object_agg(c.relname, i.indisvalid) from pg_index i
             join pg_class c on c.oid = i.indexrelid where i.indrelid = k.oid), '{}') as built,
         coalesce((select json_object_agg(t.tgname, t.tgenabled = 'A') from pg_trigger t
            where t.tgrelid = k.oid and not t.tgisinternal), '{}') as triggers
    from kontract.storage st left join pg_class k
      on k.relname = st.ptr and k.relnamespace = to_regnamespace('kontract_private')
   where st.owner = $1 order by st.id`;

/** Surveys tenants for one run; what the tables should be is found once and kept. */
export class Survey {
  readonly #wanted: Pick<Wanted, "tables" | "types">;
  readonly #source: ExpressionSource;
  /** By table, and by table and lazy fields. */
  readonly #digests = new Map<string, string>();
  readonly #parts = new Map<string, string>();

  /** `source` must be the expressions of this build. */
  constructor(wanted: Pick<Wanted, "tables" | "types">, source: ExpressionSource) {
    this.#wanted = wanted;
    this.#source = source;
  }

  /** Looks at one tenant. As the owner. */
  async look(sql: Statements, tenant: string): Promise<Surveyed> {
    const rows = await sql.unsafe(SURVEY, [tenant]) as unknown as readonly Row[];
    const unchanged = new Set<string>();
    for (const table of this.#wanted.tables) {
      const row = rows.find(({ id }) => id === table.name);
      if (row === undefined || row.digest !== await this.#digest(sql, table)) continue;
      if (await this.#wantedParts(sql, table, row) === partsThere(row)) unchanged.add(table.name);
    }
    return { unchanged, ptrs: ptrsOf(rows) };
  }

  async #digest(sql: Statements, table: TableDef): Promise<string> {
    const known = this.#digests.get(table.name);
    if (known !== undefined) return known;
    const entry = templateEntry({ table, types: this.#wanted.types }, {});
    const [row] = await sql.unsafe(
      `select ${DIGEST} as digest from jsonb_populate_record(null::kontract.storage, $1::text::jsonb) st`,
      [JSON.stringify(entry)],
    );
    this.#digests.set(table.name, String(row!.digest));
    return String(row!.digest);
  }

  /** Indexes as noted and as built, and triggers, as text. */
  async #wantedParts(sql: Statements, table: TableDef, { ptr, lazy }: Row): Promise<string> {
    const key = canonical([table.name, lazy]);
    let text = this.#parts.get(key);
    if (text === undefined) {
      const { types } = this.#wanted;
      const physical = { ptr: TEMPLATE_PTR, lazy };
      const indexes = await wantedIndexes(sql, table, types, physical, this.#source);
      const triggers = [
        tableCheck(table, types, lazy).name,
        ...(table.name === USERS ? [GROUPS_TRIGGER] : []),
      ];
      text = canonical([
        indexNames(indexes),
        Object.fromEntries(indexes.map(({ name }) => [name, true])),
        Object.fromEntries(triggers.map((name) => [name, true])),
      ]);
      this.#parts.set(key, text);
    }
    return text.replaceAll(TEMPLATE_PTR, ptr);
  }
}

function partsThere({ indexes, built, triggers }: Row): string {
  const declared = Object.entries(built).filter(([name]) => DECLARED_INDEX.test(name));
  return canonical([indexes, Object.fromEntries(declared), triggers]);
}
