/**
 * Session families in the store: opened, found alive, ended.
 *
 * Ending is two steps: the row goes in a transaction, so that nothing can be refreshed, then the
 * database's own sessions and a tombstone, so that the next operation anywhere sees it. A failure
 * between the two reaches the caller, and doing it again does the rest.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuthRequestContext, Principal, SessionTokens } from "./contract.ts";
import type { AuthParts } from "./options.ts";
import { startFamily } from "./refresh.ts";
import { parseRow } from "./rows.ts";
import type { CredentialRow, SessionRow, UserRow } from "./rows.ts";
import { passwordCredentialId } from "./rows.ts";
import type { AuthTransaction } from "./store.ts";

/** A family's row and the refresh token that was made with it. */
export interface OpenFamily {
  readonly row: SessionRow;
  readonly token: string;
}

/** The principal of a call that needs one. @throws {KontractError} `UNAUTHORIZED` */
export function requirePrincipal(context: AuthRequestContext): Principal {
  const { principal } = context;
  if (principal === null || principal.tenant !== context.tenant) {
    throw new KontractError("UNAUTHORIZED");
  }
  return principal;
}

/**
 * The family and user behind a principal, still alive: a token that verifies may be of an ended family.
 *
 * @throws {KontractError} `SESSION_REVOKED`
 */
export async function requireFamily(
  tx: AuthTransaction,
  principal: Principal,
  now: number,
): Promise<{ readonly session: SessionRow; readonly user: UserRow }> {
  const session = parseRow("_sessions", await tx.get("_sessions", principal.family));
  const user = parseRow("_users", await tx.get("_users", principal.owner));
  const alive = session !== null && session.owner === principal.owner && now < session.expiresAt;
  if (!alive || user === null) throw new KontractError("SESSION_REVOKED");
  return { session, user };
}

/** Opens a family for a user. */
export async function openFamily(
  parts: AuthParts,
  tx: AuthTransaction,
  user: UserRow,
  address: string,
): Promise<OpenFamily> {
  const family = await startFamily({
    owner: user.id,
    address: address.slice(0, 64),
    now: parts.now(),
    lifetimes: parts.lifetimes(user.anonymous),
  });
  await tx.set("_sessions", family.row);
  return family;
}

/** What the client gets for an open family. */
export async function tokensFor(
  parts: AuthParts,
  tenant: string,
  user: UserRow,
  family: OpenFamily,
): Promise<SessionTokens> {
  const who = { owner: user.id, tenant, family: family.row.id, anonymous: user.anonymous };
  const { token, expiresAt } = await parts.sessionTokens.issue(who, family.row.expiresAt);
  return {
    access: token,
    refresh: family.token,
    expiresAt,
    owner: user.id,
    anonymous: user.anonymous,
  };
}

/** Removes an owner's families but one; gives the ids for {@link revokeFamilies}. */
export async function dropFamilies(
  tx: AuthTransaction,
  owner: string,
  except: string | null,
): Promise<readonly string[]> {
  const dropped: string[] = [];
  for (const row of await tx.find("_sessions", { owner })) {
    if (row.id === except) continue;
    await tx.delete("_sessions", row.id);
    dropped.push(row.id);
  }
  return dropped;
}

/** Ends families in the database at once, for longer than any of their tokens lives. */
export async function revokeFamilies(
  parts: AuthParts,
  tenant: string,
  families: readonly string[],
): Promise<void> {
  // A database token minted at the session token's last moment lives at most another minute.
  const until = parts.now() + parts.sessionTokens.reach + 60_000;
  for (const family of families) await parts.store.revokeFamily(tenant, family, until);
}

/** The password credential of an address. */
export async function findCredential(
  tx: AuthTransaction,
  email: string,
): Promise<CredentialRow | null> {
  return parseRow("_credentials", await tx.get("_credentials", passwordCredentialId(email)));
}

/**
 * A live family's account with its password.
 *
 * @throws {KontractError} `SESSION_REVOKED`, `FORBIDDEN`
 */
export async function ownCredential(
  tx: AuthTransaction,
  principal: Principal,
  now: number,
): Promise<
  { readonly session: SessionRow; readonly user: UserRow; readonly credential: CredentialRow }
> {
  const { session, user } = await requireFamily(tx, principal, now);
  const credential = user.email === undefined ? null : await findCredential(tx, user.email);
  if (credential?.owner === principal.owner) return { session, user, credential };
  throw new KontractError("FORBIDDEN", "This account has no password yet.", {
    data: { reason: "no_password" },
  });
}
