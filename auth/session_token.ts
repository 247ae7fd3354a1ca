/**
 * The client's session token: a JWT (RFC 7519) signed with HMAC-SHA256 through `jose`.
 *
 * Contract
 * - Header: exactly the bytes `{"alg":"HS256","kid":"…","typ":"kontract-session+jwt"}` of a key we hold,
 *   compared as text before anything is parsed (RFC 8725, 3.1, 3.2, 3.11: algorithm and type pinned).
 * - Claims: `iss`, `aud`, `sub` (owner), `ten` (tenant), `fam` (session family), `anon`, `jti`, `iat`,
 *   `nbf`, `exp`; all required, each checked for its type. The payload is the one JSON text that our
 *   own encoder writes for its claims, so a claim cannot be said twice.
 * - Every abuse has the same error, `UNAUTHORIZED`; only a token with a good signature that is past its
 *   end gives `SESSION_EXPIRED`.
 * - Verification does no I/O, and the signature of a token in use is computed once: see
 *   `verified_tokens.ts`. Whether the family is still alive is the database's answer, in the same
 *   statement as the next storage operation.
 *
 * @module
 */
import { errors, jwtVerify, SignJWT } from "jose";
import { KEY_LABELS } from "../_internal/keys.ts";
import { KontractError } from "../_internal/errors.ts";
import type { Principal } from "./contract.ts";
import { fromBase64Url, randomBytes, toBase64Url } from "./encoding.ts";
import { KeyRing } from "./key_ring.ts";
import { VerifiedTokens } from "./verified_tokens.ts";

/** Audience of every session token. */
export const SESSION_AUDIENCE = "kontract";

/** `typ` of every session token: no other kind of JWT passes for one. */
export const SESSION_TYP = "kontract-session+jwt";

/** Bounds the work spent on a token that is not ours. */
export const MAX_TOKEN_LENGTH = 2048;

/** Longest validity ever accepted, whatever the configuration says, in seconds. */
const MAX_LIFETIME = 24 * 60 * 60;

/** Options of {@link SessionTokenIssuer}. */
export interface SessionTokenOptions {
  /** Secrets, newest first. */
  readonly secrets: readonly Uint8Array[];
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** `iss`; "kontract" where missing. */
  readonly issuer?: string;
  /** Validity in milliseconds; 15 minutes where missing, one minute to one day. */
  readonly lifetime?: number;
  /** Difference of clocks that is forgiven, in seconds; 5 where missing, at most 60. */
  readonly skew?: number;
}

/** A fresh session token. */
export interface IssuedSessionToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Signs and checks session tokens. */
export class SessionTokenIssuer {
  readonly #ring: KeyRing;
  readonly #clock: () => number;
  readonly #issuer: string;
  readonly #lifetime: number;
  readonly #skew: number;
  readonly #verified = new VerifiedTokens();

