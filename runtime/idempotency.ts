/**
 * `Idempotency-Key`: exactly-once for callers of the plain JSON surface.
 *
 * The key becomes the identity of the effect (raystream's lane and number), and the answer is stored
 * with the effect in the same commit. A repeat gets the stored answer; the same key with another body
 * is refused (see `request_stamp.ts`), since the caller believes something that is not so.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { sha256 } from "../_internal/sha256.ts";
import { concat } from "../protocol/bytes.ts";

/** Identity of an effect. */
export interface EffectIdentity {
  readonly lane: string;
  readonly reqno: bigint;
}

const KEY = /^[\x21-\x7e]{1,128}$/;

async function digest(...parts: readonly Uint8Array[]): Promise<Uint8Array> {
  return await sha256(concat(...await Promise.all(parts.map(sha256))));
}

/**
 * The header's identity for a route; null without the header.
 *
 * @throws {KontractError} `BAD_REQUEST`
 */
export async function effectOf(
  header: string | null,
  route: string,
): Promise<EffectIdentity | null> {
  if (header === null) return null;
  if (!KEY.test(header)) {
    throw new KontractError(
      "BAD_REQUEST",
      "Idempotency-Key has 1 to 128 printable ASCII characters without spaces.",
    );
  }
  const text = new TextEncoder();
  const hash = await digest(
    text.encode("kontract/1 idempotency"),
    text.encode(route),
    text.encode(header),
  );
  const view = new DataView(hash.buffer);
  return {
    lane: hash.subarray(0, 8).toBase64({ alphabet: "base64url", omitPadding: true }),
    reqno: view.getBigUint64(8, true) >> 1n,
  };
}
