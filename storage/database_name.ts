/**
 * The database that a connection string names. The driver takes its path as it stands there, percent signs and
 * all, so a name that must be encoded in a URL would be another one.
 *
 * @module
 */

/** The driver's option; nothing where the string names no database. */
export function databaseOption(url: string): { readonly database?: string } {
  if (!URL.canParse(url)) return {};
  const path = new URL(url).pathname.slice(1);
  if (!path.includes("%")) return {};
  try {
    return { database: decodeURIComponent(path) };
  } catch {
    return {}; // a percent sign that encodes nothing stands for itself
  }
}
