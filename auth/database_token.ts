/**
 * The token that the gateway shows to the database to open a session (`storage.md`, Sessions).
 *
 * Contract with the function that reads it
 * - Header: exactly base64url of `{"alg":"HS256","kid":"<kid>"}`; the database compares the literal.
 * - Claims: `{ iss: "kontract", aud: "kontract-db", sub, ten, fam, sys?: true, jti, iat, exp }`, times in
 *   seconds, `iat` to the millisecond, `exp - iat` at most 60, `jti` 32 lower-case hex digits and used once.
 * - Signature: HMAC-SHA256 under `deriveKey(secret, KEY_LABELS.databaseToken)`; `kid = keyId(key)`.
 * - At most 4096 characters.
 *
 * Minted only after the gateway's own check of the caller; never sent to a client.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { KEY_LABELS } from "../_internal/keys.ts";
import { randomBytes, toBase64Url, toHex, utf8 } from "./encoding.ts";
import { KeyRing } from "./key_ring.ts";

/** Audience of every database token. */
export const DATABASE_AUDIENCE = "kontract-db";

/** Longest validity the database accepts, in seconds. */
export const DATABASE_TOKEN_MAX_SECONDS = 60;

/** `sub` and `fam` of Kontract's own work; no client's owner or family has this form. */
export const SYSTEM_SUBJECT = "_system";

/**
 * `sub` and `fam` of all callers without a session together; no client's owner or family has this form. It
 * owns no rows of a table with `rows: "owner"`: what one guest keeps there would be every guest's.
 */
export const GUEST_SUBJECT = "_guest";

/** Whom a database token speaks for. */
export type DatabaseSubject =
  | { readonly owner: string; readonly tenant: string; readonly family: string }
  | { readonly system: true; readonly tenant: string };

/** Mints database tokens. */
export class DatabaseTokenIssuer {
  readonly #ring: KeyRing;
  readonly #clock: () => number;

  /** `secrets` newest first; `clock` in milliseconds since the epoch. */
  constructor(options: { readonly secrets: readonly Uint8Array[]; readonly clock: () => number }) {
    this.#ring = new KeyRing(options.secrets, KEY_LABELS.databaseToken);
    this.#clock = options.clock;
  }

  /** A token for one session, valid for `seconds` (30 where missing). */
  async mint(subject: DatabaseSubject, seconds = 30): Promise<string> {
    if (!(Number.isInteger(seconds) && seconds >= 1 && seconds <= DATABASE_TOKEN_MAX_SECONDS)) {
      throw new KontractError(
        "CONFIG",
        `A database token lives from 1 to ${DATABASE_TOKEN_MAX_SECONDS} s: asked for ${seconds}.`,
      );
    }
    const system = "system" in subject;
    const owner = system ? SYSTEM_SUBJECT : subject.owner;
    const family = system ? SYSTEM_SUBJECT : subject.family;
    if (!system && (owner === SYSTEM_SUBJECT || family === SYSTEM_SUBJECT)) {
      throw new KontractError("UNAUTHORIZED");
    }
    const signer = await this.#ring.newest();
    const iat = Math.floor(this.#clock()) / 1000;
    const payload = {
      iss: "kontract",
      aud: DATABASE_AUDIENCE,
      sub: owner,
      ten: subject.tenant,
      fam: family,
      ...(system ? { sys: true } : {}),
      jti: toHex(randomBytes(16)),
      iat,
      exp: Math.floor(iat) + seconds,
    };
    const signed = `${signer.header}.${toBase64Url(utf8(JSON.stringify(payload)))}`;
    if (signed.length > 4000) {
      throw new KontractError("TOO_LARGE", "A session's names are too long.");
    }
    const mac = await crypto.subtle.sign("HMAC", signer.key, utf8(signed));
    return `${signed}.${toBase64Url(new Uint8Array(mac))}`;
  }
}
