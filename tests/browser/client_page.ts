/**
 * What the page of `client_test.ts` runs: the client as an app would use it, reachable from outside.
 *
 * @module
 */
import { decodeValue, encodeValue } from "../../protocol/codec/value.ts";
import { createClient } from "../../runtime/client/mod.ts";

const client = createClient({
  app: "test",
  build: "b",
  pins: await (await fetch("/pins")).json(),
  routes: {
    read: {
      name: "read",
      op: 1001,
      readOnly: true,
      stream: false,
      encodeArguments: (args) => encodeValue(args),
      decodeResult: (bytes) => decodeValue(bytes),
    },
  },
});

const events: unknown[] = [];
client.subscribe("topic:news", { onEvent: (event) => events.push(event.data) });
const states: string[] = [];
client.auth.onChange((state) => states.push(state.kind));

Object.assign(globalThis, { client, events, states, ready: true });
