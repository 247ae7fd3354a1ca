/**
 * Runs the same command once more as a kept child and stands in for it: output through, signals through,
 * exit code through.
 *
 * The outer process is what a person's terminal and launchers know. It does nothing that can hang, so a
 * signal is always answered; and when it is gone, by whatever means, the keeper ends the inner one with
 * all it has started.
 *
 * @module
 */
import { spawnKept } from "./keeper.ts";
import { watchLaunchers } from "./launcher.ts";

/** Set in the inner process. */
export const KEPT_VARIABLE = "KONTRACT_KEPT";

/** Set in the inner process where what it prints is shown on a terminal. */
export const TERMINAL_VARIABLE = "KONTRACT_TERMINAL";

/** npx delivers one Ctrl-C two or three times. */
const SAME_SIGNAL_MS = 1000;

/** True in the inner process, and where there is no keeper (Windows). */
export function isKept(): boolean {
  return Deno.build.os === "windows" || Deno.env.get(KEPT_VARIABLE) === "1";
}

/** True where a person reads what this process prints. */
export function hasTerminal(): boolean {
  return Deno.env.get(TERMINAL_VARIABLE) === "1" || Deno.stdout.isTerminal();
}

/**
 * Runs `deno run <flags> <module> <args>` kept; resolves with its exit code. A second signal kills at once.
 */
export async function relay(
  module: string,
  args: readonly string[],
  flags: readonly string[] = [],
): Promise<number> {
  const terminal: Record<string, string> = Deno.stdout.isTerminal()
    ? { [TERMINAL_VARIABLE]: "1", ...(Deno.noColor ? {} : { FORCE_COLOR: "1" }) }
    : {};
  const child = spawnKept({
    command: Deno.execPath(),
    args: ["run", "--allow-all", "--quiet", ...flags, module, ...args],
    env: { [KEPT_VARIABLE]: "1", ...terminal },
    signal: "TERM",
  });
  let first = 0;
  const onSignal = (): void => {
    const now = Date.now();
    // Ending this process closes the lifeline, which the keeper never ignores.
    if (first !== 0 && now - first > SAME_SIGNAL_MS) Deno.exit(130);
    if (first !== 0) return;
    first = now;
    void child.stop();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, onSignal);
  }
  const unwatch = await watchLaunchers(() => void child.stop());
  const through = { preventClose: true };
  await Promise.all([
    child.stdout.pipeTo(Deno.stdout.writable, through).catch(() => child.stdout.cancel()),
    child.stderr.pipeTo(Deno.stderr.writable, through).catch(() => child.stderr.cancel()),
  ]).catch(() => {});
  const code = await child.status;
  unwatch();
  return first === 0 ? code : 0;
}
