/**
 * What a process of `dev` loads before it has an app.
 *
 * @module
 */
import { loadDriver } from "../../storage/postgres_database.ts";
import { loadContext } from "../context.ts";

/**
 * Loads what the first call will need: driver, storage engine, context. For whoever starts a process before it has
 * an app; a Worker does without. Never rejects: what is missing is for the call that needs it to say.
 *
 * @example
 * ```ts
 * import { warmUp } from "@kontract/kontract/workers";
 *
 * await warmUp();
 * ```
 */
export async function warmUp(): Promise<void> {
  await Promise.allSettled([
    loadDriver(),
    import("../../storage/engine.ts"),
    import("../../auth/tables.ts"),
    loadContext(),
  ]);
}
