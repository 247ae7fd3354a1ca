/**
 * What of auth's options cannot be. They are a deployment's own words, and one that is not understood would
 * weaken it without a sign: a minimum length of NaN admits every password.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { MAX_PASSWORD_BYTES } from "./password/hasher.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import type { AuthOptions } from "./options.ts";

/** @throws {KontractError} `CONFIG` */
export function checkAuthOptions(options: AuthOptions): void {
  const { appName, issuer, registration, minPasswordLength, mail, audit } = options;
  const weak: unknown = options.allowWeakPasswords;
  if (weak !== undefined && typeof weak !== "boolean") {
    throw refused("allowWeakPasswords", "true or false", weak);
  }
  for (const [name, value] of Object.entries({ appName, issuer })) {
    if (value !== undefined && (typeof value !== "string" || value === "" || value.length > 256)) {
      throw refused(name, "a text of 1 to 256 characters", value);
    }
  }
  if (registration !== undefined && !["confirmed", "immediate"].includes(registration)) {
    throw refused("registration", "'confirmed' or 'immediate'", registration);
  }
  const length = minPasswordLength ?? 8;
  if (!(Number.isInteger(length) && length >= 8 && length <= MAX_PASSWORD_BYTES)) {
    throw refused("minPasswordLength", `an integer from 8 to ${MAX_PASSWORD_BYTES}`, length);
  }
  if (mail !== undefined && typeof Object(mail).send !== "function") {
    throw refused("mail", "an object with the function 'send'", mail);
  }
  if (audit !== undefined && typeof audit !== "function") {
    throw refused("audit", "a function", audit);
  }
  checkRecord("lifetimes", options.lifetimes);
  checkRecord("password", options.password);
  checkRecord("limits", options.limits);
  checkLimits(options.limits ?? {});
}

function checkLimits(limits: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(limits)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) {
      throw refused("limits", `known ones (${Object.keys(DEFAULT_LIMITS).join(", ")})`, name);
    }
    const { limit, windowMs } = Object(value) as { limit?: unknown; windowMs?: unknown };
    for (const number of [limit, windowMs]) {
      if (!(Number.isSafeInteger(number) && Number(number) > 0)) {
        throw refused(`limits.${name}`, "{ limit, windowMs } of positive integers", number);
      }
    }
  }
}

function checkRecord(name: string, value: unknown): void {
  if (value === undefined || (typeof value === "object" && value !== null)) return;
  throw refused(name, "an object", value);
}

function refused(name: string, rule: string, value: unknown): KontractError {
  const current = typeof value === "object" && value !== null ? "an object" : String(value);
  return new KontractError(
    "CONFIG",
    `'${name}' of auth's options must be ${rule}: current value is ${current.slice(0, 40)}.`,
  );
}
