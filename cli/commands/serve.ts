/**
 * What `start` and `dev` share: arguments, the outer and the inner process, signals.
 *
 * The outer process checks the arguments and stands in for the inner one, which does the work (see
 * `process/relay.ts`).
 *
 * @module
 */
import { type CommandInput, type CommandOption, folderOf, portOf, UsageError } from "../command.ts";
import { openAppFolder } from "../dev/app_folder.ts";
import { HOST_NAMES, type HostName } from "../dev/host.ts";
import { isKept, relay } from "../process/relay.ts";
import { smallHeap } from "../process/small_heap.ts";

const DEFAULT_PORT = 8787;

/** Options of both commands. */
export const SERVER_OPTIONS: Readonly<Record<string, CommandOption>> = {
  port: { type: "string", value: "N", help: "Port; 0 picks a free one. 8787 where missing." },
  host: { type: "string", value: "NAME", help: "'workers' (workerd, where missing) or 'deno'." },
};

/** Runs the server until a signal ends it. */
export async function runServer(input: CommandInput, watch: boolean): Promise<number> {
  const folder = folderOf(input);
  const port = portOf(input, DEFAULT_PORT);
  const host = hostOf(input);
  await openAppFolder(folder);
  if (!isKept()) {
    const cli = new URL("../../cli.ts", import.meta.url).href;
    return await relay(cli, input.args, watch ? smallHeap() : []);
  }
  const ending = new AbortController();
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) Deno.addSignalListener(signal, () => ending.abort());
  const { serveApp } = await import("../dev/server.ts");
  await serveApp({ folder, host, port, watch, signal: ending.signal });
  return 0;
}

function hostOf(input: CommandInput): HostName {
  const { host } = input.values;
  if (host === undefined) return "workers";
  const found = HOST_NAMES.find((name) => name === host);
  if (found !== undefined) return found;
  throw new UsageError(`--host must be ${HOST_NAMES.join(" or ")}: it is '${host}'.`);
}
