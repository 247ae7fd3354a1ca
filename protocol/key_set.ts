/**
 * A signed key set: the gateway's static keys under one Ed25519 key that never lies on the gateway. A client
 * that pins this root takes whatever keys it has signed, so keys change without a new client.
 *
 * Text: `base64url(body) "." base64url(signature)`, body the UTF-8 of
 * `{ "serial", "keys": [{ "kid", "public", "not_before", "not_after" }] }` (seconds since 1970), signature by
 * RFC 8032 over `"raystream/1 keys" ‖ 00 ‖ body`. A set is believed only with a good signature, a serial not
 * below any that was seen, and for the keys whose time it is.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, concat, fromBase64Url, toBase64Url, utf8 } from "./bytes.ts";
import type { Pin } from "./client_handshake.ts";
import type { Symmetric } from "./crypto/provider.ts";

/** What a pin of a root begins with; base64url of the public key follows. */
export const ROOT_PIN = "root.";

/** Bytes of a key set's text at most. */
export const MAX_KEY_SET = 4096;

/** A key may be used this long before and after its time: clocks differ. Milliseconds. */
export const CLOCK_TOLERANCE = 86_400_000;

const CONTEXT = concat(utf8("raystream/1 keys"), new Uint8Array(1));
const MAX_KEYS = 8;

/** One key of a set. Times are seconds since 1970. */
export interface KeySetEntry {
  readonly kid: string;
  /** X25519, base64url. */
  readonly public: string;
  readonly not_before: number;
  readonly not_after: number;
}

/** What a root signs. */
export interface KeySet {
  /** Never goes back: an older set is refused once a newer one was seen. */
  readonly serial: number;
  readonly keys: readonly KeySetEntry[];
}

/** A root: the private half is a PKCS #8 document, base64url; the pin is public. */
export interface KeySetRoot {
  readonly privateKey: string;
  readonly pin: string;
}

/** A new root. */
export async function generateRoot(): Promise<KeySetRoot> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const { privateKey, publicKey } = pair as CryptoKeyPair;
  const [pkcs8, raw] = await Promise.all([
    crypto.subtle.exportKey("pkcs8", privateKey),
    crypto.subtle.exportKey("raw", publicKey),
  ]);
  return {
    privateKey: toBase64Url(new Uint8Array(pkcs8)),
    pin: ROOT_PIN + toBase64Url(new Uint8Array(raw)),
  };
}

/**
 * The text of `set`, signed by a root's private key.
 *
 * @throws {KontractError} `CONFIG` for a key that is none
 */
export async function signKeySet(privateKey: string, set: KeySet): Promise<string> {
  const pkcs8 = fromBase64Url(privateKey);
  const key = pkcs8 === null ? null : await crypto.subtle
    .importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]).catch(() => null);
  if (key === null) {
    throw new KontractError("CONFIG", "The root key is none that 'kontract keys new --root' made.");
  }
  const body = utf8(JSON.stringify(set));
  const signature = await crypto.subtle.sign("Ed25519", key, concat(CONTEXT, body));
  return `${toBase64Url(body)}.${toBase64Url(new Uint8Array(signature))}`;
}

/**
 * The set of a text that the root of `pin` has signed.
 *
 * @throws {KontractError} `RAY_SERVER_KEY` for anything else, `CONFIG` where the pin is none
 */
export async function verifyKeySet(pin: string, text: string): Promise<KeySet> {
  const root = fromBase64Url(pin.slice(ROOT_PIN.length));
  if (!pin.startsWith(ROOT_PIN) || root?.length !== 32) {
    throw new KontractError("CONFIG", "The root's pin must be 'root.' and base64url of 32 bytes.");
  }
  const parts = text.length > MAX_KEY_SET ? [] : text.trim().split(".").map(fromBase64Url);
  const [body, signature] = parts;
  if (parts.length !== 2 || !body || signature?.length !== 64) throw refused("is no key set");
  if (!await verifies(root, signature, concat(CONTEXT, body))) throw refused("is not signed");
  return parse(body);
}

/** Whether `signature` is the root's; by noble where Web Crypto has no Ed25519. */
async function verifies(root: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  const key = await crypto.subtle.importKey("raw", root, "Ed25519", false, ["verify"])
    .catch(() => null);
  if (key !== null) return await crypto.subtle.verify("Ed25519", key, signature, message);
  const { verifyEd25519 } = await import("./crypto/noble_dh.ts");
  return verifyEd25519(signature, message, root);
}

/**
 * The keys of a verified set whose time it is, those that were issued last first.
 *
 * @throws {KontractError} `RAY_SERVER_KEY` where there is none, or the set is older than `leastSerial`
 */
export function pinsOf(
  symmetric: Symmetric,
  set: KeySet,
  { now, leastSerial }: { readonly now: number; readonly leastSerial: number },
): readonly Pin[] {
  if (set.serial < leastSerial) throw refused(`was replaced: ${set.serial} is not ${leastSerial}`);
  const pins = set.keys
    .filter(({ not_before, not_after }) =>
      now >= not_before * 1000 - CLOCK_TOLERANCE && now <= not_after * 1000 + CLOCK_TOLERANCE
    )
    .toSorted((a, b) => b.not_before - a.not_before)
    .map((entry): Pin => {
      const publicKey = fromBase64Url(entry.public);
      const kid = publicKey && toBase64Url(symmetric.sha256(publicKey)).slice(0, 8);
      if (publicKey?.length !== 32 || kid !== entry.kid) throw refused("has a key that is none");
      return { kid, publicKey };
    });
  if (pins.length > 0) return pins;
  throw refused("has no key for today: it has expired, or this device's clock is wrong");
}

function parse(body: Bytes): KeySet {
  try {
    const { serial, keys } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    const count = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
    const fine = count(serial) && Array.isArray(keys) && keys.length <= MAX_KEYS &&
      keys.every((key) =>
        typeof key?.kid === "string" && typeof key.public === "string" &&
        count(key.not_before) && count(key.not_after)
      );
    if (fine) return { serial, keys };
  } catch {
    // As any other.
  }
  throw refused("is no key set");
}

function refused(why: string): KontractError {
  return new KontractError("RAY_SERVER_KEY", `What the gateway gives as its key set ${why}.`);
}
