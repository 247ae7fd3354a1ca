/**
 * What an app may read of its environment on this machine: this process's variables, except those that
 * are the tools' own business. The admin's database URL never reaches an app.
 *
 * @module
 */
import { KEPT_VARIABLE, TERMINAL_VARIABLE } from "../process/relay.ts";

const KEPT_BACK = new Set([
  "DATABASE_ADMIN_URL",
  KEPT_VARIABLE,
  TERMINAL_VARIABLE,
  "TMPDIR",
  "TMP",
  "TEMP",
]);

/** The variables of this process and then `own`, which win. */
export function appEnvironment(own: Readonly<Record<string, string>>): Record<string, string> {
  const env = Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) =>
      /^[A-Z][A-Z0-9_]*$/.test(name) && !KEPT_BACK.has(name)
    ),
  );
  return { ...env, ...own };
}
