/**
 * The Worker: one gateway per isolate, made by the first request.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { endingWith } from "../../protocol/request_body.ts";
import type { AppDefinition } from "../app.ts";
import { createGateway, type Gateway, type GatewayOptions, isSocketUpgrade } from "../gateway.ts";
import { createLog } from "../log.ts";
import { parseOrigins } from "../origins.ts";
import { type ServerDefinition, serverOptions } from "../server_options.ts";
import type { ExecutionContext, WorkerEnv } from "./platform.ts";
import { workerPorts } from "./ports.ts";
import { inScope, RequestScope } from "./request_scope.ts";

/** A Worker, as the platform takes it. */
export interface KontractWorker {
  /** Answers one request. */
  fetch(request: Request, env: WorkerEnv, context: ExecutionContext): Promise<Response>;
  /** Called by the cron trigger, once a minute: garbage collection and sweeps. */
  scheduled(event: unknown, env: WorkerEnv, context: ExecutionContext): Promise<void>;
}

/** Options of {@link createWorker}. */
export interface WorkerOptions extends GatewayOptions {
  /** The app's own `server.ts`; options beside it win. */
  readonly server?: ServerDefinition;
}

/** The app of this isolate: its Durable Objects serve the same one. */
let registered: { readonly app: AppDefinition; readonly options: WorkerOptions } | null = null;
let running: Gateway | null = null;

/** Makes the Worker of a built app. Without I/O or randomness, so it may run at module scope. */
export function createWorker(app: AppDefinition, options: WorkerOptions = {}): KontractWorker {
  registered = { app, options };
  running = null;
  return { fetch: answer, scheduled: maintain };
}

/** The gateway of this isolate. @throws {KontractError} `CONFIG` */
export function workerGateway(env: WorkerEnv): Gateway {
  if (registered === null) {
    throw new KontractError("CONFIG", "This Worker was made without an app.");
  }
  if (running !== null) return running;
  const { app, options: { server, ...options } } = registered;
  const ports = workerPorts(env);
  const defined = serverOptions(server, ports.secret);
  running = createGateway(app, ports, {
    ...defined,
    origins: [...defined.origins ?? [], ...parseOrigins(env.KONTRACT_ORIGINS)],
    ...options,
    shareOpening: false,
  });
  return running;
}

async function answer(
  request: Request,
  env: WorkerEnv,
  context: ExecutionContext,
): Promise<Response> {
  const scope = new RequestScope((work) => context.waitUntil(work));
  try {
    return await inScope(scope, () => route(request, env, scope));
  } catch (error) {
    scope.end();
    return misconfigured(error);
  }
}

async function maintain(
  _event: unknown,
  env: WorkerEnv,
  context: ExecutionContext,
): Promise<void> {
  const scope = new RequestScope((work) => context.waitUntil(work));
  try {
    await inScope(scope, () => workerGateway(env).scheduled());
  } finally {
    scope.end();
  }
}

async function route(request: Request, env: WorkerEnv, scope: RequestScope): Promise<Response> {
  const gateway = workerGateway(env);
  const address = request.headers.get("cf-connecting-ip") ?? "unknown";
  if (isSocketUpgrade(request)) {
    const refusal = await gateway.refuseSocket(request, { address });
    if (refusal !== null) return refusal;
    return await env.SESSION.get(env.SESSION.newUniqueId()).fetch(request);
  }
  const accept = request.headers.get("accept");
  if (env.ASSETS !== undefined && !gateway.handles(new URL(request.url).pathname, accept)) {
    return await env.ASSETS.fetch(request);
  }
  const response = await gateway.fetch(request, { address });
  // Under whoever still sends a body that nobody reads workerd closes the connection, and the answer is lost.
  return endWith(endingWith(request, response), scope);
}

/** Ends the request's connection with the last byte of its answer, not before. */
function endWith(response: Response, scope: RequestScope): Response {
  if (response.body === null) {
    scope.end();
    return response;
  }
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const piped = response.body.pipeTo(writable).catch(() => {}).finally(() => scope.end());
  scope.background(piped);
  return new Response(readable, response);
}

function misconfigured(error: unknown): Response {
  createLog({ now: () => Date.now() }).error("worker_failed", { error });
  const { status, code, message } = new KontractError("INTERNAL");
  return Response.json({ error: { code, message, requestId: crypto.randomUUID() } }, { status });
}
