/**
 * The change feed's TypeScript half: parameters in, decoded rows out.
 *
 * @module
 */
import type { TableDef } from "../_internal/manifest.ts";
import type { ShapeTable } from "../_internal/shape.ts";
import { KontractError } from "../_internal/errors.ts";
import { ValidationError } from "../_internal/error_classes.ts";
import type { Change, ChangeBatch, ChangesOptions } from "./contract.ts";
import type { Database, SqlRow } from "./database.ts";
import { translateFailure } from "./failure.ts";
import { feedName } from "./feed_name.ts";
import { parseFilter } from "./filter.ts";
import { valuesJson } from "./limits.ts";
import type { JsonObject } from "./row_codec.ts";
import { TableRules } from "./table_rules.ts";
import { statementOf } from "./tenant_name.ts";

const MOST = 10_000;

/** One round trip. */
export async function readChanges(
  database: Database,
  table: TableDef,
  types: ShapeTable,
  options: ChangesOptions,
): Promise<ChangeBatch> {
  const { limit } = options;
  if (!Number.isSafeInteger(limit) || limit < 0 || limit > MOST) {
    throw new ValidationError(`'limit' must be an integer from 0 to ${MOST}.`);
  }
  const rules = new TableRules(table, types, 7, {});
  rules.demand(4);
  const where = parseFilter(options.filter, rules);
  let rows: readonly SqlRow[];
  try {
    rows = await database.execute(statementOf(options.session.tenant, "changes"), [
      options.session.sid,
      table.name,
      valuesJson(where),
      options.after,
      limit,
    ]);
  } catch (error) {
    throw translateFailure(error);
  }
  const row = rows[0];
  if (row === undefined) throw new KontractError("INTERNAL");
  const changes = (row.changes as readonly [Change["type"], string, JsonObject | null][])
    .map(([type, id, data]): Change => ({
      type,
      id,
      data: data === null ? null : rules.decodeRow(data),
    }));
  return {
    changes,
    position: String(row.position),
    reset: row.reset === true,
    more: row.more === true,
    feed: feedName(options.session, table),
  };
}
