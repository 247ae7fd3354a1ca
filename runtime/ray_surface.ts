/**
 * Calls that come through raystream: routes by number, Kontract's own operations, answers as bytes.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuthFunction } from "../auth/contract.ts";
import { isAuthFunction } from "../auth/service.ts";
import { parseSubscribeRequest } from "../events/mod.ts";
import { decodeValue, encodeValue } from "../protocol/codec/mod.ts";
import {
  type Dispatch,
  FIRST_APP_OP,
  type RpcCall,
  type RpcReply,
  SYSTEM_OPS,
} from "../protocol/rpc.ts";
import { RemoteError } from "../protocol/mod.ts";
import { authContext, optionalCaller, sealedCaller } from "./caller.ts";
import type { Call } from "./call_runner.ts";
import { reportFailure } from "./failure.ts";
import { follow } from "./follower.ts";
import { checkLiveArguments } from "./live_arguments.ts";
import { RequestStamp } from "./request_stamp.ts";
import type { Incoming, Services } from "./services.ts";
import { withInputs } from "./stream_arguments.ts";

/** The dispatcher for the calls of one request. */
export function rayDispatch(services: Services, incoming: Incoming): Dispatch {
  return async (call) => {
    // Several calls may share one request: each has an id of its own.
    const requestId = crypto.randomUUID();
    try {
      return await dispatch(services, { ...incoming, requestId }, call);
    } catch (error) {
      const { error: wire } = reportFailure(services.ports.log, error, requestId, {
        route: nameOf(services, call.op),
      });
      return { kind: "error", error: wire };
    }
  };
}

/** What the log calls an operation. */
function nameOf({ routes }: Services, op: number): string {
  if (op === SYSTEM_OPS.AUTH) return "auth";
  if (op === SYSTEM_OPS.SUBSCRIBE) return "subscribe";
  return routes.nameOf(op) ?? `op ${op}`;
}

async function dispatch(services: Services, incoming: Incoming, call: RpcCall): Promise<RpcReply> {
  if (call.op >= FIRST_APP_OP) return await callRoute(services, incoming, call);
  switch (call.op) {
    case SYSTEM_OPS.AUTH:
      return await callAuth(services, incoming, call);
    case SYSTEM_OPS.SUBSCRIBE:
      return await subscribe(services, incoming, call);
    default:
      throw new KontractError("ROUTE_NOT_FOUND");
  }
}

async function callRoute(services: Services, incoming: Incoming, rpc: RpcCall): Promise<RpcReply> {
  const { runner } = services;
  const call = await routeCall(services, incoming, rpc);
  const { route, requestId } = call;
  if (!route.stream) {
    return { kind: "value", payload: (await runner.value(call)).answer };
  }
  return {
    kind: "stream",
    elements: reported(services, requestId, route.name, await runner.stream(call)),
  };
}

/** A call of a function, by whoever the channel says. */
async function routeCall(services: Services, incoming: Incoming, rpc: RpcCall): Promise<Call> {
  const { routes } = services;
  const principal = await sealedCaller(services, incoming, rpc.token);
  const route = routes.numbered(rpc.op);
  const code = await routes.code(route);
  const { requestId, address, origin } = incoming;
  const stamp = route.meta.readOnly
    ? null
    : await RequestStamp.of("raystream", route.name, rpc.payload);
  return {
    route,
    code,
    principal,
    requestId,
    request: { address, origin, sealed: true, headers: null },
    signal: rpc.signal,
    effect: stamp === null ? null : { lane: rpc.lane, reqno: rpc.reqno, stamp },
    arguments: () => withInputs(code.decodeArguments(rpc.payload), code, rpc, stamp),
    encode: (value) => code.encodeResult(value),
  };
}

async function callAuth(services: Services, incoming: Incoming, call: RpcCall): Promise<RpcReply> {
  const given = decodeValue(call.payload);
  if (!Array.isArray(given) || given.length < 2 || given.length > 3 || !isAuthFunction(given[0])) {
    throw new KontractError("BAD_REQUEST", "An auth call is [name, argument, tenant?].");
  }
  const [name, argument, asked = null] = given as [AuthFunction, unknown, string | null];
  const principal = await optionalCaller(services, incoming.request, call.token, name);
  const context = await authContext(services, incoming, name, principal, asked);
  const answer = await services.auth.call(name, argument, context);
  return { kind: "value", payload: encodeValue(answer ?? null) };
}

/** Follows a table or topic or, where the request names a function, its result. */
async function subscribe(services: Services, incoming: Incoming, call: RpcCall): Promise<RpcReply> {
  const request = decodeValue(call.payload);
  const followed = parseLiveRequest(request);
  if (followed !== null) {
    const live = await routeCall(services, incoming, { ...call, ...followed });
    const { followCall } = await import("./live_call.ts");
    const values = followCall(services, live);
    const elements = (async function* (): AsyncGenerator<Uint8Array, void, void> {
      for await (const { bytes } of values) yield bytes;
    })();
    return {
      kind: "stream",
      elements: reported(services, live.requestId, live.route.name, elements),
    };
  }
  const principal = await sealedCaller(services, incoming, call.token);
  const { source, filter, resume } = parseSubscribeRequest(request);
  const events = follow(services, principal, {
    source,
    ...(filter === undefined ? {} : { filter }),
    resume: resume ?? null,
    signal: call.signal,
  });
  const elements = (async function* (): AsyncGenerator<Uint8Array, void, void> {
    for await (const event of events) yield encodeValue(event);
  })();
  return {
    kind: "stream",
    elements: reported(services, incoming.requestId, "subscribe", elements),
  };
}

/** `{ call, arguments }` as op and payload of that call; null for a request that names no function. */
function parseLiveRequest(request: unknown): Pick<RpcCall, "op" | "payload"> | null {
  const { call: op, arguments: payload } = Object(request) as Record<string, unknown>;
  if (op === undefined) return null;
  if (typeof op !== "number" || op < FIRST_APP_OP) throw new KontractError("ROUTE_NOT_FOUND");
  if (!(payload instanceof Uint8Array)) {
    throw new KontractError("BAD_REQUEST", "A call that is followed is { call, arguments }.");
  }
  checkLiveArguments(payload);
  // Decoded anew for each run, long after the channel has taken its bytes back.
  return { op, payload: payload.slice() };
}

/** A stream's failure as its caller may see it, and in the log. */
async function* reported(
  services: Services,
  requestId: string,
  route: string,
  elements: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* elements;
  } catch (error) {
    throw new RemoteError(reportFailure(services.ports.log, error, requestId, { route }).error);
  }
}
