/**
 * Resume tokens: positions sealed so that a follower can hand them back but neither read, change nor
 * lend them (raystream.md, "Subscriptions").
 *
 * Format, base64url: `01 ‖ salt[16] ‖ counter u64 ‖ AES-256-GCM(key, nonce, position)`. Every sealer
 * draws its own salt, which gives it its own key, and counts its nonces: no nonce ever repeats under a
 * key, however many processes seal under one secret. The binding (who asked for what) is authenticated
 * as additional data. Tokens of older secrets open as long as those stay in `KONTRACT_SECRET`.
 *
 * @module
 */
import { deriveKey, KEY_LABELS, type KeyLabel } from "../_internal/keys.ts";
import type { ResumeSealer } from "../events/mod.ts";

const VERSION = 1;
const SALT = 16;
const HEADER = 1 + SALT + 8;
const TAG = 16;
/** Keys of other sealers kept at hand; a token names its salt, so this bounds what strangers can fill. */
const KNOWN_KEYS = 64;

/** Seals with the newest secret, opens with any. `label` keeps other uses of the same form apart. */
export function createResumeSealer(
  secrets: readonly Uint8Array[],
  label: KeyLabel = KEY_LABELS.resume,
): ResumeSealer {
  const keys = new Map<string, Promise<CryptoKey>>();
  const text = new TextEncoder();
  let own: Uint8Array<ArrayBuffer> | null = null;
  let counter = 0n;

  const keyFor = (index: number, salt: Uint8Array): Promise<CryptoKey> => {
    const name = `${index}.${salt.toHex()}`;
    const known = keys.get(name);
    if (known !== undefined) return known;
    const made = deriveKey(secrets[index]!, label, salt).then((bytes) =>
      crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"])
    );
    if (keys.size >= KNOWN_KEYS) {
      for (const oldest of keys.keys()) {
        keys.delete(oldest);
        break;
      }
    }
    keys.set(name, made);
    return made;
  };
  const cipher = async (
    header: Uint8Array,
    binding: string,
  ): Promise<{ name: "AES-GCM"; iv: Uint8Array<ArrayBuffer>; additionalData: ArrayBuffer }> => {
    const iv = new Uint8Array(12);
    iv.set(header.subarray(1 + SALT, HEADER), 4);
    const additionalData = await crypto.subtle.digest("SHA-256", text.encode(binding));
    return { name: "AES-GCM", iv, additionalData };
  };

  return {
    async seal(position: string, binding: string): Promise<string> {
      own ??= crypto.getRandomValues(new Uint8Array(SALT));
      const plain = text.encode(position);
      const token = new Uint8Array(HEADER + plain.length + TAG);
      token[0] = VERSION;
      token.set(own, 1);
      new DataView(token.buffer).setBigUint64(1 + SALT, counter, true);
      counter += 1n; // before any await: two seals never share a nonce
      const sealed = await crypto.subtle.encrypt(
        await cipher(token, binding),
        await keyFor(0, own),
        plain,
      );
      token.set(new Uint8Array(sealed), HEADER);
      return token.toBase64({ alphabet: "base64url", omitPadding: true });
    },

    async open(token: string, binding: string): Promise<string | null> {
      let bytes: Uint8Array<ArrayBuffer>;
      try {
        bytes = Uint8Array.fromBase64(token, { alphabet: "base64url" });
      } catch {
        return null;
      }
      if (bytes.length < HEADER + TAG || bytes[0] !== VERSION) return null;
      const salt = bytes.slice(1, 1 + SALT);
      for (const index of secrets.keys()) {
        try {
          const plain = await crypto.subtle.decrypt(
            await cipher(bytes, binding),
            await keyFor(index, salt),
            bytes.subarray(HEADER),
          );
          return new TextDecoder("utf-8", { fatal: true }).decode(plain);
        } catch {
          continue; // another secret, or nobody's
        }
      }
      return null;
    },
  };
}
