/**
 * What goes through the mailbox: `requestReset`, `resetPassword`, `requestVerification`, `verifyEmail`.
 *
 * Asking for a reset does the same for a known and an unknown address: one transaction with one read and
 * one write (a decoy row), one answer, mail handed over in the background.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuthRequestContext, SessionTokens } from "./contract.ts";
import {
  dropFamilies,
  findCredential,
  requireFamily,
  requirePrincipal,
  revokeFamilies,
  tokensFor,
} from "./families.ts";
import { accountSubject, addressSubject } from "./limits.ts";
import { dropMailTokens, findMailToken, mailTokenIds, makeMailToken } from "./mail_tokens.ts";
import type { AuthParts } from "./options.ts";
import { parseArgument } from "./parse.ts";
import { alreadyLinked, attachCredential, checkNewPassword, emailTaken } from "./registration.ts";
import { parseRow } from "./rows.ts";
import type { MailTokenRow } from "./rows.ts";

/** Mails a reset token, if the address has an account; never says whether. */
export async function requestReset(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<{ readonly sent: true }> {
  const { email } = parseArgument(argument, { email: "email" });
  const { tenant, address } = context;
  const account = await accountSubject(tenant, email);
  await parts.limits.spend(tenant, [
    ["mailAddress", addressSubject(address)],
    ["mailAccount", account],
  ]);
  const expiresAt = parts.now() + parts.resetLifetime;
  const { token, known } = await parts.store.transaction(tenant, async (tx) => {
    const credential = await findCredential(tx, email);
    const { token, row } = await makeMailToken(parts.mailTokens, {
      kind: credential === null ? "decoy" : "reset",
      owner: credential?.owner ?? "",
      email,
      expiresAt,
    });
    await tx.set("_mail_tokens", row);
    return { token, known: credential !== null };
  });
  if (known) parts.send({ kind: "reset", to: email, tenant, token, expiresAt });
  parts.audit({ type: "reset_requested", tenant, address, account });
  return { sent: true };
}

/** A new password for who holds the mailed token; every sign-in of the owner ends. */
export async function resetPassword(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<{ readonly reset: true }> {
  const { token, password } = parseArgument(argument, { token: "token", password: "password" });
  const { tenant, address } = context;
  const { ids, row } = await redeemable(parts, context, token, ["reset"]);
  checkNewPassword(parts, password, row.email);
  const hash = await parts.hasher.hash(password);
  const ended = await parts.store.transaction(tenant, async (tx) => {
    const now = parts.now();
    const again = await findMailToken(tx, ids, ["reset"], now);
    const credential = await findCredential(tx, row.email);
    const user = parseRow("_users", await tx.get("_users", row.owner));
    if (again === null || credential?.owner !== row.owner || user === null) return null;
    await tx.set("_credentials", { ...credential, hash, changedAt: now });
    // The mailbox was reached, which is what verification asks for.
    await tx.set("_users", { ...user, emailVerified: true });
    await dropMailTokens(tx, row.owner);
    return await dropFamilies(tx, row.owner, null);
  });
  if (ended === null) throw refuse(parts, context);
  await revokeFamilies(parts, tenant, ended);
  parts.audit({ type: "reset_completed", tenant, address, owner: row.owner });
  parts.send({ kind: "password_changed", to: row.email, tenant, token: null, expiresAt: null });
  return { reset: true };
}

/** Mails a verification token to the caller's own address; `sent: false` where it is verified. */
export async function requestVerification(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<{ readonly sent: boolean }> {
  parseArgument(argument, {});
  const principal = requirePrincipal(context);
  const { tenant, address } = context;
  const { owner } = principal;
  await parts.limits.spend(tenant, [
    ["mailAddress", addressSubject(address)],
    ["mailAccount", owner],
  ]);
  const expiresAt = parts.now() + parts.verifyLifetime;
  const made = await parts.store.transaction(tenant, async (tx) => {
    const { user } = await requireFamily(tx, principal, parts.now());
    if (user.email === undefined) return "no_address";
    if (user.emailVerified) return "verified";
    const { email } = user;
    const content = { kind: "verify", owner, email, expiresAt } as const;
    const { token, row } = await makeMailToken(parts.mailTokens, content);
    await tx.set("_mail_tokens", row);
    return { email, token };
  });
  if (made === "verified") return { sent: false };
  if (made === "no_address") {
    throw new KontractError("FORBIDDEN", "This account has no e-mail address yet.", {
      data: { reason: "no_address" },
    });
  }
  parts.send({ kind: "verify", to: made.email, tenant, token: made.token, expiresAt });
  parts.audit({ type: "verification_requested", tenant, address, owner });
  return { sent: true };
}

/** Answer of `verifyEmail`; tokens are there where the caller's own session changed. */
export type VerificationAnswer =
  & { readonly verified: true; readonly email: string }
  & Partial<SessionTokens>;

/**
 * Takes a mailed token back: confirms an address, or completes a registration.
 *
 * A registration is completed only by who began it: from the session it was begun in, or with its
 * password. The owner of a mailbox who follows a link that a stranger caused does not thereby give the
 * stranger an account in the owner's name.
 */
export async function verifyEmail(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<VerificationAnswer> {
  const { token, password } = parseArgument(argument, { token: "token", password: "password?" });
  const { ids, row } = await redeemable(parts, context, token, ["register", "verify"]);
  return row.kind === "register"
    ? await completeRegistration(parts, context, ids, row, password)
    : await confirmAddress(parts, context, ids, row);
}

async function confirmAddress(
  parts: AuthParts,
  context: AuthRequestContext,
  ids: readonly string[],
  row: MailTokenRow,
): Promise<VerificationAnswer> {
  const { tenant, address } = context;
  const done = await parts.store.transaction(tenant, async (tx) => {
    const again = await findMailToken(tx, ids, ["verify"], parts.now());
    const user = parseRow("_users", await tx.get("_users", row.owner));
    if (again === null || user?.email !== row.email) return false;
    await tx.delete("_mail_tokens", again.id);
    await tx.set("_users", { ...user, emailVerified: true });
    return true;
  });
  if (!done) throw refuse(parts, context);
  parts.audit({ type: "email_verified", tenant, address, owner: row.owner });
  return { verified: true, email: row.email };
}

async function completeRegistration(
  parts: AuthParts,
  context: AuthRequestContext,
  ids: readonly string[],
  row: MailTokenRow,
  password: string | undefined,
): Promise<VerificationAnswer> {
  const { tenant, address } = context;
  const account = await accountSubject(tenant, row.email);
  const principal = context.principal?.owner === row.owner ? context.principal : null;
  if (principal === null) await proveBeginner(parts, context, row, account, password);
  const result = await parts.store.transaction(tenant, async (tx) => {
    const now = parts.now();
    const again = await findMailToken(tx, ids, ["register"], now);
    const user = parseRow("_users", await tx.get("_users", row.owner));
    if (again?.hash === undefined || user === null) return null;
    const alive = principal === null ? null : await requireFamily(tx, principal, now);
    if (!user.anonymous) throw alreadyLinked();
    if (await findCredential(tx, row.email) !== null) throw emailTaken();
    await dropMailTokens(tx, row.owner);
    return await attachCredential(parts, tx, {
      user,
      session: alive?.session ?? null,
      email: row.email,
      hash: again.hash,
      verified: true,
      address: null,
    });
  });
  if (result === null) throw refuse(parts, context);
  await revokeFamilies(parts, tenant, result.ended);
  const { user, family } = result;
  parts.audit({ type: "linked", tenant, address, account, owner: user.id });
  const answer = { verified: true, email: row.email } as const;
  return family === null ? answer : { ...answer, ...await tokensFor(parts, tenant, user, family) };
}

async function proveBeginner(
  parts: AuthParts,
  context: AuthRequestContext,
  row: MailTokenRow,
  account: string,
  password: string | undefined,
): Promise<void> {
  const { tenant } = context;
  await parts.limits.spend(tenant, [["loginAccount", account]]);
  const known = password !== undefined && row.hash !== undefined;
  if (known && (await parts.hasher.verify(row.hash ?? null, password)).ok) return;
  throw new KontractError(
    "UNAUTHORIZED",
    "Open the link where you registered, or give the password you chose.",
    { data: { reason: "proof_needed" } },
  );
}

/** Finds a mailed token that is still good, or answers as for one that never was. */
async function redeemable(
  parts: AuthParts,
  context: AuthRequestContext,
  token: string,
  kinds: readonly ("register" | "verify" | "reset")[],
): Promise<{ readonly ids: readonly string[]; readonly row: MailTokenRow }> {
  const { tenant, address } = context;
  await parts.limits.spend(tenant, [["tokenAddress", addressSubject(address)]]);
  const ids = await mailTokenIds(parts.mailTokens, token);
  const row = await parts.store.transaction(
    tenant,
    (tx) => findMailToken(tx, ids, kinds, parts.now()),
  );
  if (row === null) throw refuse(parts, context);
  return { ids, row };
}

function refuse(parts: AuthParts, context: AuthRequestContext): KontractError {
  const { tenant, address } = context;
  parts.audit({ type: "mail_token_refused", tenant, address });
  return new KontractError("UNAUTHORIZED", "This link is not valid any more: ask for a new one.", {
    data: { reason: "token" },
  });
}
