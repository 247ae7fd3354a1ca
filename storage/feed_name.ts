/**
 * Names of change feeds: one per table of a tenant, and per owner where rows are their owner's. Who follows a
 * table is woken by its own feed only.
 *
 * @module
 */
import type { TableDef } from "../_internal/manifest.ts";
import type { StorageSession } from "./contract.ts";

/** The feed in which this session's rows of a table are. */
export function feedName({ tenant, owner }: StorageSession, { name, rows }: TableDef): string {
  return JSON.stringify(rows === "owner" ? [tenant, name, owner] : [tenant, name]);
}
