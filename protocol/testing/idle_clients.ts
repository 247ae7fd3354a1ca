/**
 * Opens idle raystream sockets from a process of its own: `idle_clients.ts <url> <pin> <count>`. Prints
 * "ready" once every one has made a call, and ends with its standard input. For tests only.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { createSocketTransport } from "../socket_transport.ts";
import type { Transport } from "../transport.ts";

const [url = "", pin = "", count = "0"] = Deno.args;
const transports = Array.from(
  { length: Number(count) },
  () => createSocketTransport({ url, pins: [pin], app: "test-app" }),
);
const waiting = [...transports];
const options = { token: "t".repeat(200), mutation: false };
// A few at a time: what is measured is that they stay, not how fast they come.
await Promise.all(Array.from({ length: 16 }, async () => {
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    await called(next);
  }
}));

console.log("ready");
for await (const _ of Deno.stdin.readable);
Deno.exit(0);

// A busy machine may take longer for a connection than a client waits.
async function called(transport: Transport): Promise<void> {
  for (;;) {
    try {
      await transport.call(1001, new Uint8Array(10), options);
      return;
    } catch (error) {
      if (!(error instanceof KontractError) || error.code !== "NETWORK") throw error;
    }
  }
}
