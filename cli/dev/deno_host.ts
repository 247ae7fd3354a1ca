/**
 * The built app on plain Deno, in a process of its own per build. The next build is started beside the old
 * one, which ends once the new one answers. `dev` keeps a process at hand that waits for the next build.
 *
 * @module
 */
import { join } from "node:path";
import { freePort } from "../embedded_postgres.ts";
import { type KeptProcess, spawnKept } from "../process/keeper.ts";
import { answering, hostProcess } from "./deno_process.ts";
import { DenoStandby } from "./deno_standby.ts";
import type { DevHost, HostOptions } from "./host.ts";
import { StandbyHost } from "./standby_host.ts";

/** Makes the host; a process starts with each {@link DevHost.load}. */
export function denoHost(options: HostOptions): DevHost {
  if (options.outputs === null) return serveHost(options);
  return new StandbyHost({ start: (ahead) => DenoStandby.start(options, ahead), alone: false });
}

/** `deno serve`, as in production. */
function serveHost(options: HostOptions): DevHost {
  let running: KeptProcess | null = null;
  return {
    async load(): Promise<string> {
      const port = freePort();
      running = spawnKept(hostProcess(options, "serve", [
        "--host=127.0.0.1",
        `--port=${port}`,
        join(options.dist, "deno", "server.js"),
      ]));
      options.output(running.stdout, "stdout");
      options.output(running.stderr, "stderr");
      await answering(running, port);
      return `http://127.0.0.1:${port}`;
    },
    expect: () => Promise.resolve(),
    stop: () => running?.stop() ?? Promise.resolve(),
  };
}
