/**
 * Tenants as a gateway makes and drops them: under a system session of `main`, by functions whose DDL no
 * caller has a word in (`migrate/tenants.sql.ts`). One statement each, so nothing is ever half done.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { StorageSession } from "./contract.ts";
import type { Database, SqlParam, SqlRow } from "./database.ts";
import { translateFailure } from "./failure.ts";
import { checkTenantName, DEFAULT_TENANT } from "./tenant_name.ts";

/** A tenant of a database. */
export interface TenantInfo {
  /** As clients and sessions name it. */
  readonly name: string;
  /** When it was made. */
  readonly createdAt: Date;
}

/** On whose authority: a user of `main` who must be in `group` when it is done. */
export interface TenantActor {
  /** The user who asks. */
  readonly owner: string;
  /** Group that user must be in. */
  readonly group: string;
}

/** A system session of `main` and the actor, or null where the host's own code asks. */
export interface TenantAuthority {
  readonly session: StorageSession;
  readonly actor: TenantActor | null;
}

/** A lock that is held is tried for again: by another creation, a commit under way, a migration. */
const ATTEMPTS = 5;
const WAIT_MS = 100;
/** Names in one statement. */
const PAGE = 1_000;

/**
 * Makes a tenant with all its tables; false where it was there.
 *
 * @throws {KontractError} `VALIDATION`, `FORBIDDEN`, `CONFLICT`, `DATABASE_UNAVAILABLE`
 */
export async function createTenant(
  database: Database,
  authority: TenantAuthority,
  name: string,
): Promise<boolean> {
  return await change(database, "create_tenant", authority, checkTenantName(name));
}

/**
 * Drops a tenant with all its rows, and ends its sessions; false where there was none.
 *
 * @throws {KontractError} `VALIDATION`, `FORBIDDEN`, `CONFLICT`, `DATABASE_UNAVAILABLE`
 */
export async function dropTenant(
  database: Database,
  authority: TenantAuthority,
  name: string,
): Promise<boolean> {
  return await change(database, "drop_tenant", authority, checkDroppable(name));
}

/** Refuses `main`, too. @throws {KontractError} `VALIDATION` */
export function checkDroppable(name: unknown): string {
  const checked = checkTenantName(name);
  if (checked !== DEFAULT_TENANT) return checked;
  throw new KontractError("VALIDATION", `The tenant '${DEFAULT_TENANT}' cannot be dropped.`);
}

/**
 * All tenants beside `main`, by name.
 *
 * @throws {KontractError} `FORBIDDEN`, `DATABASE_UNAVAILABLE`
 */
export async function listTenants(
  database: Database,
  { session, actor }: TenantAuthority,
): Promise<readonly TenantInfo[]> {
  const tenants: TenantInfo[] = [];
  for (let after = "";;) {
    const row = await one(database, "list_tenants", [
      session.sid,
      actor?.owner ?? null,
      actor?.group ?? null,
      after,
      PAGE,
    ]);
    const page = row.tenants as readonly (readonly [string, number])[];
    tenants.push(...page.map(([name, at]) => ({ name, createdAt: new Date(at) })));
    if (page.length < PAGE) return tenants;
    after = page.at(-1)![0];
  }
}

async function change(
  database: Database,
  statement: string,
  { session, actor }: TenantAuthority,
  name: string,
): Promise<boolean> {
  for (let attempt = 1;; attempt++) {
    try {
      const row = await one(database, statement, [
        session.sid,
        name,
        actor?.owner ?? null,
        actor?.group ?? null,
      ]);
      return row.done === true;
    } catch (error) {
      const held = error instanceof KontractError && error.code === "CONFLICT";
      if (!held) throw error;
      if (attempt >= ATTEMPTS) {
        throw new KontractError(
          "CONFLICT",
          `Tenant '${name}' is in use by somebody who does not let go (a migration, a long call): try again.`,
          { cause: error.cause },
        );
      }
    }
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS * attempt));
  }
}

async function one(
  database: Database,
  statement: string,
  params: readonly SqlParam[],
): Promise<SqlRow> {
  let rows: readonly SqlRow[];
  try {
    rows = await database.execute(statement, params);
  } catch (error) {
    throw translateFailure(error);
  }
  if (rows[0] === undefined) throw new KontractError("INTERNAL");
  return rows[0];
}
