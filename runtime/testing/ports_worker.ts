/**
 * A Worker that runs single operations of its ports, for the shared suites in real workerd.
 *
 * @module
 */
import { decodeValue, encodeValue } from "../../protocol/codec/mod.ts";
import { KontractError } from "../../_internal/errors.ts";
import type { SharedState } from "../ports.ts";
import type { ExecutionContext, WorkerEnv } from "../workers/platform.ts";
import { workerPorts } from "../workers/ports.ts";
import { inScope, RequestScope } from "../workers/request_scope.ts";

export { ChangeHubDO } from "../workers/change_hub_do.ts";
export { DbPoolDO } from "../workers/db_pool_do.ts";
export { KvcDO } from "../workers/kvc_do.ts";

/** A class for the binding that these suites do not use. */
export class SessionDO {
  /** Called by the platform. */
  fetch(): Response {
    return new Response(null, { status: 404 });
  }
}

type Operation = (...args: unknown[]) => Promise<unknown>;

async function run(env: WorkerEnv, port: string, name: string, args: unknown[]): Promise<unknown> {
  const ports = workerPorts(env);
  switch (port) {
    case "shared": {
      const operation = ports.shared[name as keyof SharedState] as unknown as Operation;
      return await operation(...args);
    }
    case "epochs":
      return await ports.epochs.random(Number(args[0]));
    case "wake":
      return ports.changes.wake(args as string[]);
    case "next":
      return await ports.changes.next(name, Number(args[0]), new AbortController().signal);
    case "next_again": {
      // A wake that comes after one wait and before the other.
      const next = (ms: number) => ports.changes.next(name, ms, new AbortController().signal);
      await next(1);
      const work: Promise<unknown>[] = [];
      inScope(new RequestScope((each) => work.push(each)), () => ports.changes.wake([name]));
      await Promise.all(work);
      return await next(Number(args[0]));
    }
    case "database":
      return await ports.database.execute(name, args as string[]);
    default:
      throw new Error(`no port '${port}'`);
  }
}

export default {
  /** One operation: `[port, name, args]` there; `[error code or null, result, SQL failure?]` back. */
  async fetch(request: Request, env: WorkerEnv, context: ExecutionContext): Promise<Response> {
    const asked = decodeValue(new Uint8Array(await request.arrayBuffer()));
    const [port, name, args] = asked as [string, string, unknown[]];
    const scope = new RequestScope((work) => context.waitUntil(work));
    const answer = await inScope(scope, async () => {
      try {
        return [null, await run(env, port, name, args) ?? null];
      } catch (error) {
        if (error instanceof KontractError) return [error.code, error.message];
        const failure = (error as { failure?: { sqlstate: string } }).failure;
        if (failure === undefined) return ["INTERNAL", String(error)];
        return [`SQL ${failure.sqlstate}`, String(error), failure];
      }
    });
    scope.end();
    return new Response(new Uint8Array(encodeValue(answer)));
  },
};
