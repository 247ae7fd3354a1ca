/**
 * The built app on plain `deno serve`, in a process of its own per build. The next build is started
 * beside the old one, which ends once the new one answers.
 *
 * @module
 */
import { join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { freePort } from "../embedded_postgres.ts";
import { type KeptProcess, spawnKept } from "../process/keeper.ts";
import type { DevHost, HostOptions } from "./host.ts";

const START_TIMEOUT_MS = 30_000;

/** Makes the host; a process starts with each {@link DevHost.load}. */
export function denoHost(options: HostOptions): DevHost {
  let running: KeptProcess | null = null;
  let ending: Promise<void> = Promise.resolve();
  return {
    async load(): Promise<string> {
      const port = freePort();
      const next = spawnKept({
        command: Deno.execPath(),
        args: [
          "serve",
          "--allow-all",
          "--no-lock",
          "--quiet",
          "--host=127.0.0.1",
          `--port=${port}`,
          join(options.dist, "deno", "server.js"),
        ],
        // The front is the one proxy before it.
        env: { ...options.env, KONTRACT_STATE_DIR: options.state, KONTRACT_PROXY_HOPS: "1" },
        // It waits for idle database connections; nothing is in flight, since the front has drained.
        signal: "TERM",
        grace: 1,
      });
      options.output(next.stdout, "stdout");
      options.output(next.stderr, "stderr");
      await answering(next, port);
      const before = running;
      running = next;
      if (before !== null) ending = Promise.all([ending, before.stop()]).then(() => {});
      return `http://127.0.0.1:${port}`;
    },
    async stop(): Promise<void> {
      await Promise.all([ending, running?.stop()]);
    },
  };
}

/** Resolves when the port accepts; rejects when the process ends or takes too long. */
async function answering(process: KeptProcess, port: number): Promise<void> {
  let ended = false;
  void process.status.then(() => ended = true);
  const until = Date.now() + START_TIMEOUT_MS;
  while (!ended && Date.now() < until) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      await new Promise((done) => setTimeout(done, 20));
    }
  }
  await process.stop();
  throw new KontractError("BUILD_FAILED", "'deno serve' does not run this build; see above.");
}
