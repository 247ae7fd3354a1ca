/**
 * A new address, a new password or both for the caller's account, on the word of the app's own code: nobody's old
 * password is asked for, so clients cannot call this. One transaction applies it all or nothing.
 *
 * A new password ends the owner's other sign-ins and every mailed token; the caller's own goes on under the tokens
 * of the answer. Where addresses are confirmed by mail, none is taken that was not.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Principal, SessionTokens } from "./contract.ts";
import {
  dropFamilies,
  findCredential,
  ownCredential,
  requirePrincipal,
  revokeFamilies,
  tokensFor,
} from "./families.ts";
import { addressSubject } from "./limits.ts";
import { dropMailTokens } from "./mail_tokens.ts";
import type { AuthParts } from "./options.ts";
import { parseArgument } from "./parse.ts";
import { reissue } from "./refresh.ts";
import { checkNewPassword, emailTaken } from "./registration.ts";
import { passwordCredentialId } from "./rows.ts";

/** What changes; what is missing stays. */
export interface CredentialChange {
  /** Another address. */
  readonly email?: string;
  /** Another password. */
  readonly password?: string;
}

/** Changes them. @throws {KontractError} see `AuthAdmin.changeCredentials` */
export async function changeCredentials(
  parts: AuthParts,
  principal: Principal,
  change: CredentialChange,
  address: string,
): Promise<SessionTokens> {
  const { email, password } = parseArgument(change, { email: "email?", password: "password?" });
  const { tenant, owner } = requirePrincipal({ principal, tenant: principal.tenant, address });
  if (email !== undefined && parts.registration === "confirmed") {
    throw new KontractError(
      "CONFIG",
      "Where registration is confirmed by mail, an address cannot be changed without.",
    );
  }
  await parts.limits.spend(tenant, [
    ["changeOwner", owner],
    ["loginAddress", addressSubject(address)],
  ]);
  const before = await parts.store.transaction(
    tenant,
    (tx) => ownCredential(tx, principal, parts.now()),
  );
  if (password !== undefined) {
    checkNewPassword(parts, password, email ?? before.credential.email);
  }
  const hash = password === undefined ? before.credential.hash : await parts.hasher.hash(password);
  const done = await parts.store.transaction(tenant, async (tx) => {
    const now = parts.now();
    const { session, user, credential } = await ownCredential(tx, principal, now);
    if (credential.hash !== before.credential.hash) {
      throw new KontractError("CONFLICT", "The password was changed at the same time.");
    }
    const next = email ?? credential.email;
    const moved = next !== credential.email;
    if (moved) {
      if (await findCredential(tx, next) !== null) throw emailTaken();
      await tx.delete("_credentials", credential.id);
    }
    const id = passwordCredentialId(next);
    await tx.set("_credentials", { ...credential, id, email: next, hash, changedAt: now });
    const own = { ...user, email: next, emailVerified: user.emailVerified && !moved };
    if (moved) await tx.set("_users", own);
    await dropMailTokens(tx, owner);
    const ended = password === undefined ? [] : await dropFamilies(tx, owner, session.id);
    const family = await reissue(session, now, parts.lifetimes(false));
    await tx.set("_sessions", family.row);
    return { user: own, ended, family, moved };
  });
  await revokeFamilies(parts, tenant, done.ended);
  const who = { tenant, address, owner, family: principal.family };
  if (done.moved) parts.audit({ type: "email_changed", ...who });
  if (password !== undefined) {
    parts.audit({ type: "password_changed", ...who });
    const to = before.credential.email;
    parts.send({ kind: "password_changed", to, tenant, token: null, expiresAt: null });
  }
  return await tokensFor(parts, tenant, done.user, done.family);
}
