/**
 * The processes that a person really started: `npx`, `deno task`, and us at the end of the chain.
 *
 * When one of them is killed, nobody tells us: our own parent may live on. So the chain is noted at the
 * start and each link is looked at twice a second; a link that is gone, or whose parent has changed, means
 * that we must end. Only launchers count: the shell or editor above them may end and leave us running, as
 * with any server started in the background.
 *
 * @module
 */
import { identifyProcess, type ProcessIdentity } from "./identity.ts";

const LOOK_MS = 500;

/** Programs that start others on a person's behalf and wait for them. */
const LAUNCHER =
  /(^|\/)(npm|npx|pnpm|yarn|bunx?|deno)(\.cjs|-cli\.js)?( |$)|\/node_modules\/(\.bin|deno)\//;
/** `npm exec` puts one of these between itself and what it starts. */
const SHELL = /^(\/\S*\/)?(sh|bash|dash|ash|zsh) -c /;
const LONGEST_CHAIN = 16;

/** True for a command line that is a launcher's. */
export function isLauncher(command: string): boolean {
  return LAUNCHER.test(command);
}

/** True for a shell that runs one command and may stand between two launchers. */
export function isCommandShell(command: string): boolean {
  return SHELL.test(command);
}

/** What adopts processes whose parent has died. */
const REAPER =
  /^(\/\S*\/)?(systemd|init|tini|dumb-init|docker-init|catatonit|launchd|s6-svscan)( |$)/;

/** The launchers above a process. */
export interface LauncherChain {
  /** Nearest first; empty where the process was started directly. */
  readonly links: readonly ProcessIdentity[];
  /** True where the walk ended at what adopts orphans. */
  readonly adopted: boolean;
}

/** Looks up the launchers above a process. */
export async function launcherChain(pid: number): Promise<LauncherChain> {
  const chain: ProcessIdentity[] = [];
  let known = 0;
  let adopted = false;
  let next = (await identifyProcess(pid))?.parent ?? 0;
  while (next > 0 && chain.length < LONGEST_CHAIN) {
    const found = await identifyProcess(next);
    adopted = found === null || next === 1 || REAPER.test(found.command);
    // In a container a launcher may be process 1 itself.
    if (found === null || (adopted && !isLauncher(found.command))) break;
    chain.push(found);
    // A shell counts only where a launcher stands above it.
    if (isLauncher(found.command)) known = chain.length;
    else if (!isCommandShell(found.command)) break;
    next = found.parent;
  }
  return { links: chain.slice(0, known), adopted };
}

/**
 * True where a launcher was there and has died before we could look: `deno task` and npm leave their mark
 * in the environment, and the chain ends at a stranger that adopts orphans without showing them.
 */
export function isOrphaned(
  chain: LauncherChain,
  env: (name: string) => string | undefined,
): boolean {
  if (!chain.adopted) return false;
  if (chain.links.length === 0) return env("INIT_CWD") !== undefined;
  const npm = chain.links.some(({ command }) => /(^|\/)(npm|npx)/.test(command));
  return env("npm_command") !== undefined && !npm;
}

/** Calls `gone` once when a link of our chain breaks. Returns what ends the watch. */
export async function watchLaunchers(gone: () => void): Promise<() => void> {
  const chain = await launcherChain(Deno.pid);
  if (isOrphaned(chain, (name) => Deno.env.get(name))) {
    gone();
    return () => {};
  }
  if (chain.links.length === 0) return () => {};
  const timer = setInterval(async () => {
    if (await chainHolds(chain.links)) return;
    clearInterval(timer);
    gone();
  }, LOOK_MS);
  return () => clearInterval(timer);
}

async function chainHolds(chain: readonly ProcessIdentity[]): Promise<boolean> {
  const now = await Promise.all(chain.map((link) => identifyProcess(link.pid)));
  const own = await identifyProcess(Deno.pid);
  if (own !== null && own.parent !== chain[0]!.pid) return false;
  return chain.every((link, i) => {
    const outermost = i === chain.length - 1;
    return now[i]?.started === link.started && (outermost || now[i]!.parent === link.parent);
  });
}
