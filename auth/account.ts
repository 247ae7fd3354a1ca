/**
 * What a caller may do with the own account: `me`, `sessions`, `revokeSession`, `logout`,
 * `changePassword`. Each reads the family first, so a token of an ended one opens nothing.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuthRequestContext, SessionTokens } from "./contract.ts";
import {
  dropFamilies,
  ownCredential,
  requireFamily,
  requirePrincipal,
  revokeFamilies,
  tokensFor,
} from "./families.ts";
import { addressSubject } from "./limits.ts";
import { dropMailTokens } from "./mail_tokens.ts";
import type { AuthParts } from "./options.ts";
import { invalidField, parseArgument } from "./parse.ts";
import { holdsFamily, parseRefreshToken, reissue } from "./refresh.ts";
import { checkNewPassword } from "./registration.ts";
import { parseRow } from "./rows.ts";

/** Answer of `me`. */
export interface Me {
  /** Id of the account. */
  readonly owner: string;
  /** Tenant of the account. */
  readonly tenant: string;
  /** True until somebody has signed up. */
  readonly anonymous: boolean;
  /** Groups. */
  readonly ugroups: readonly string[];
  /** Address, or null until somebody has signed up. */
  readonly email: string | null;
  /** True where a mailed token came back. */
  readonly emailVerified: boolean;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Id of this session, as in `sessions`. */
  readonly session: string;
}

/** Who is calling, as stored now. */
export async function me(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<Me> {
  parseArgument(argument, {});
  const principal = requirePrincipal(context);
  const { user } = await parts.store.transaction(
    context.tenant,
    (tx) => requireFamily(tx, principal, parts.now()),
  );
  return {
    owner: user.id,
    tenant: context.tenant,
    anonymous: user.anonymous,
    ugroups: user.ugroups,
    email: user.email ?? null,
    emailVerified: user.emailVerified,
    createdAt: user.createdAt,
    session: principal.family,
  };
}

/** One sign-in, as its owner sees it. */
export interface SessionInfo {
  readonly id: string;
  readonly createdAt: number;
  readonly refreshedAt: number;
  readonly expiresAt: number;
  readonly address: string;
  readonly current: boolean;
}

/** The caller's live sign-ins, newest first. */
export async function sessions(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<{ readonly sessions: readonly SessionInfo[] }> {
  parseArgument(argument, {});
  const principal = requirePrincipal(context);
  const now = parts.now();
  const rows = await parts.store.transaction(context.tenant, async (tx) => {
    await requireFamily(tx, principal, now);
    return await tx.find("_sessions", { owner: principal.owner });
  });
  const live = rows.map((row) => parseRow("_sessions", row)).filter((row) => row !== null)
    .filter((row) => now < row.idleUntil && now < row.expiresAt)
    .sort((a, b) => b.createdAt - a.createdAt);
  return {
    sessions: live.map((row) => ({
      id: row.id,
      createdAt: row.createdAt,
      refreshedAt: row.rotatedAt,
      expiresAt: Math.min(row.idleUntil, row.expiresAt),
      address: row.address,
      current: row.id === principal.family,
    })),
  };
}

/** Ends one of the caller's sign-ins; somebody else's is as unknown as none. */
export async function revokeSession(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<{ readonly revoked: true }> {
  const { id } = parseArgument(argument, { id: "id" });
  const principal = requirePrincipal(context);
  const { tenant, address } = context;
  const mine = await parts.store.transaction(tenant, async (tx) => {
    await requireFamily(tx, principal, parts.now());
    const row = parseRow("_sessions", await tx.get("_sessions", id));
    if (row?.owner !== principal.owner) return false;
    await tx.delete("_sessions", id);
    return true;
  });
  if (!mine) throw new KontractError("NOT_FOUND", "You have no such session.");
  await revokeFamilies(parts, tenant, [id]);
  parts.audit({ type: "session_revoked", tenant, address, owner: principal.owner, family: id });
  return { revoked: true };
}

/**
 * Ends this sign-in, or with `everywhere` all of the owner's. A caller whose session token has run out may
 * show the refresh token instead. Doing it again is no error.
 */
export async function logout(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<{ readonly ended: number }> {
  const { everywhere, refresh } = parseArgument(argument, {
    everywhere: "boolean?",
    refresh: "token?",
  });
  const { tenant, address, principal } = context;
  const token = refresh === undefined ? null : parseRefreshToken(refresh);
  const ended = await parts.store.transaction(tenant, async (tx): Promise<readonly string[]> => {
    const families: string[] = [];
    let owner: string | null = null;
    if (principal !== null) {
      const row = parseRow("_sessions", await tx.get("_sessions", principal.family));
      if (row !== null && row.owner === principal.owner) owner = row.owner;
      // Also where the row has gone: an earlier attempt may have failed before the tombstone.
      families.push(principal.family);
    }
    if (token !== null) {
      const row = parseRow("_sessions", await tx.get("_sessions", token.family));
      if (row !== null && await holdsFamily(row, token)) {
        owner ??= row.owner;
        families.push(row.id);
      }
    }
    if (everywhere === true && owner !== null) {
      families.push(...await dropFamilies(tx, owner, null));
    }
    const all = [...new Set(families)];
    for (const family of all) await tx.delete("_sessions", family);
    return all;
  });
  await revokeFamilies(parts, tenant, ended);
  for (const family of ended) {
    const owner = principal === null ? {} : { owner: principal.owner };
    parts.audit({ type: "logged_out", tenant, address, family, ...owner });
  }
  return { ended: ended.length };
}

/** A new password for who knows the old one; every other sign-in of the owner ends. */
export async function changePassword(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<SessionTokens> {
  const { current, password } = parseArgument(argument, {
    current: "password",
    password: "password",
  });
  const principal = requirePrincipal(context);
  const { tenant, address } = context;
  const { owner } = principal;
  await parts.limits.spend(tenant, [
    ["changeOwner", owner],
    ["loginAddress", addressSubject(address)],
  ]);
  const { user, credential } = await parts.store.transaction(
    tenant,
    (tx) => ownCredential(tx, principal, parts.now()),
  );
  checkNewPassword(parts, password, credential.email);
  const verdict = await parts.hasher.verify(credential.hash, current);
  if (!verdict.ok) {
    parts.audit({ type: "password_change_failed", tenant, address, owner });
    throw invalidField("current", "wrong", "The current password is wrong.");
  }
  const hash = await parts.hasher.hash(password);
  const result = await parts.store.transaction(tenant, async (tx) => {
    const now = parts.now();
    const { session, credential: stored } = await ownCredential(tx, principal, now);
    if (stored.hash !== credential.hash) {
      throw new KontractError("CONFLICT", "The password was changed at the same time.");
    }
    await tx.set("_credentials", { ...stored, hash, changedAt: now });
    await dropMailTokens(tx, owner);
    const ended = await dropFamilies(tx, owner, session.id);
    const family = await reissue(session, now, parts.lifetimes(false));
    await tx.set("_sessions", family.row);
    return { ended, family };
  });
  await revokeFamilies(parts, tenant, result.ended);
  parts.audit({ type: "password_changed", tenant, address, owner, family: principal.family });
  parts.send({
    kind: "password_changed",
    to: credential.email,
    tenant,
    token: null,
    expiresAt: null,
  });
  return await tokensFor(parts, tenant, user, result.family);
}
