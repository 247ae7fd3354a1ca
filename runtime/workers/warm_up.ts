/**
 * What a process of `dev` does before it has an app.
 *
 * @module
 */
import { askAhead, loadAhead } from "../ask_ahead.ts";
import type { ExecutionContext, WorkerEnv } from "./platform.ts";
import { workerPorts } from "./ports.ts";
import { inScope, RequestScope } from "./request_scope.ts";

/**
 * Loads what the first call will need: driver, storage engine, context. With the Worker's bindings it also asks the
 * database something, so that its pool is connected. For whoever starts a process before it has an app; a Worker does
 * without. Never rejects: what is missing is for the call that needs it to say.
 *
 * @example
 * ```ts
 * import { warmUp } from "@kontract/kontract/workers";
 *
 * await warmUp();
 * ```
 */
export async function warmUp(env?: WorkerEnv, context?: ExecutionContext): Promise<void> {
  await loadAhead();
  if (env === undefined) return;
  const scope = new RequestScope((work) => context?.waitUntil(work));
  try {
    await inScope(scope, () => askAhead(workerPorts(env)));
  } catch {
    // No database, or none that this build knows.
  } finally {
    scope.end();
  }
}
