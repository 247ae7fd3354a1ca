/**
 * Administration: for the app's own server code and the command line, never for clients.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Principal, SessionTokens } from "./contract.ts";
import type { CredentialChange } from "./change_credentials.ts";
import { dropFamilies, findCredential, revokeFamilies } from "./families.ts";
import type { AuthParts } from "./options.ts";
import { invalidField, normalizeEmail } from "./parse.ts";
import { parsePasswordHash } from "./password/mod.ts";
import { parseRow, passwordCredentialId } from "./rows.ts";
import type { UserRow } from "./rows.ts";
import type { AuthTransaction } from "./store.ts";

/** An account from elsewhere. */
export interface ImportedAccount {
  /** Address of the account. */
  readonly email: string;
  /** A password hash in one of the formats of `auth/password/format.ts`. */
  readonly hash: string;
  /** False where missing. */
  readonly emailVerified?: boolean;
  /** None where missing. */
  readonly ugroups?: readonly string[];
}

/**
 * On whose authority something is administered: a user of the same tenant who must be in `group` when the
 * work is applied, whatever an earlier check said. Without an actor the host's own code asks.
 */
export interface AuthActor {
  /** The user who asks. */
  readonly owner: string;
  /** Group that user must be in. */
  readonly group: string;
}

/** What administration offers beside the functions that clients call. */
export interface AuthAdmin {
  /**
   * Replaces a user's groups; the database sees it in the user's next operation.
   *
   * @throws {KontractError} `NOT_FOUND`, `VALIDATION`, `FORBIDDEN`
   */
  setGroups(
    tenant: string,
    owner: string,
    groups: readonly string[],
    actor?: AuthActor,
  ): Promise<readonly string[]>;
  /** A user's groups as stored now. @throws {KontractError} `NOT_FOUND`, `FORBIDDEN` */
  groupsOf(tenant: string, owner: string, actor?: AuthActor): Promise<readonly string[]>;
  /** Owner of an e-mail's account, or null. @throws {KontractError} `FORBIDDEN` */
  ownerOf(tenant: string, email: string, actor?: AuthActor): Promise<string | null>;
  /**
   * Makes an account with a hash made elsewhere; it is replaced at the first login. Gives the owner.
   *
   * @throws {KontractError} `UNIQUE_VIOLATION`, `VALIDATION`
   */
  importAccount(tenant: string, account: ImportedAccount): Promise<string>;
  /**
   * Gives the caller's account another address, another password or both. Nobody's old password is asked for: the
   * app's code decides what it asks before. A new password ends the owner's other sign-ins.
   *
   * @throws {KontractError} `UNIQUE_VIOLATION`, `VALIDATION`, `FORBIDDEN`, `RATE_LIMITED`
   */
  changeCredentials(
    principal: Principal,
    change: CredentialChange,
    address: string,
  ): Promise<SessionTokens>;
  /** Ends all sessions of an owner at once; gives how many. @throws {KontractError} `FORBIDDEN` */
  endSessions(tenant: string, owner: string, actor?: AuthActor): Promise<number>;
  /**
   * Deletes sessions and mailed tokens that ended in the hours from `from` to `to` (milliseconds since
   * the epoch, at most 31 days apart); gives how many. Run it hourly over the last two hours.
   */
  sweep(tenant: string, from: number, to: number): Promise<number>;
}

const GROUP = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
const MAX_GROUPS = 64;

/** Sorted, each once. @throws {KontractError} `VALIDATION` */
export function checkGroups(groups: readonly string[]): readonly string[] {
  const valid = Array.isArray(groups) && groups.length <= MAX_GROUPS &&
    groups.every((group) => typeof group === "string" && GROUP.test(group));
  if (!valid) {
    throw invalidField(
      "groups",
      "not_groups",
      `Groups must be at most ${MAX_GROUPS} names of letters, digits and . _ : - (64 characters).`,
    );
  }
  return [...new Set(groups)].sort();
}

/** Refuses an actor who is not in the group now. @throws {KontractError} `FORBIDDEN` */
async function requireActor(
  tx: AuthTransaction,
  actor: AuthActor | undefined,
): Promise<void> {
  if (actor === undefined) return;
  const user = parseRow("_users", await tx.get("_users", actor.owner));
  if (user?.ugroups.includes(actor.group) === true) return;
  throw new KontractError("FORBIDDEN", `This is for the group '${actor.group}'.`);
}

