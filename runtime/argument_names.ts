/**
 * Names of parameters in what is said of wrong arguments: generated code knows a list of them only.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Found } from "../_internal/found.ts";

/** Runs the check of a list of arguments; a problem at `[1].x` is told by the parameter's name. */
export function namedInList<T>(names: readonly string[], check: () => T): T {
  try {
    return withPlace(check, (at, rest, expected, found) => {
      const name = names[at];
      if (name === undefined) return null;
      const path = name + rest;
      return new KontractError("VALIDATION", `'${path}' must be ${expected}.`, {
        data: { path, expected, found, argument: at },
      });
    });
  } catch (error) {
    // Nothing can be wrong with the list itself but its length.
    if (!(error instanceof KontractError)) throw error;
    const { data } = error;
    if ((data as { readonly path?: unknown } | undefined)?.path !== "") throw error;
    const most = names.length === 0
      ? "none"
      : `at most ${names.length} (${names.map((name) => `'${name}'`).join(", ")})`;
    throw new KontractError("VALIDATION", `Too many arguments: there may be ${most}.`, { data });
  }
}

/** Runs a check; `tell` may know another error for its problem at `[at]rest`. */
export function withPlace<T>(
  check: () => T,
  tell: (at: number, rest: string, expected: string, found: Found) => KontractError | null,
): T {
  try {
    return check();
  } catch (error) {
    const data = (error as { readonly data?: unknown } | null)?.data;
    const { path, expected, found } = (data ?? {}) as {
      readonly found?: Found;
      readonly path?: unknown;
      readonly expected?: unknown;
    };
    const match = typeof path === "string" ? /^\[(\d+)\](.*)$/s.exec(path) : null;
    if (match === null || typeof expected !== "string" || found === undefined) throw error;
    throw tell(Number(match[1]), match[2]!, expected, found) ?? error;
  }
}
