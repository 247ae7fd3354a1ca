/**
 * SHA-256 by Web Crypto, which takes its own copy of what it is given.
 *
 * @module
 */

/** The digest of `data`: 32 bytes. */
export async function sha256(data: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  // Nothing of ours lies in memory that threads share.
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data as Uint8Array<ArrayBuffer>));
}
