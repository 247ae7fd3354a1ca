/**
 * What a process of `dev` does before it has an app, and before the first request.
 *
 * @module
 */
import { askAhead, loadAhead } from "../ask_ahead.ts";
import type { ExecutionContext, WorkerEnv } from "./platform.ts";
import { workerPorts } from "./ports.ts";
import { inScope, RequestScope } from "./request_scope.ts";
import { workerGateway } from "./worker.ts";

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

/**
 * Makes the gateway of the Worker's app, as the first request would. For whoever has the app and has to wait with the
 * first request. Never throws: what is wrong is for that one to say.
 *
 * @example
 * ```ts
 * import { prepareGateway, type WorkerEnv } from "@kontract/kontract/workers";
 *
 * export const prepare = (env: WorkerEnv): void => prepareGateway(env);
 * ```
 */
export function prepareGateway(env: WorkerEnv): void {
  try {
    workerGateway(env);
  } catch {
    // It is made again, and fails again.
  }
}