async function requireUser(tx: AuthTransaction, owner: string): Promise<UserRow> {
  const user = parseRow("_users", await tx.get("_users", owner));
  if (user === null) throw new KontractError("NOT_FOUND", "There is no such user.");
  return user;
}

/** Replaces a user's groups. */
export async function setGroups(
  parts: AuthParts,
  tenant: string,
  owner: string,
  groups: readonly string[],
  actor?: AuthActor,
): Promise<readonly string[]> {
  const ugroups = checkGroups(groups);
  await parts.store.transaction(tenant, async (tx) => {
    await requireActor(tx, actor);
    await tx.set("_users", { ...await requireUser(tx, owner), ugroups });
  });
  parts.audit({
    type: "groups_changed",
    tenant,
    address: "system",
    owner,
    detail: actor === undefined ? ugroups.join(",") : `${ugroups.join(",")} by ${actor.owner}`,
  });
  return ugroups;
}

/** A user's groups as stored now. */
export async function groupsOf(
  parts: AuthParts,
  tenant: string,
  owner: string,
  actor?: AuthActor,
): Promise<readonly string[]> {
  return await parts.store.transaction(tenant, async (tx) => {
    await requireActor(tx, actor);
    return (await requireUser(tx, owner)).ugroups;
  });
}

/** Owner of an e-mail's account, or null. */
export async function ownerOf(
  parts: AuthParts,
  tenant: string,
  email: string,
  actor?: AuthActor,
): Promise<string | null> {
  const normal = normalizeEmail(email);
  const found = await parts.store.transaction(tenant, async (tx) => {
    await requireActor(tx, actor);
    return normal === null ? null : await findCredential(tx, normal);
  });
  return found?.owner ?? null;
}

/** Makes an account with a foreign hash. */
export async function importAccount(
  parts: AuthParts,
  tenant: string,
  account: ImportedAccount,
): Promise<string> {
  const email = normalizeEmail(account.email);
  if (email === null) throw invalidField("email", "not_an_email", "'email' is not an e-mail.");
  if (parsePasswordHash(account.hash) === null) {
    throw invalidField("hash", "not_a_hash", "'hash' is not a password hash of a known format.");
  }
  const ugroups = checkGroups(account.ugroups ?? []);
  const now = parts.now();
  const owner = crypto.randomUUID();
  await parts.store.transaction(tenant, async (tx) => {
    if (await findCredential(tx, email) !== null) {
      throw new KontractError("UNIQUE_VIOLATION", "This e-mail address has an account already.");
    }
    await tx.set("_users", {
      id: owner,
      ugroups,
      anonymous: false,
      email,
      emailVerified: account.emailVerified === true,
      createdAt: now,
    });
    await tx.set("_credentials", {
      id: passwordCredentialId(email),
      owner,
      provider: "password",
      email,
      hash: account.hash,
      createdAt: now,
      changedAt: now,
    });
  });
  return owner;
}

/** Ends all sessions of an owner. */
export async function endSessions(
  parts: AuthParts,
  tenant: string,
  owner: string,
  actor?: AuthActor,
): Promise<number> {
  const ended = await parts.store.transaction(tenant, async (tx) => {
    await requireActor(tx, actor);
    return await dropFamilies(tx, owner, null);
  });
  await revokeFamilies(parts, tenant, ended);
  for (const family of ended) {
    parts.audit({ type: "session_revoked", tenant, address: "system", owner, family });
  }
  return ended.length;
}

const HOUR = 3_600_000;

/** Deletes what has ended. */
export async function sweep(
  parts: AuthParts,
  tenant: string,
  from: number,
  to: number,
): Promise<number> {
  // A row is in the bucket of the hour after its end, so a whole bucket is dead once its hour has begun.
  const last = Math.min(to, parts.now());
  if (!Number.isFinite(from) || last - from > 31 * 24 * HOUR) {
    throw invalidField("from", "out_of_range", "A sweep covers at most 31 days.");
  }
  let swept = 0;
  for (let at = Math.floor(from / HOUR) * HOUR; at <= last; at += HOUR) {
    const bucket = new Date(at).toISOString().slice(0, 13);
    for (const table of ["_sessions", "_mail_tokens"]) {
      swept += await parts.store.transaction(tenant, (tx) => sweepBucketOf(tx, table, bucket));
    }
  }
  return swept;
}

async function sweepBucketOf(tx: AuthTransaction, table: string, bucket: string): Promise<number> {
  const rows = await tx.find(table, { bucket });
  for (const row of rows) await tx.delete(table, row.id);
  return rows.length;
}
