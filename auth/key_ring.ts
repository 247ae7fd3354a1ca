/**
 * The HMAC keys of one purpose, one per secret, newest first: the first signs, all of them verify.
 *
 * A key's header is fixed: the base64url of `{"alg":"HS256","kid":"…"}` (with `typ` where the purpose
 * has one). A token is looked up by that literal, so algorithm, key id and every other header field
 * are settled by one string comparison before anything is parsed.
 *
 * Keys are derived on first use and kept as values, never as a pending promise: on Workers a promise
 * of one request must not be awaited by another. Two first requests may derive twice; that is harmless.
 *
 * @module
 */
import { deriveKey, keyId } from "../_internal/keys.ts";
import type { KeyLabel } from "../_internal/keys.ts";
import { KontractError } from "../_internal/errors.ts";
import { toBase64Url, utf8 } from "./encoding.ts";

/** One key of a ring. */
export interface RingKey {
  readonly kid: string;
  /** First part of every token this key signs. */
  readonly header: string;
  /** Header as data, for a library that builds it itself. */
  readonly headerFields: Readonly<{ alg: "HS256"; kid: string; typ?: string }>;
  /** Non-extractable HMAC-SHA256 key for sign and verify. */
  readonly key: CryptoKey;
}

/** Derives and holds the keys of one label. */
export class KeyRing {
  readonly #secrets: readonly Uint8Array[];
  readonly #label: KeyLabel;
  readonly #typ: string | undefined;
  #keys: readonly RingKey[] | null = null;

  /**
   * Keeps the secrets; nothing is derived yet.
   *
   * @throws {KontractError} `CONFIG` where there is no secret or one is shorter than 32 bytes.
   */
  constructor(secrets: readonly Uint8Array[], label: KeyLabel, typ?: string) {
    if (secrets.length === 0) {
      throw new KontractError("CONFIG", "KONTRACT_SECRET is not set: auth needs a secret.");
    }
    for (const [index, secret] of secrets.entries()) {
      if (secret.length < 32) {
        throw new KontractError(
          "CONFIG",
          `KONTRACT_SECRET, part ${index + 1}: must have at least 32 bytes.`,
        );
      }
    }
    this.#secrets = secrets;
    this.#label = label;
    this.#typ = typ;
  }

  /** All keys, newest first. */
  async all(): Promise<readonly RingKey[]> {
    if (this.#keys !== null) return this.#keys;
    const made = await Promise.all(this.#secrets.map((secret) => this.#make(secret)));
    this.#keys = made;
    return made;
  }

  /** The key that signs. */
  async newest(): Promise<RingKey> {
    const [key] = await this.all();
    if (key === undefined) throw new KontractError("CONFIG");
    return key;
  }

  async #make(secret: Uint8Array): Promise<RingKey> {
    const bytes = await deriveKey(secret, this.#label);
    const kid = await keyId(bytes);
    const headerFields = this.#typ === undefined
      ? { alg: "HS256", kid } as const
      : { alg: "HS256", kid, typ: this.#typ } as const;
    const key = await crypto.subtle.importKey(
      "raw",
      bytes,
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign", "verify"],
    );
    return { kid, header: toBase64Url(utf8(JSON.stringify(headerFields))), headerFields, key };
  }
}
