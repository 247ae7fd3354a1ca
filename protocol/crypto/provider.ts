/**
 * The primitives raystream needs, behind one interface: X25519 (RFC 7748), ChaCha20-Poly1305 (RFC 8439),
 * SHA-256, HMAC and HKDF (RFC 6234, RFC 2104, RFC 5869).
 *
 * Contract of every implementation: inputs are never changed, results are new buffers owned by the
 * caller, no method needs `this`, key agreement refuses an all-zero shared secret, and `open` answers null for every failure.
 * Nobody here counts nonces: a caller must never seal twice under one key and nonce.
 *
 * @module
 */
import type { Bytes } from "../bytes.ts";

/** An X25519 key pair whose private half stays inside. */
export interface DhKeyPair {
  /** 32 bytes. */
  readonly publicKey: Bytes;
  /**
   * The shared secret with `publicKey`, 32 bytes.
   *
   * @throws {KontractError} `RAY_PROTOCOL` for a low-order point or a key of another length.
   */
  agree(publicKey: Uint8Array): Promise<Bytes>;
}

/** X25519. */
export interface DiffieHellman {
  /** Where it comes from, for logs and tests. */
  readonly dhName: string;
  /** A fresh ephemeral key pair. */
  generate(): Promise<DhKeyPair>;
  /** The key pair of a 32-byte private key; non-extractable where the platform can. */
  fromPrivate(privateKey: Uint8Array): Promise<DhKeyPair>;
}

/** What one message is sealed under. */
export interface SealKeys {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** 12 bytes, never used before with this key. */
  readonly nonce: Uint8Array;
  /** Associated data. */
  readonly ad: Uint8Array;
}

/** AEAD and hash; all synchronous. */
export interface Symmetric {
  /** Where it comes from, for logs and tests. */
  readonly symmetricName: string;
  /** Ciphertext followed by the 16-byte tag. `key` 32 bytes, `nonce` 12. */
  seal(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): Bytes;
  /**
   * The same for `head ‖ body`, written to `out`, which is exactly 16 bytes longer and overlaps neither:
   * what large messages use, since nothing else is allocated or copied.
   */
  sealTo(out: Uint8Array, keys: SealKeys, head: Uint8Array, body: Uint8Array): void;
  /** The plaintext, or null where the tag does not match or the input is too short. */
  open(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, ciphertext: Uint8Array): Bytes | null;
  /** SHA-256, 32 bytes. */
  sha256(data: Uint8Array): Bytes;
  /** HMAC-SHA256, 32 bytes. */
  hmac(key: Uint8Array, data: Uint8Array): Bytes;
  /** HKDF-SHA256. Throws where `length` is more than 8160; `info` is 1024 bytes at most. */
  hkdf(salt: Uint8Array, input: Uint8Array, info: Uint8Array, length: number): Bytes;
}

/** Everything raystream needs of cryptography. */
export interface CryptoProvider extends DiffieHellman, Symmetric {}
