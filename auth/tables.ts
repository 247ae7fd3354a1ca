/**
 * Auth's own tables. Their names start with `_`: only a system session reaches them, and like all data
 * they live behind `ptr`, out of the runtime role's sight.
 *
 * - `_users`: id = owner. The database reads `ugroups` here in every operation.
 * - `_credentials`: id = `password:<normalised e-mail>`; the primary key is what makes an e-mail unique.
 * - `_sessions`: id = family; one row per sign-in, with hashes of its refresh tokens.
 * - `_mail_tokens`: id = HMAC of the token that was mailed.
 *
 * Every `find` that auth does filters on one indexed field: `owner`, or `bucket` for the sweep of what
 * has expired.
 *
 * @module
 */
import type { FieldDef, IndexDef, TableDef } from "../_internal/manifest.ts";
import type { Shape } from "../_internal/shape.ts";

const text: Shape = { kind: "string" };
const instant: Shape = { kind: "number", width: "float64" };
const flag: Shape = { kind: "boolean" };
const texts: Shape = { kind: "array", element: text };

function field(name: string, shape: Shape, doc: string, optional = false): FieldDef {
  return { name, shape, optional, perm: 7, doc };
}

function index(name: string): IndexDef {
  return { fields: [name], unique: false, oracle: false };
}

function table(
  name: string,
  className: string,
  doc: string,
  fields: readonly FieldDef[],
  indexes: readonly string[],
): TableDef {
  return {
    name,
    className,
    primkey: "id",
    perm: 7,
    rows: "all",
    fields: [field("id", text, "Primary key."), ...fields],
    indexes: indexes.map(index),
    doc,
    source: { file: "auth/tables.ts", line: 1, column: 1 },
  };
}

/** All system tables of auth. */
export const AUTH_TABLES: readonly TableDef[] = [
  table("_users", "AuthUser", "Everybody with an identity, anonymous visitors included.", [
    field("ugroups", texts, "Groups, sorted; checked by the database in every operation."),
    field("anonymous", flag, "True until a credential is linked."),
    field("email", text, "Normalised e-mail of the password credential.", true),
    field("emailVerified", flag, "True where a token mailed to `email` has come back."),
    field("createdAt", instant, "Milliseconds since the epoch."),
  ], []),
  table("_credentials", "AuthCredential", "Ways to sign in.", [
    field("owner", text, "Id of the user."),
    field("provider", text, "`password`."),
    field("email", text, "Normalised e-mail."),
    field("hash", text, "Self-describing password hash."),
    field("createdAt", instant, "Milliseconds since the epoch."),
    field("changedAt", instant, "Milliseconds since the epoch."),
  ], ["owner"]),
  table("_sessions", "AuthSession", "Session families: a sign-in and what was refreshed from it.", [
    field("owner", text, "Id of the user."),
    field("stem", text, "Hash of the part that all refresh tokens of the family share."),
    field("current", text, "Hash of the valid refresh token's secret."),
    field("previous", text, "Hash of the secret before it.", true),
    field("successor", text, "The current secret, sealed under the previous one.", true),
    field("rotatedAt", instant, "When the refresh token changed last, ms."),
    field("createdAt", instant, "Milliseconds since the epoch."),
    field("idleUntil", instant, "End unless refreshed before, ms."),
    field("expiresAt", instant, "End in any case, ms."),
    field("address", text, "Client address at sign-in, or `unknown`."),
    field("bucket", text, "Hour in which the row may be swept."),
  ], ["owner", "bucket"]),
  table("_mail_tokens", "AuthMailToken", "Single-use tokens that were mailed.", [
    field("kind", text, "`register`, `verify`, `reset` or `decoy`."),
    field("owner", text, "Id of the user, or empty."),
    field("email", text, "Normalised e-mail it was sent to."),
    field("hash", text, "Password hash that waits for confirmation.", true),
    field("expiresAt", instant, "Milliseconds since the epoch."),
    field("bucket", text, "Hour in which the row may be swept."),
  ], ["owner", "bucket"]),
];
