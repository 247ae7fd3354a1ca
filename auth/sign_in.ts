/**
 * `anonymous`, `login`, `refresh`: the ways to a session.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuthRequestContext, SessionTokens } from "./contract.ts";
import { findCredential, openFamily, tokensFor } from "./families.ts";
import { revokeFamilies } from "./families.ts";
import { accountSubject, addressSubject } from "./limits.ts";
import type { AuthParts } from "./options.ts";
import { parseArgument } from "./parse.ts";
import { parseRefreshToken, useRefreshToken } from "./refresh.ts";
import { parseRow } from "./rows.ts";
import type { UserRow } from "./rows.ts";

/** A user without a credential. */
export function newUser(now: number): UserRow {
  return {
    id: crypto.randomUUID(),
    ugroups: [],
    anonymous: true,
    emailVerified: false,
    createdAt: now,
  };
}

/** A new identity; refused where the caller has one, or it would be lost. */
export async function anonymous(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<SessionTokens> {
  parseArgument(argument, {});
  const { tenant, address } = context;
  if (context.principal !== null) {
    throw new KontractError("FORBIDDEN", "You have a session already.", {
      data: { reason: "has_session" },
    });
  }
  await parts.limits.spend(tenant, [["anonymous", addressSubject(address)]]);
  const user = newUser(parts.now());
  const family = await parts.store.transaction(tenant, async (tx) => {
    await tx.set("_users", user);
    return await openFamily(parts, tx, user, address);
  });
  parts.audit({
    type: "anonymous_created",
    tenant,
    address,
    owner: user.id,
    family: family.row.id,
  });
  return await tokensFor(parts, tenant, user, family);
}

const WRONG_LOGIN = "The e-mail address or the password is wrong.";

/** E-mail and password → a new family. */
export async function login(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<SessionTokens> {
  const { email, password } = parseArgument(argument, { email: "email", password: "password" });
  const { tenant, address } = context;
  const account = await accountSubject(tenant, email);
  const from = addressSubject(address);
  await parts.limits.spend(tenant, [
    ["loginAccountAddress", `${account}:${from}`],
    ["loginAddress", from],
    ["loginAccount", account],
  ]);
  // Unknown address and wrong password take the same steps: one read, one derivation, one answer.
  const found = await parts.store.transaction(tenant, (tx) => findCredential(tx, email));
  const verdict = await parts.hasher.verify(found?.hash ?? null, password);
  if (verdict.unsupported) {
    parts.audit({ type: "password_hash_unsupported", tenant, address, account });
  }
  if (!verdict.ok || found === null) {
    parts.audit({ type: "login_failed", tenant, address, account });
    throw new KontractError("UNAUTHORIZED", WRONG_LOGIN);
  }
  const hash = verdict.rehash ? await parts.hasher.hash(password) : null;
  const opened = await parts.store.transaction(tenant, async (tx) => {
    const credential = await findCredential(tx, email);
    const user = parseRow("_users", await tx.get("_users", found.owner));
    // The password that was checked must still be the account's when the session opens.
    if (credential?.hash !== found.hash || credential.owner !== found.owner || user === null) {
      return null;
    }
    if (hash !== null) {
      await tx.set("_credentials", { ...credential, hash, changedAt: parts.now() });
    }
    return { user, family: await openFamily(parts, tx, user, address) };
  });
  if (opened === null) {
    parts.audit({ type: "login_failed", tenant, address, account, detail: "changed" });
    throw new KontractError("UNAUTHORIZED", WRONG_LOGIN);
  }
  const { user, family } = opened;
  const who = { tenant, address, account, owner: user.id, family: family.row.id };
  if (hash !== null) parts.audit({ type: "password_rehashed", ...who });
  parts.audit({ type: "login_succeeded", ...who });
  return await tokensFor(parts, tenant, user, family);
}

/** A refresh token → the next one and a new session token. */
export async function refresh(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<SessionTokens> {
  const { refresh: text } = parseArgument(argument, { refresh: "token" });
  const { tenant, address } = context;
  await parts.limits.spend(tenant, [["refreshAddress", addressSubject(address)]]);
  const token = parseRefreshToken(text);
  if (token === null) throw notARefreshToken();
  const result = await parts.store.transaction(tenant, async (tx) => {
    const row = parseRow("_sessions", await tx.get("_sessions", token.family));
    const user = row === null ? null : parseRow("_users", await tx.get("_users", row.owner));
    if (row === null || user === null) return { verdict: { kind: "unknown" }, row, user } as const;
    const lifetimes = parts.lifetimes(user.anonymous);
    const verdict = await useRefreshToken(row, token, parts.now(), lifetimes);
    if (verdict.kind === "rotated") await tx.set("_sessions", verdict.row);
    if (verdict.kind === "reused" || verdict.kind === "expired") {
      await tx.delete("_sessions", row.id);
    }
    return { verdict, row, user } as const;
  });
  const { verdict, row, user } = result;
  const who = { tenant, address, family: token.family, ...(user ? { owner: user.id } : {}) };
  if (row === null || user === null || verdict.kind === "unknown") {
    parts.audit({ type: "refresh_refused", ...who });
    throw notARefreshToken();
  }
  switch (verdict.kind) {
    case "rotated":
      parts.audit({ type: "refreshed", ...who });
      return await tokensFor(parts, tenant, user, verdict);
    case "repeated":
      parts.audit({ type: "refresh_repeated", ...who });
      return await tokensFor(parts, tenant, user, { row, token: verdict.token });
    case "reused":
      await revokeFamilies(parts, tenant, [row.id]);
      parts.audit({ type: "refresh_reused", ...who });
      throw new KontractError("SESSION_REVOKED");
    case "expired":
      parts.audit({ type: "refresh_refused", ...who, detail: "expired" });
      throw new KontractError("SESSION_EXPIRED");
  }
}

function notARefreshToken(): KontractError {
  return new KontractError("UNAUTHORIZED", "The refresh token is not valid.");
}
