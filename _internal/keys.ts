/**
 * Keys derived from `KONTRACT_SECRET`: HKDF-SHA256 (RFC 5869) with one label per use, so that no two
 * purposes ever share a key. The full list of labels is {@link KEY_LABELS}; nothing else may derive.
 *
 * @module
 */
import { KontractError } from "./errors.ts";

/** Every purpose a secret is used for. A label is never reused for another purpose. */
export const KEY_LABELS = {
  /** HMAC key of the client's session tokens. */
  sessionToken: "kontract/1 session-token",
  /** HMAC key of the tokens the gateway shows to the database. */
  databaseToken: "kontract/1 database-token",
  /** Static X25519 key of the gateway. */
  serverKey: "raystream/1 static",
  /** Ticket sealing; mixed with the epoch's random. */
  ticket: "raystream/1 ticket",
  /** Sealing of resume tokens. */
  resume: "raystream/1 resume",
  /** Grants to follow a topic. */
  topicGrant: "kontract/1 topic-grant",
  /** Mail and reset tokens. */
  mailToken: "kontract/1 mail-token",
} as const;

/** One of {@link KEY_LABELS}. */
export type KeyLabel = typeof KEY_LABELS[keyof typeof KEY_LABELS];

const encoder = new TextEncoder();

/** 32 bytes for one purpose; `context` separates instances of it (an epoch, an app). */
export async function deriveKey(
  secret: Uint8Array,
  label: KeyLabel,
  context: Uint8Array = new Uint8Array(0),
): Promise<Uint8Array<ArrayBuffer>> {
  const base = await crypto.subtle.importKey("raw", new Uint8Array(secret), "HKDF", false, [
    "deriveBits",
  ]);
  const name = encoder.encode(label);
  const info = new Uint8Array(name.length + 1 + context.length);
  info.set(name);
  info.set(context, name.length + 1);
  const bits = await crypto.subtle.deriveBits(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info },
    base,
    256,
  );
  return new Uint8Array(bits);
}

/** Public name of a key: the first 8 characters of base64url(SHA-256(key)). */
export async function keyId(key: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(key));
  return new Uint8Array(digest).toBase64({ alphabet: "base64url", omitPadding: true }).slice(0, 8);
}

/**
 * Parses `KONTRACT_SECRET`: one or more secrets separated by commas, newest first, each base64url of
 * at least 32 bytes.
 *
 * @throws {KontractError} `CONFIG`; the message never repeats the value.
 */
export function parseSecrets(text: string | undefined): readonly Uint8Array[] {
  if (text === undefined || text.trim() === "") {
    throw new KontractError(
      "CONFIG",
      "KONTRACT_SECRET is not set: make one with 'kontract keys new'.",
    );
  }
  return text.split(",").map((part, index) => {
    const bytes = decodeSecret(part.trim());
    if (bytes === null || bytes.length < 32) {
      throw new KontractError(
        "CONFIG",
        `KONTRACT_SECRET, part ${index + 1}: must be base64url of at least 32 bytes.`,
      );
    }
    return bytes;
  });
}

function decodeSecret(text: string): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    return null;
  }
}
