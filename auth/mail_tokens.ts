/**
 * Tokens that travel by mail: 32 random bytes, single use, bound to a purpose, an owner and an address.
 *
 * The row's id is HMAC-SHA256 of the token under the `mailToken` key: who can only read the table learns
 * no token, and who can only write it cannot plant one. After a rotation of secrets the older keys are
 * tried too.
 *
 * @module
 */
import { randomBytes, toBase64Url, utf8 } from "./encoding.ts";
import type { KeyRing, RingKey } from "./key_ring.ts";
import { parseRow, sweepBucket } from "./rows.ts";
import type { MailTokenKind, MailTokenRow } from "./rows.ts";
import type { AuthTransaction } from "./store.ts";

/** Makes a token and the row that knows it. */
export async function makeMailToken(
  ring: KeyRing,
  content: {
    readonly kind: MailTokenKind;
    readonly owner: string;
    readonly email: string;
    readonly hash?: string;
    readonly expiresAt: number;
  },
): Promise<{ readonly token: string; readonly row: MailTokenRow }> {
  const token = toBase64Url(randomBytes(32));
  const id = await tokenId(await ring.newest(), token);
  return { token, row: { ...content, id, bucket: sweepBucket(content.expiresAt) } };
}

/** The ids under which a token may stand, newest key first. */
export async function mailTokenIds(ring: KeyRing, token: string): Promise<readonly string[]> {
  return await Promise.all((await ring.all()).map((key) => tokenId(key, token)));
}

/** The live row of a token for one of `kinds`; null for everything else. */
export async function findMailToken(
  tx: AuthTransaction,
  ids: readonly string[],
  kinds: readonly MailTokenKind[],
  now: number,
): Promise<MailTokenRow | null> {
  for (const id of ids) {
    const row = parseRow("_mail_tokens", await tx.get("_mail_tokens", id));
    if (row !== null) return kinds.includes(row.kind) && now < row.expiresAt ? row : null;
  }
  return null;
}

/** Removes every token of an owner: a changed password or address makes them void. */
export async function dropMailTokens(tx: AuthTransaction, owner: string): Promise<void> {
  for (const row of await tx.find("_mail_tokens", { owner })) {
    await tx.delete("_mail_tokens", row.id);
  }
}

async function tokenId(key: RingKey, token: string): Promise<string> {
  const mac = await crypto.subtle.sign("HMAC", key.key, utf8(`mail\0${token}`));
  return toBase64Url(new Uint8Array(mac));
}
