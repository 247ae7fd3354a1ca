/**
 * The algebra of rights, as the design says it and nothing else: what PostgreSQL is compared with.
 *
 * R = 4, W = 2, X = 1. Effective bits of a table are `table ∧ route`; of a field `(field ∨ grant) ∧ table ∧ route`;
 * the key has the table's.
 *
 * @module
 */
import type { FieldDef, TableDef } from "../../_internal/manifest.ts";

/** What a route says. */
export interface RouteRights {
  readonly perm: number;
  readonly grants: Readonly<Record<string, number>>;
}

/** What became of an operation: `ok` or the code of the error. */
export type Verdict = "ok" | "PERMISSION_DENIED" | "VALIDATION";

/** Rights of one route on one table. */
export class Rights {
  readonly table: TableDef;
  readonly route: RouteRights;

  /** Pure. */
  constructor(table: TableDef, route: RouteRights) {
    this.table = table;
    this.route = route;
  }

  /** Bits of the table. */
  get bits(): number {
    return this.table.perm & this.route.perm;
  }

  /** Bits of a field. */
  of(field: FieldDef): number {
    if (field.name === this.table.primkey) return this.bits;
    return (field.perm | (this.route.grants[`${this.table.name}.${field.name}`] ?? 0)) & this.bits;
  }

  /** Reading rows, whichever way. */
  read(): Verdict {
    return may(this.bits, 4);
  }

  /** Naming a field in a filter, an order or a query. */
  name(field: FieldDef): Verdict {
    return may(this.of(field), 4);
  }

  /** Fields of a row that is given out. */
  visible(): readonly string[] {
    return this.table.fields.filter((field) => (this.of(field) & 4) !== 0).map(({ name }) => name);
  }

  /** Changing one field of a row. */
  change(field: FieldDef): Verdict {
    return may(this.bits & this.of(field), 2) === "ok" ? may(this.bits, 6) : "PERMISSION_DENIED";
  }

  /** Storing a new row of the fields that may be written. */
  create(): Verdict {
    if (may(this.bits, 2) !== "ok") return "PERMISSION_DENIED";
    return this.given().length === this.table.fields.length ||
        this.table.fields.every((field) =>
          this.given().includes(field) || field.optional || field.default !== undefined
        )
      ? "ok"
      : "VALIDATION";
  }

  /** Fields that {@link create} gives a value. */
  given(): readonly FieldDef[] {
    return this.table.fields.filter((field) =>
      field.name === this.table.primkey || (this.of(field) & 2) !== 0
    );
  }

  /** Removing a row by key. */
  remove(): Verdict {
    return may(this.bits, 1);
  }

  /** Taking the first or last row out. */
  take(): Verdict {
    return may(this.bits, 5);
  }
}

function may(bits: number, need: number): Verdict {
  return (bits & need) === need ? "ok" : "PERMISSION_DENIED";
}
