/**
 * Memory of idle raystream sockets at one gateway: `deno task bench idle_sockets [count]`, 2,000 where
 * missing. The clients are another process; each has made one call. Mind the limit of open files.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { serveGateway } from "../protocol/testing/gateway.ts";
import { echoDispatch } from "../protocol/testing/round_trips.ts";

const count = Number(Deno.args.find((one) => /^\d+$/.test(one)) ?? 2000);
await using gateway = await serveGateway(echoDispatch);
const before = Deno.memoryUsage();
const clients = new Deno.Command(Deno.execPath(), {
  args: [
    "run",
    "-A",
    fileURLToPath(new URL("../protocol/testing/idle_clients.ts", import.meta.url)),
    ...[gateway.url, gateway.pins[0]!, String(count)],
  ],
  stdin: "piped",
  stdout: "piped",
}).spawn();
for await (const text of clients.stdout.pipeThrough(new TextDecoderStream())) {
  if (text.includes("ready")) break;
}
const after = Deno.memoryUsage();
const each = (name: "rss" | "heapUsed"): string =>
  ((after[name] - before[name]) / count / 1024).toFixed(1);
console.log(
  `${count} idle sockets: ${each("rss")} KiB resident each, ${each("heapUsed")} KiB of heap`,
);
await clients.stdin.close();
await clients.status;
Deno.exit(0);
