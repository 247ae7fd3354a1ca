/**
 * Names of Kontract's own settings and secrets: `secret()` never gives one out.
 *
 * @module
 */

/** True for a name that is Kontract's. */
export function isOwnName(name: string): boolean {
  return name.startsWith("KONTRACT_") || name === "DATABASE_URL" || name === "DATABASE_ADMIN_URL";
}
