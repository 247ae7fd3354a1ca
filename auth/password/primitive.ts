/**
 * The slow functions, as a port: Web Crypto's PBKDF2 and `node:crypto`'s scrypt by default.
 *
 * Tests count calls here instead of measuring time; that is how "unknown user and wrong password cost
 * the same" is proven.
 *
 * @module
 */
/** scrypt's cost numbers (RFC 7914): N = 2^`logN`, block size r, parallelisation p. */
export interface ScryptCost {
  /** Power of two of N. */
  readonly logN: number;
  /** Block size. */
  readonly r: number;
  /** Parallelisation. */
  readonly p: number;
}

/** Slow key derivation. */
export interface PasswordPrimitive {
  /** PBKDF2-HMAC-SHA256 (RFC 8018), one call. Rejects where the host caps the iterations. */
  pbkdf2(
    password: Uint8Array,
    salt: Uint8Array,
    iterations: number,
    length: number,
  ): Promise<Uint8Array>;
  /** scrypt, one call. */
  scrypt(
    password: Uint8Array,
    salt: Uint8Array,
    cost: ScryptCost,
    length: number,
  ): Promise<Uint8Array>;
}

/** The platform's own implementations. */
export const platformPrimitive: PasswordPrimitive = {
  async pbkdf2(password, salt, iterations, length): Promise<Uint8Array> {
    const key = await crypto.subtle.importKey("raw", new Uint8Array(password), "PBKDF2", false, [
      "deriveBits",
    ]);
    const parameters = { name: "PBKDF2", hash: "SHA-256", salt: new Uint8Array(salt), iterations };
    return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, length * 8));
  },
  async scrypt(password, salt, cost, length): Promise<Uint8Array> {
    const { scrypt } = await import("node:crypto");
    const N = 2 ** cost.logN;
    // Node's own limit counts 128·N·r plus the buffers of the parallel lanes.
    const maxmem = 128 * N * cost.r + 256 * cost.r * cost.p + 1024 * 1024;
    const options = { N, r: cost.r, p: cost.p, maxmem };
    return await new Promise((resolve, reject) => {
      scrypt(password, salt, length, options, (error, key) => {
        if (error) reject(error);
        else resolve(new Uint8Array(key));
      });
    });
  },
};
