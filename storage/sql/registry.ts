/**
 * All statements the gateway ever sends, by name. What serves every table has a second name for the tenants beside
 * `main`, which begins with `tenant:`. Names of per-table statements are `get:<key>`,
 * `get_many:<key>`, `get_group:<key>`, `put:<key>`, `put_many:<key>` and `put_group:<key>`; the key is checked here,
 * so no name can carry text into SQL.
 *
 * @module
 */
import { CHANGES, CHANGES_GROUP } from "./changes.sql.ts";
import { CHECK_SESSION } from "./check_session.sql.ts";
import { COLLECT } from "./collect.sql.ts";
import { COMMIT, putManyStatement, putStatement } from "./commit.sql.ts";
import { EXEC } from "./exec.sql.ts";
import { getManyStatement, getStatement } from "./get.sql.ts";
import { getGroupStatement, putGroupStatement } from "./group.sql.ts";
import { OPEN_SESSION } from "./open_session.sql.ts";
import { COUNT, QUERY } from "./query.sql.ts";
import { REVOKE_FAMILY } from "./revoke_family.sql.ts";
import {
  CREATE_TENANT,
  DROP_TENANT,
  LIST_TENANTS,
  TENANT_GET,
  TENANT_GET_MANY,
  TENANT_PUT,
  TENANT_PUT_MANY,
} from "./tenants.sql.ts";
import { TENANT_PREFIX } from "../tenant_name.ts";

/** For the tables of every tenant. */
const SHARED: readonly (readonly [string, string])[] = [
  ["query", QUERY],
  ["count", COUNT],
  ["exec", EXEC],
  ["commit", COMMIT],
  ["changes", CHANGES],
  ["changes_group", CHANGES_GROUP],
];

const STATEMENTS: ReadonlyMap<string, string> = new Map([
  ...SHARED,
  ...SHARED.map(([name, text]) => [TENANT_PREFIX + name, text] as const),
  [`${TENANT_PREFIX}get`, TENANT_GET],
  [`${TENANT_PREFIX}get_many`, TENANT_GET_MANY],
  [`${TENANT_PREFIX}put`, TENANT_PUT],
  [`${TENANT_PREFIX}put_many`, TENANT_PUT_MANY],
  ["open_session", OPEN_SESSION],
  ["check_session", CHECK_SESSION],
  ["revoke_family", REVOKE_FAMILY],
  ["collect", COLLECT],
  ["create_tenant", CREATE_TENANT],
  ["drop_tenant", DROP_TENANT],
  ["list_tenants", LIST_TENANTS],
  ["ping", "select 1 as ok"],
]);

const PER_TABLE: ReadonlyMap<string, (key: string) => string> = new Map([
  ["get", getStatement],
  ["get_many", getManyStatement],
  ["put", putStatement],
  ["put_many", putManyStatement],
  ["get_group", getGroupStatement],
  ["put_group", putGroupStatement],
]);

/** Texts of per-table statements that were asked for: as many as there are tables and kinds. */
const made = new Map<string, string>();

/** Text of a registered statement, or null. */
export function statementText(name: string): string | null {
  const known = STATEMENTS.get(name) ?? made.get(name);
  if (known !== undefined) return known;
  const colon = name.indexOf(":");
  const make = PER_TABLE.get(name.slice(0, colon));
  const key = name.slice(colon + 1);
  if (make === undefined || !/^[0-9a-f]{16}$/.test(key)) return null;
  const text = make(key);
  made.set(name, text);
  return text;
}
