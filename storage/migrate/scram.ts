/**
 * A SCRAM-SHA-256 verifier (RFC 5802, RFC 7677) in PostgreSQL's form, so that a password never travels
 * in a statement and never stands in a server's log.
 *
 * @module
 */
const ITERATIONS = 4096;

/** The text PostgreSQL stores for `password`; ASCII passwords only (no SASLprep). */
export async function scramVerifier(password: string): Promise<string> {
  const encoder = new TextEncoder();
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const base = await crypto.subtle.importKey("raw", encoder.encode(password), "PBKDF2", false, [
    "deriveBits",
  ]);
  const salted = await crypto.subtle.deriveBits(
    { name: "PBKDF2", hash: "SHA-256", salt, iterations: ITERATIONS },
    base,
    256,
  );
  const key = await crypto.subtle.importKey(
    "raw",
    salted,
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const clientKey = await crypto.subtle.sign("HMAC", key, encoder.encode("Client Key"));
  const storedKey = await crypto.subtle.digest("SHA-256", clientKey);
  const serverKey = await crypto.subtle.sign("HMAC", key, encoder.encode("Server Key"));
  const text = (bytes: ArrayBuffer): string => new Uint8Array(bytes).toBase64();
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toBase64()}$${text(storedKey)}:${text(serverKey)}`;
}
