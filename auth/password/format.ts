/**
 * Password hashes as text: self-describing, so that cost can rise without a migration.
 *
 * - `$kontract-pbkdf2-sha256$i=100000,k=6$<salt>$<hash>`: the chain of `pbkdf2_chain.ts`, made here
 * - `$scrypt$ln=15,r=8,p=3$<salt>$<hash>`: scrypt in PHC form, made here where chosen
 * - `$pbkdf2-sha256$i=600000$<salt>$<hash>`: plain PBKDF2 in PHC form, imported, read only
 * - `$pbkdf2-sha256$600000$<salt>$<hash>`: the same as passlib writes it (`.` for `+`), read only
 *
 * Salt and hash are standard base64 without padding. The parser is strict and bounds every number, so
 * a hash that somebody managed to plant cannot cost minutes or gigabytes.
 *
 * @module
 */
import type { ChainCost } from "./pbkdf2_chain.ts";
import type { ScryptCost } from "./primitive.ts";

/** A parsed password hash. */
export type PasswordHash =
  & { readonly salt: Uint8Array; readonly hash: Uint8Array }
  & (
    | { readonly scheme: "kontract-pbkdf2-sha256"; readonly cost: ChainCost }
    | { readonly scheme: "scrypt"; readonly cost: ScryptCost }
    | { readonly scheme: "pbkdf2-sha256"; readonly iterations: number }
  );

/** Bounds of what is taken from a stored text. */
const LIMITS = {
  text: 512,
  iterations: 10_000_000,
  chainIterations: 100_000,
  steps: 100,
  logN: 18,
  r: 32,
  p: 16,
  /** N · r of scrypt: 128 bytes each. 2^17 · 8 is OWASP's largest. */
  scryptBlocks: 1 << 20,
  /** N · r · p of scrypt, its work. */
  scryptWork: 1 << 22,
} as const;

const PART = /^\$([a-z0-9-]+)\$([a-z0-9=,]+)\$([A-Za-z0-9+/.]{11,128})\$([A-Za-z0-9+/.]{22,128})$/;

/** Reads a hash; null for anything that is not one. */
export function parsePasswordHash(text: string): PasswordHash | null {
  if (text.length > LIMITS.text) return null;
  const match = PART.exec(text);
  if (match === null) return null;
  const [, scheme = "", parameters = "", saltText = "", hashText = ""] = match;
  const salt = decode(saltText);
  const hash = decode(hashText);
  if (salt === null || hash === null) return null;
  if (salt.length < 8 || salt.length > 64 || hash.length < 16 || hash.length > 64) return null;
  switch (scheme) {
    case "kontract-pbkdf2-sha256": {
      const numbers = named(parameters, ["i", "k"], [LIMITS.chainIterations, LIMITS.steps]);
      if (numbers === null || hash.length !== 32) return null;
      const [iterations = 0, steps = 0] = numbers;
      return { scheme, salt, hash, cost: { iterations, steps } };
    }
    case "scrypt": {
      const numbers = named(parameters, ["ln", "r", "p"], [LIMITS.logN, LIMITS.r, LIMITS.p]);
      if (numbers === null) return null;
      const [logN = 0, r = 0, p = 0] = numbers;
      const blocks = 2 ** logN * r;
      if (blocks > LIMITS.scryptBlocks || blocks * p > LIMITS.scryptWork) return null;
      return { scheme, salt, hash, cost: { logN, r, p } };
    }
    case "pbkdf2-sha256": {
      const phc = named(parameters, ["i"], [LIMITS.iterations]);
      const iterations = phc?.[0] ?? count(parameters, LIMITS.iterations);
      return iterations === null ? null : { scheme, salt, hash, iterations };
    }
    default:
      return null;
  }
}

/** Writes a hash. */
export function formatPasswordHash(value: PasswordHash): string {
  const parameters = value.scheme === "kontract-pbkdf2-sha256"
    ? `i=${value.cost.iterations},k=${value.cost.steps}`
    : value.scheme === "scrypt"
    ? `ln=${value.cost.logN},r=${value.cost.r},p=${value.cost.p}`
    : `i=${value.iterations}`;
  const base64 = (bytes: Uint8Array): string => bytes.toBase64({ omitPadding: true });
  return `$${value.scheme}$${parameters}$${base64(value.salt)}$${base64(value.hash)}`;
}

/** `a=1,b=2` with exactly these names in this order, each from 1 to its limit. */
function named(
  text: string,
  names: readonly string[],
  limits: readonly number[],
): readonly number[] | null {
  const parts = text.split(",");
  if (parts.length !== names.length) return null;
  const numbers: number[] = [];
  for (const [index, part] of parts.entries()) {
    const prefix = `${names[index]}=`;
    const value = part.startsWith(prefix)
      ? count(part.slice(prefix.length), limits[index] ?? 0)
      : null;
    if (value === null) return null;
    numbers.push(value);
  }
  return numbers;
}

function count(text: string, limit: number): number | null {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) return null;
  const value = Number(text);
  return value <= limit ? value : null;
}

function decode(text: string): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(text.replaceAll(".", "+"));
  } catch {
    return null;
  }
}
