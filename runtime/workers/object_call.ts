/**
 * Calls of Durable Objects: one encoded value there, one back.
 *
 * @module
 */
import { decodeValue, encodeValue } from "../../protocol/codec/mod.ts";
import type { ObjectStub } from "./platform.ts";

/** Host part of the addresses; it is never resolved. */
const BASE = "https://object.invalid";

/** Calls `name` with a plain value. Rejects where the object is out of reach or failed. */
export async function callObject(
  stub: ObjectStub,
  name: string,
  argument: unknown,
  signal?: AbortSignal,
): Promise<unknown> {
  const response = await stub.fetch(
    new Request(`${BASE}/${name}`, {
      method: "POST",
      body: new Uint8Array(encodeValue(argument)),
      ...(signal === undefined ? {} : { signal }),
    }),
  );
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (!response.ok) throw new Error(`Durable Object call '${name}': status ${response.status}`);
  return decodeValue(bytes);
}

/** What an object does, by name. */
export type ObjectMethods = Readonly<Record<string, (argument: unknown) => unknown>>;

/** Answers one such call. */
export async function answerCall(request: Request, methods: ObjectMethods): Promise<Response> {
  const name = new URL(request.url).pathname.slice(1);
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (method === undefined || request.method !== "POST") return new Response(null, { status: 404 });
  const argument = decodeValue(new Uint8Array(await request.arrayBuffer()));
  const result = await method(argument);
  return new Response(new Uint8Array(encodeValue(result ?? null)));
}
