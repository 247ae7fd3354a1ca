/**
 * What the page of `cookie_client_test.ts` runs: the generated client's runtime, in cookie mode where the
 * page was opened without `?tokens`.
 *
 * @module
 */
import { decodeValue, encodeValue } from "../../protocol/codec/value.ts";
import { type ClientRoute, cookieSession, createClient } from "../../runtime/client/mod.ts";

const { pins, ops } = await (await fetch("/settings.json")).json() as {
  pins: string[];
  ops: Record<string, number>;
};

function route(name: string, stream = false): ClientRoute {
  return {
    name,
    op: ops[name]!,
    readOnly: name !== "add",
    stream,
    encodeArguments: (args) => encodeValue(args),
    decodeResult: (bytes) => decodeValue(bytes),
  };
}

const client = createClient({
  app: "notes",
  build: "test",
  pins,
  routes: { who: route("who"), add: route("add"), count: route("count", true) },
});
const useCookies = (): void => client.configure({ session: cookieSession });
if (!location.search.includes("tokens")) useCookies();

const states: unknown[] = [];
client.auth.onChange((state) => states.push(state));
const events: unknown[] = [];
const follow = (): void => {
  client.subscribe("notes", { onEvent: ({ type, key }) => events.push(`${type} ${key}`) });
};
const owner = async (): Promise<unknown> => Object(await client.call("who", [])).owner;
const code = async (work: Promise<unknown>): Promise<unknown> =>
  await work.then(() => "fine", (error) => error.code);

Object.assign(globalThis, { client, states, events, follow, owner, code, useCookies, ready: true });
