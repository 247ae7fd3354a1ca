/**
 * `register` and `link`: a password for a new or an anonymous identity, which keeps its owner.
 *
 * - *immediate*: the credential exists when the call returns; a taken address is `UNIQUE_VIOLATION` with
 *   `data.reason = "taken"`.
 * - *confirmed*: the answer is the same for a free and a taken address, and so is the work; the mailbox
 *   learns the rest. The credential comes into being in `verifyEmail`.
 *
 * An e-mail is unique because it is the primary key of its credential, read and written in one serializable
 * transaction. Attaching a credential replaces every refresh token the anonymous identity had: who
 * copied one from a shared machine does not come along.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuthRequestContext, SessionTokens } from "./contract.ts";
import {
  dropFamilies,
  findCredential,
  openFamily,
  requireFamily,
  requirePrincipal,
  revokeFamilies,
  tokensFor,
} from "./families.ts";
import type { OpenFamily } from "./families.ts";
import { accountSubject, addressSubject } from "./limits.ts";
import { makeMailToken } from "./mail_tokens.ts";
import type { AuthParts } from "./options.ts";
import { invalidField, parseArgument } from "./parse.ts";
import { describeFault, judgePassword } from "./password/mod.ts";
import { reissue } from "./refresh.ts";
import { passwordCredentialId } from "./rows.ts";
import type { CredentialRow, SessionRow, UserRow } from "./rows.ts";
import { newUser } from "./sign_in.ts";
import type { AuthTransaction } from "./store.ts";

/** What `register` and `link` answer; tokens are there where the session is new or changed. */
export type RegistrationAnswer =
  & { readonly status: "registered" | "confirmation_sent" }
  & Partial<SessionTokens>;

/** @throws {KontractError} `VALIDATION` with the fault as `data.reason` */
export function checkNewPassword(
  parts: AuthParts,
  password: string,
  email: string,
  field = "password",
): void {
  const fault = judgePassword(password, parts.policy, email);
  if (fault !== null) throw invalidField(field, fault, describeFault(fault, parts.policy));
}

