/**
 * Which passwords may be chosen: NIST SP 800-63B, 5.1.1.2 and OWASP's authentication sheet.
 *
 * Length counts, composition does not: at least 8 characters, at most 1024 bytes, any characters, spaces
 * included. Refused are well-known passwords, runs and repetitions, and anything built around the
 * account's own e-mail or the app's name. Pure and synchronous; nothing is ever cut off or changed.
 *
 * @module
 */
import { utf8 } from "../encoding.ts";
import { foldPassword, isCommonPassword } from "./common.ts";
import { MAX_PASSWORD_BYTES, normalizePassword } from "./hasher.ts";

/** Why a password is refused. */
export type PasswordFault =
  | "too_short"
  | "too_long"
  | "not_text"
  | "common"
  | "repetitive"
  | "sequential"
  | "contains_identity";

/** What a password is judged against. */
export interface PasswordPolicy {
  /** Characters; 8 where missing, never less. */
  readonly minLength?: number;
  /** Name of the app, refused as the core of a password. */
  readonly appName?: string;
  /** True: length alone counts. False where missing. */
  readonly allowWeak?: boolean;
}

const FAULTS: Readonly<Record<Exclude<PasswordFault, "too_short">, string>> = {
  too_long: "The password is longer than 1024 bytes.",
  not_text: "The password holds characters that cannot be typed again reliably.",
  common: "This password is one of the first that anyone would try.",
  repetitive: "The password repeats the same few characters.",
  sequential: "The password is a run of neighbouring characters.",
  contains_identity: "The password is built around the e-mail address or the name of the app.",
};

/** Sentence for a person. */
export function describeFault(fault: PasswordFault, policy: PasswordPolicy = {}): string {
  return fault === "too_short"
    ? `The password has fewer than ${minLength(policy)} characters.`
    : FAULTS[fault];
}

function minLength(policy: PasswordPolicy): number {
  return Math.max(8, policy.minLength ?? 8);
}

/** Null where the password may be used. */
export function judgePassword(
  password: string,
  policy: PasswordPolicy = {},
  email?: string,
): PasswordFault | null {
  const normal = normalizePassword(password);
  if (!normal.isWellFormed() || normal.includes("\0")) return "not_text";
  if (utf8(normal).length > MAX_PASSWORD_BYTES) return "too_long";
  const chars = [...normal];
  if (chars.length < minLength(policy)) return "too_short";
  if (policy.allowWeak === true) return null;
  if (isRepetitive(normal)) return "repetitive";
  if (isSequential(chars)) return "sequential";
  if (isCommonPassword(normal)) return "common";
  return containsIdentity(normal, policy, email) ? "contains_identity" : null;
}

/** Few different characters, or one short piece said again and again. */
function isRepetitive(text: string): boolean {
  const lower = text.toLowerCase();
  if (new Set(lower).size <= 3) return true;
  for (let period = 1; period <= 4 && period * 2 <= lower.length; period++) {
    if (lower === lower.slice(0, period).repeat(lower.length).slice(0, lower.length)) return true;
  }
  return false;
}

/** At least three quarters of the steps go to the next or the previous code point, the same way. */
function isSequential(chars: readonly string[]): boolean {
  const codes = chars.map((char) => char.toLowerCase().codePointAt(0) ?? 0);
  let up = 0;
  let down = 0;
  for (let i = 1; i < codes.length; i++) {
    const step = (codes[i] ?? 0) - (codes[i - 1] ?? 0);
    // 9 → 0 continues a run of digits.
    if (step === 1 || step === -9) up++;
    if (step === -1 || step === 9) down++;
  }
  const enough = (codes.length - 1) * 0.75;
  return up >= enough || down >= enough;
}

/** The account's or the app's name makes up more than half of the password. */
function containsIdentity(text: string, policy: PasswordPolicy, email?: string): boolean {
  const names = [policy.appName ?? "", email ?? ""];
  if (email !== undefined) {
    const [local = "", domain = ""] = email.split("@");
    names.push(local, domain, domain.split(".")[0] ?? "", ...local.split(/[.+_-]/));
  }
  const plain = text.toLowerCase();
  const folded = foldPassword(text);
  return names.some((name) => {
    const needle = name.toLowerCase();
    if (needle.length < 4 || needle.length * 2 <= text.length) return false;
    return plain.includes(needle) || folded.includes(foldPassword(needle));
  });
}