  /** @throws {KontractError} `CONFIG` for a lifetime or skew out of range. */
  constructor(options: SessionTokenOptions) {
    this.#ring = new KeyRing(options.secrets, KEY_LABELS.sessionToken, SESSION_TYP);
    this.#clock = options.clock;
    this.#issuer = options.issuer ?? "kontract";
    this.#lifetime = Math.floor((options.lifetime ?? 15 * 60_000) / 1000);
    this.#skew = options.skew ?? 5;
    if (!(this.#lifetime >= 60 && this.#lifetime <= MAX_LIFETIME)) {
      throw new KontractError(
        "CONFIG",
        `The lifetime of session tokens must be from one minute to one day: it is ${this.#lifetime} s.`,
      );
    }
    if (!(Number.isFinite(this.#skew) && this.#skew >= 0 && this.#skew <= 60)) {
      throw new KontractError(
        "CONFIG",
        `Clock skew must be from 0 to 60 s: it is ${String(this.#skew)}.`,
      );
    }
  }

  /** How long after now a token may still be taken, in milliseconds. */
  get reach(): number {
    return (this.#lifetime + this.#skew) * 1000;
  }

  /** Signs a token for one family, which itself ends at `until` (milliseconds since the epoch). */
  async issue(
    who: Omit<Principal, "expiresAt">,
    until = Number.POSITIVE_INFINITY,
  ): Promise<IssuedSessionToken> {
    const signer = await this.#ring.newest();
    const now = Math.floor(this.#clock() / 1000);
    const exp = Math.min(now + this.#lifetime, Math.floor(until / 1000));
    const claims = { ten: who.tenant, fam: who.family, anon: who.anonymous };
    const token = await new SignJWT(claims)
      .setProtectedHeader(signer.headerFields)
      .setIssuer(this.#issuer)
      .setAudience(SESSION_AUDIENCE)
      .setSubject(who.owner)
      .setJti(toBase64Url(randomBytes(16)))
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(exp)
      .sign(signer.key);
    return { token, expiresAt: exp * 1000 };
  }

  /**
   * Checks a token from outside.
   *
   * @throws {KontractError} `UNAUTHORIZED` for anything that is not a token of ours, `SESSION_EXPIRED`
   */
  async verify(token: string): Promise<Principal> {
    return this.#verified.get(token, Math.floor(this.#clock() / 1000)) ?? await this.#check(token);
  }

  async #check(token: string): Promise<Principal> {
    const parts = splitToken(token);
    if (parts === null) throw invalid();
    const signer = (await this.#ring.all()).find((one) => one.header === parts.header);
    if (signer === undefined || !isCanonicalJson(parts.payload)) throw invalid();
    const now = this.#clock();
    let claims: Readonly<Record<string, unknown>>;
    try {
      const { payload } = await jwtVerify(token, signer.key, {
        algorithms: ["HS256"],
        typ: SESSION_TYP,
        issuer: this.#issuer,
        audience: SESSION_AUDIENCE,
        requiredClaims: ["sub", "ten", "fam", "anon", "jti", "iat", "nbf", "exp"],
        clockTolerance: this.#skew,
        currentDate: new Date(now),
      });
      claims = payload;
    } catch (cause) {
      if (cause instanceof errors.JWTExpired) {
        throw new KontractError("SESSION_EXPIRED", undefined, { cause });
      }
      throw invalid(cause);
    }
    const principal = this.#principal(claims, now / 1000);
    this.#verified.add(token, principal, {
      from: Math.max(claims.iat as number, claims.nbf as number) - this.#skew,
      until: principal.expiresAt / 1000 + this.#skew,
    });
    return principal;
  }

  #principal(claims: Readonly<Record<string, unknown>>, now: number): Principal {
    const { aud, sub, ten, fam, anon, jti, iat, nbf, exp } = claims;
    if (
      aud !== SESSION_AUDIENCE || !isName(sub) || !isName(ten) || !isName(fam) || !isName(jti) ||
      typeof anon !== "boolean" || !isSecond(iat) || !isSecond(nbf) || !isSecond(exp) ||
      iat > now + this.#skew || exp <= iat || exp - iat > MAX_LIFETIME
    ) {
      throw invalid();
    }
    return { owner: sub, tenant: ten, family: fam, anonymous: anon, expiresAt: exp * 1000 };
  }
}

function invalid(cause?: unknown): KontractError {
  return new KontractError("UNAUTHORIZED", "The session token is not valid.", { cause });
}

function splitToken(token: unknown): { header: string; payload: string } | null {
  if (typeof token !== "string" || token.length > MAX_TOKEN_LENGTH) return null;
  const [header, payload, signature, ...rest] = token.split(".");
  if (header === undefined || payload === undefined || signature === undefined) return null;
  if (rest.length > 0 || fromBase64Url(signature)?.length !== 32) return null;
  return { header, payload };
}

/** True where the payload is the very text that `JSON.stringify` writes for its value. */
function isCanonicalJson(payload: string): boolean {
  const bytes = fromBase64Url(payload);
  if (bytes === null) return false;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return JSON.stringify(JSON.parse(text)) === text;
  } catch {
    return false;
  }
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= 256;
}

function isSecond(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
