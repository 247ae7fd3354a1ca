/**
 * Refresh tokens: opaque, rotating, with reuse detection. Pure except for hashing; the caller holds
 * the row in a serializable transaction.
 *
 * A token is base64url of `family[16] ‖ stem[16] ‖ secret[32]`, all random. The row stores SHA-256 of the
 * stem and of the current secret, never the parts themselves.
 *
 * - *Rotation.* Each use replaces the secret; the stem stays for the family's life.
 * - *Reuse.* A token with the family's stem and a secret that is not the current one was genuine once:
 *   two parties hold the family, so it ends. A token with a wrong stem is a guess by someone who saw a
 *   family's id (it is in every session token) and changes nothing.
 * - *Two tabs.* Two holders may send the same token at nearly the same time. Within `grace` of a
 *   rotation the token before it answers with the *same* successor, so the family never forks: both
 *   tabs end with one token. The successor is kept in the row as `secret ⊕ HMAC(previous secret)`, a
 *   one-time pad that only a holder of the previous token can open; the database alone cannot.
 *   A thief who is within `grace` of the victim gets that same successor; whichever of the two uses it
 *   second, after `grace`, ends the family.
 * - *Ends.* A family ends when not refreshed for the idle time, and in any case at its absolute end.
 *
 * @module
 */
import {
  concat,
  equalText,
  fromBase64Url,
  hmac,
  labelledHash,
  randomBytes,
  toBase64Url,
  utf8,
} from "./encoding.ts";
import type { SessionRow } from "./rows.ts";
import { sweepBucket } from "./rows.ts";

/** How long families live, in milliseconds. */
export interface FamilyLifetimes {
  /** End without a refresh. */
  readonly idle: number;
  /** End in any case. */
  readonly absolute: number;
  /** During which the token before the current one is forgiven. */
  readonly grace: number;
}

/** A refresh token, taken apart. */
export interface RefreshParts {
  /** Id of the row. */
  readonly family: string;
  readonly stem: Uint8Array;
  readonly secret: Uint8Array;
}

/** What a refresh token is worth. */
export type RefreshVerdict =
  | { readonly kind: "rotated"; readonly row: SessionRow; readonly token: string }
  /** The token before the current one, in time: the row stays, the answer is the current token. */
  | { readonly kind: "repeated"; readonly token: string }
  /** Genuine once: end the family. */
  | { readonly kind: "reused" }
  | { readonly kind: "expired" }
  | { readonly kind: "unknown" };

const TOKEN_LENGTH = 86;

/** Takes a token apart; null for anything that is not one. */
export function parseRefreshToken(token: string): RefreshParts | null {
  if (token.length !== TOKEN_LENGTH) return null;
  const bytes = fromBase64Url(token);
  if (bytes === null) return null;
  return {
    family: toBase64Url(bytes.subarray(0, 16)),
    stem: bytes.subarray(16, 32),
    secret: bytes.subarray(32),
  };
}

function formatToken(family: string, stem: Uint8Array, secret: Uint8Array): string {
  return toBase64Url(concat(fromBase64Url(family) ?? new Uint8Array(16), stem, secret));
}

async function digest(part: "stem" | "secret", bytes: Uint8Array): Promise<string> {
  return toBase64Url(await labelledHash(`kontract/1 refresh ${part}`, bytes));
}

/** A new family with its first token. */
export async function startFamily(options: {
  readonly owner: string;
  readonly address: string;
  readonly now: number;
  readonly lifetimes: FamilyLifetimes;
}): Promise<{ readonly row: SessionRow; readonly token: string }> {
  const family = toBase64Url(randomBytes(16));
  const [stem, secret] = [randomBytes(16), randomBytes(32)];
  const { now, lifetimes } = options;
  const idleUntil = now + Math.min(lifetimes.idle, lifetimes.absolute);
  const row: SessionRow = {
    id: family,
    owner: options.owner,
    stem: await digest("stem", stem),
    current: await digest("secret", secret),
    rotatedAt: now,
    createdAt: now,
    idleUntil,
    expiresAt: now + lifetimes.absolute,
    address: options.address,
    bucket: sweepBucket(idleUntil),
  };
  return { row, token: formatToken(family, stem, secret) };
}

/** Judges a token against its family's row and rotates where it is the current one. */
export async function useRefreshToken(
  row: SessionRow,
  parts: RefreshParts,
  now: number,
  lifetimes: FamilyLifetimes,
): Promise<RefreshVerdict> {
  if (!await holdsFamily(row, parts)) return { kind: "unknown" };
  const presented = await digest("secret", parts.secret);
  const current = equalText(presented, row.current);
  if (now >= row.idleUntil || now >= row.expiresAt) {
    return { kind: "expired" };
  }
  if (current) return await rotate(row, parts, now, lifetimes);
  const previous = row.previous !== undefined && equalText(presented, row.previous);
  if (!previous || now >= row.rotatedAt + lifetimes.grace) return { kind: "reused" };
  const sealed = fromBase64Url(row.successor ?? "");
  if (sealed?.length !== 32) return { kind: "reused" };
  const secret = xor(sealed, await pad(row.id, parts.secret));
  if (!equalText(await digest("secret", secret), row.current)) return { kind: "reused" };
  return { kind: "repeated", token: formatToken(row.id, parts.stem, secret) };
}

/** True for any token, current or old, of the row's family: enough to end it, not to use it. */
export async function holdsFamily(row: SessionRow, parts: RefreshParts): Promise<boolean> {
  return equalText(await digest("stem", parts.stem), row.stem);
}

async function rotate(
  row: SessionRow,
  parts: RefreshParts,
  now: number,
  lifetimes: FamilyLifetimes,
): Promise<RefreshVerdict> {
  const secret = randomBytes(32);
  const idleUntil = Math.min(now + lifetimes.idle, row.expiresAt);
  const next: SessionRow = {
    ...row,
    current: await digest("secret", secret),
    previous: row.current,
    successor: toBase64Url(xor(secret, await pad(row.id, parts.secret))),
    rotatedAt: now,
    idleUntil,
    bucket: sweepBucket(idleUntil),
  };
  return { kind: "rotated", row: next, token: formatToken(row.id, parts.stem, secret) };
}

/**
 * Replaces a family's token without having seen the old one, when what the family may do changes
 * (linking, a new password). The stem changes too: every earlier token of the family is dead, and
 * because none of them matches any more, presenting one is a wrong guess and not a reuse, so a second
 * tab that still holds one must sign in with what the first tab stored, and cannot end the family.
 */
export async function reissue(
  row: SessionRow,
  now: number,
  lifetimes: FamilyLifetimes,
): Promise<{ readonly row: SessionRow; readonly token: string }> {
  const [stem, secret] = [randomBytes(16), randomBytes(32)];
  const idleUntil = now + Math.min(lifetimes.idle, lifetimes.absolute);
  const { previous: _previous, successor: _successor, ...rest } = row;
  const next: SessionRow = {
    ...rest,
    stem: await digest("stem", stem),
    current: await digest("secret", secret),
    rotatedAt: now,
    idleUntil,
    expiresAt: now + lifetimes.absolute,
    bucket: sweepBucket(idleUntil),
  };
  return { row: next, token: formatToken(row.id, stem, secret) };
}

function pad(family: string, secret: Uint8Array): Promise<Uint8Array> {
  return hmac(secret, utf8(`kontract/1 refresh successor\0${family}`));
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, at) => byte ^ (b[at] ?? 0));
}
