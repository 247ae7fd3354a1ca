/**
 * Passwords: hashing, checking, and which ones may be chosen.
 *
 * @module
 */
export { MAX_PASSWORD_BYTES, normalizePassword, PasswordHasher } from "./hasher.ts";
export type { PasswordScheme, PasswordVerdict } from "./hasher.ts";
export { describeFault, judgePassword } from "./policy.ts";
export type { PasswordFault, PasswordPolicy } from "./policy.ts";
export { formatPasswordHash, parsePasswordHash } from "./format.ts";
export type { PasswordHash } from "./format.ts";
export type { PasswordPrimitive, ScryptCost } from "./primitive.ts";
