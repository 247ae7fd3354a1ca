/**
 * The gateway's static keys, one per secret of `KONTRACT_SECRET`, newest first. Rotation: put a new
 * secret in front, ship clients that pin both, drop the old one when they have arrived; the hello names
 * the key it was made for.
 *
 * @module
 */
import { deriveKey, KEY_LABELS, keyId } from "../_internal/keys.ts";
import { toBase64Url } from "./bytes.ts";
import type { CryptoProvider, DhKeyPair } from "./crypto/provider.ts";
import { loadProvider } from "./crypto/select.ts";

/** One static key. */
export interface ServerKey {
  /** Eight characters, derived from the public key. */
  readonly kid: string;
  /** What clients pin: the raw public key, base64url. */
  readonly pin: string;
  /** The pair; its private half is non-extractable where Web Crypto has X25519. */
  readonly pair: DhKeyPair;
}

/** All static keys, newest first. */
export interface ServerKeys {
  readonly keys: readonly ServerKey[];
  /** Public keys for `TransportOptions.pins`, newest first. */
  readonly pins: readonly string[];
}

/** Derives the static keys of `secrets` (newest first, as `parseSecrets` gives them). */
export async function deriveServerKeys(
  secrets: readonly Uint8Array[],
  provider?: CryptoProvider,
): Promise<ServerKeys> {
  const crypto = provider ?? await loadProvider();
  const keys = await Promise.all(secrets.map(async (secret) => {
    const bytes = await deriveKey(secret, KEY_LABELS.serverKey);
    const pair = await crypto.fromPrivate(bytes);
    bytes.fill(0);
    return { kid: await keyId(pair.publicKey), pin: toBase64Url(pair.publicKey), pair };
  }));
  return { keys, pins: keys.map((key) => key.pin) };
}