/** A new account, or a password for the anonymous caller. */
export async function register(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<RegistrationAnswer> {
  const { email, password } = parseArgument(argument, { email: "email", password: "password" });
  const { tenant, address, principal } = context;
  if (principal !== null && requirePrincipal(context).anonymous === false) throw alreadyLinked();
  checkNewPassword(parts, password, email);
  const account = await accountSubject(tenant, email);
  await parts.limits.spend(tenant, [
    ["registerAddress", addressSubject(address)],
    ["registerAccount", account],
  ]);
  const claim = { email, password, account, hash: await parts.hasher.hash(password) };
  return parts.registration === "immediate"
    ? await registerNow(parts, claim, context)
    : await registerPending(parts, claim, context);
}

/** As `register`, for a caller who must have a session. */
export async function link(
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
): Promise<RegistrationAnswer> {
  requirePrincipal(context);
  return await register(parts, argument, context);
}

interface Claim {
  readonly email: string;
  readonly password: string;
  readonly account: string;
  readonly hash: string;
}

async function registerNow(
  parts: AuthParts,
  claim: Claim,
  context: AuthRequestContext,
): Promise<RegistrationAnswer> {
  const { tenant, address, principal } = context;
  const { email, hash, account } = claim;
  const result = await parts.store.transaction(tenant, async (tx) => {
    const now = parts.now();
    const alive = principal === null ? null : await requireFamily(tx, principal, now);
    if (alive !== null && !alive.user.anonymous) return { kind: "linked_before" } as const;
    if (await findCredential(tx, email) !== null) return { kind: "taken" } as const;
    const before = alive?.user ?? newUser(now);
    const done = await attachCredential(parts, tx, {
      user: before,
      session: alive?.session ?? null,
      email,
      hash,
      verified: false,
      address,
    });
    return { kind: "done", ...done } as const;
  }).catch((error: unknown) => {
    // A store may tell a lost race on the primary key instead of running the body again.
    if (error instanceof KontractError && error.code === "UNIQUE_VIOLATION") {
      return { kind: "taken" } as const;
    }
    throw error;
  });
  if (result.kind === "linked_before") return await linkedBefore(parts, claim, context);
  if (result.kind === "taken") {
    parts.audit({ type: "registration_conflict", tenant, address, account });
    throw emailTaken();
  }
  await revokeFamilies(parts, tenant, result.ended);
  const { user, family } = result;
  const type = principal === null ? "registered" : "linked";
  parts.audit({ type, tenant, address, account, owner: user.id });
  if (family === null) return { status: "registered" };
  return { status: "registered", ...await tokensFor(parts, tenant, user, family) };
}

/**
 * The caller's identity was linked by another tab, or by the same request before its answer was lost. Where
 * address and password are the same, the answer is a session of the account, in a family of its own;
 * otherwise the first one stands.
 */
async function linkedBefore(
  parts: AuthParts,
  claim: Claim,
  context: AuthRequestContext,
): Promise<RegistrationAnswer> {
  const { tenant, address } = context;
  const { owner } = requirePrincipal(context);
  const found = await parts.store.transaction(tenant, (tx) => findCredential(tx, claim.email));
  const mine = found?.owner === owner ? found : null;
  const verdict = await parts.hasher.verify(mine?.hash ?? null, claim.password);
  if (mine === null || !verdict.ok) throw alreadyLinked();
  const opened = await parts.store.transaction(tenant, async (tx) => {
    const credential = await findCredential(tx, claim.email);
    const { user } = await requireFamily(tx, requirePrincipal(context), parts.now());
    if (credential?.hash !== mine.hash) return null;
    return { user, family: await openFamily(parts, tx, user, address) };
  });
  if (opened === null) throw alreadyLinked();
  return {
    status: "registered",
    ...await tokensFor(parts, tenant, opened.user, opened.family),
  };
}

async function registerPending(
  parts: AuthParts,
  claim: Claim,
  context: AuthRequestContext,
): Promise<RegistrationAnswer> {
  const { tenant, address, principal } = context;
  const { email, hash, account } = claim;
  const expiresAt = parts.now() + parts.verifyLifetime;
  const result = await parts.store.transaction(tenant, async (tx) => {
    const now = parts.now();
    const alive = principal === null ? null : await requireFamily(tx, principal, now);
    if (alive !== null && !alive.user.anonymous) throw alreadyLinked();
    const user = alive?.user ?? newUser(now);
    const taken = await findCredential(tx, email) !== null;
    const { token, row } = await makeMailToken(
      parts.mailTokens,
      taken
        ? { kind: "decoy", owner: "", email, hash, expiresAt }
        : { kind: "register", owner: user.id, email, hash, expiresAt },
    );
    await tx.set("_mail_tokens", row);
    if (alive !== null) return { user, taken, token, family: null };
    await tx.set("_users", user);
    return { user, taken, token, family: await openFamily(parts, tx, user, address) };
  });
  const { user, taken, token, family } = result;
  parts.send(
    taken
      ? { kind: "registration_attempt", to: email, tenant, token: null, expiresAt: null }
      : { kind: "register", to: email, tenant, token, expiresAt },
  );
  const type = taken ? "registration_conflict" : "registration_pending";
  parts.audit({ type, tenant, address, account, owner: user.id });
  if (family === null) return { status: "confirmation_sent" };
  return { status: "confirmation_sent", ...await tokensFor(parts, tenant, user, family) };
}

/**
 * Gives a user a password credential and replaces the session's tokens; the address must be free in
 * the same transaction.
 */
export async function attachCredential(
  parts: AuthParts,
  tx: AuthTransaction,
  options: {
    readonly user: UserRow;
    readonly session: SessionRow | null;
    readonly email: string;
    readonly hash: string;
    readonly verified: boolean;
    /** Where a new family opens when there is no session; null opens none. */
    readonly address: string | null;
  },
): Promise<{
  readonly user: UserRow;
  readonly family: OpenFamily | null;
  readonly ended: readonly string[];
}> {
  const { email, hash, session, address } = options;
  const now = parts.now();
  const user = { ...options.user, anonymous: false, email, emailVerified: options.verified };
  const credential: CredentialRow = {
    id: passwordCredentialId(email),
    owner: user.id,
    provider: "password",
    email,
    hash,
    createdAt: now,
    changedAt: now,
  };
  await tx.set("_credentials", credential);
  await tx.set("_users", user);
  const ended = await dropFamilies(tx, user.id, session?.id ?? null);
  if (session !== null) {
    const family = await reissue(session, now, parts.lifetimes(false));
    await tx.set("_sessions", family.row);
    return { user, family, ended };
  }
  const family = address === null ? null : await openFamily(parts, tx, user, address);
  return { user, family, ended };
}

/** The address has an account. */
export function emailTaken(): KontractError {
  return new KontractError("UNIQUE_VIOLATION", "This e-mail address has an account already.", {
    data: { field: "email", reason: "taken" },
  });
}

/** The caller has a credential. */
export function alreadyLinked(): KontractError {
  return new KontractError("FORBIDDEN", "You are signed in with an account already.", {
    data: { reason: "already_linked" },
  });
}
