/**
 * The built app in real workerd. `start` has all of its modules there from the beginning, as Cloudflare has;
 * `dev` has a process at hand that waits for the next build.
 *
 * @module
 */
import { join } from "node:path";
import { loadMiniflare } from "../load_miniflare.ts";
import type { DevHost, HostOptions } from "./host.ts";
import { SourceLines } from "./source_lines.ts";
import { StandbyHost } from "./standby_host.ts";
import { scripts } from "./worker_modules.ts";
import { startWorkerd, type Workerd, workerFolder } from "./workerd.ts";
import { WorkersStandby } from "./workers_standby.ts";

/** Entry module of the bundle, in `dist/worker`. */
export const WORKER_ENTRY = "worker.js";

/** Makes the host; workerd starts with the first {@link DevHost.load}. */
export function workersHost(options: HostOptions): DevHost {
  // Loading takes a while and may happen while the app is being built.
  const loading = loadMiniflare();
  loading.catch(() => {});
  const folder = workerFolder(options);
  const lines = new SourceLines(folder);
  const { outputs } = options;
  if (outputs !== null) {
    return new StandbyHost({
      start: (ahead) => WorkersStandby.start({ options, loading, lines, outputs, ahead }),
      // Durable Objects are written by one process at a time.
      alone: true,
    });
  }
  let running: Workerd | null = null;
  return {
    async load(): Promise<string> {
      const files = scripts(folder, "").filter((path) => path !== WORKER_ENTRY);
      running = await startWorkerd(await loading, options, lines, {
        modules: [WORKER_ENTRY, ...files].map((path) => ({ path: join(folder, path) })),
      });
      return running.origin;
    },
    get socket(): string | undefined {
      return running?.socket;
    },
    expect: () => Promise.resolve(),
    scheduled: async () => await running?.scheduled(),
    stop: () => running?.stop() ?? Promise.resolve(),
  };
}
