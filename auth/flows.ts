/**
 * All auth functions by name; loaded by the first call of one.
 *
 * @module
 */
import { changePassword, logout, me, revokeSession, sessions } from "./account.ts";
import type { AuthFunction, AuthRequestContext } from "./contract.ts";
import type { AuthParts } from "./options.ts";
import { requestReset, requestVerification, resetPassword, verifyEmail } from "./recovery.ts";
import { link, register } from "./registration.ts";
import { anonymous, login, refresh } from "./sign_in.ts";

/** One auth function. */
export type Flow = (
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
) => Promise<unknown>;

/** Every auth function. */
export const FLOWS: Readonly<Record<AuthFunction, Flow>> = {
  anonymous,
  register,
  login,
  link,
  refresh,
  logout,
  me,
  changePassword,
  requestReset,
  resetPassword,
  requestVerification,
  verifyEmail,
  sessions,
  revokeSession,
};
