/**
 * A process with the app in it on Deno: how it is started, and when it is up.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { KeptCommand, KeptProcess } from "../process/keeper.ts";
import type { HostOptions } from "./host.ts";

/** What a build may take until it serves. */
export const START_TIMEOUT_MS = 30_000;

const FLAGS = ["--allow-all", "--no-lock", "--quiet"];

/** `deno serve` or `deno run` with `args` and the app's environment. */
export function hostProcess(
  options: HostOptions,
  subcommand: "serve" | "run",
  args: readonly string[],
): KeptCommand {
  return {
    command: Deno.execPath(),
    args: [subcommand, ...FLAGS, ...args],
    // The front is the one proxy before it.
    env: { ...options.env, KONTRACT_STATE_DIR: options.state, KONTRACT_PROXY_HOPS: "1" },
    // It waits for idle database connections; nothing is in flight, since the front has drained.
    signal: "TERM",
    grace: 1,
  };
}

/**
 * Resolves when the port accepts.
 *
 * @throws {KontractError} `BUILD_FAILED` when the process ends or takes too long; then it has been stopped
 */
export async function answering(process: KeptProcess, port: number): Promise<void> {
  let ended = false;
  void process.status.then(() => ended = true);
  const until = Date.now() + START_TIMEOUT_MS;
  while (!ended && Date.now() < until) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      await new Promise((done) => setTimeout(done, 5));
    }
  }
  await process.stop();
  throw new KontractError("BUILD_FAILED", "Deno does not run this build; see above.");
}
