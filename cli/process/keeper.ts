/**
 * A child that never outlives this process, whatever ends this process.
 *
 * The child runs under a tiny POSIX shell in a session of its own, so a Ctrl-C in the terminal or a
 * signal to our group does not reach it. The shell holds the read end of a pipe whose only write end
 * is ours: when we are gone, SIGKILL included, the pipe ends and the shell ends the child, first with
 * the given signal, after a time of grace with SIGKILL, and then whatever the child started in the same
 * session (a bundler, workerd). There is no polling and no moment without a guard, since the shell
 * holds the pipe from before the child's first instruction.
 *
 * The part of the shell that waits at the pipe may be killed by somebody else. {@link KeptProcess.stop}
 * finds that out and signals by itself, and it has an end in any case.
 *
 * Windows has no such shell; there the child is started directly and only {@link KeptProcess.stop}
 * ends it.
 *
 * @module
 */

/** What to run and how to end it. */
export interface KeptCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** The signal that makes it stop in good order. */
  readonly signal: "INT" | "TERM";
  /** Seconds between the signal and SIGKILL; 10 where missing. */
  readonly grace?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly clearEnv?: boolean;
  readonly uid?: number;
  readonly gid?: number;
}

/** A running child. */
export interface KeptProcess {
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly stderr: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Exit code, once the child has ended and nothing of what it started is left. */
  readonly status: Promise<number>;
  /**
   * Ends the child and waits for it, not much longer than its time of grace. Calling it again waits for the
   * same end.
   */
  stop(): Promise<void>;
}

/** Seconds of grace where a command names none. */
const GRACE = 10;
/** What the shell may take beyond the time of grace. */
const SLACK_MS = 2_000;

// $1 signal, $2 tenths of a second of grace, then the command. fd 3 is the lifeline; $$ leads the session's process group.
const KEEPER = `
sig=$1 grace=$2; shift 2
closing=
trap 'closing=1' USR1
trap 'kill -"$sig" "$pid" 2>/dev/null' INT TERM HUP
exec 3<&0 </dev/null
"$@" 3<&- &
pid=$!
exec 2>/dev/null
(
  exec >/dev/null 2>&1
  read -r _ <&3
  kill -USR1 $$
  kill -"$sig" "$pid"
  n=0
  while [ $n -lt "$grace" ] && kill -0 "$pid"; do sleep 0.1; n=$((n + 1)); done
  kill -9 -$$
) &
reader=$!
exec 3<&-
wait "$pid"; code=$?
while kill -0 "$pid" 2>/dev/null; do wait "$pid"; code=$?; done
if [ -n "$closing" ]; then wait "$reader"; fi
kill -KILL "$reader" 2>/dev/null
exit $code
`;

/** Starts a kept child. Its output must be read, or it will stop when the pipe is full. */
export function spawnKept(kept: KeptCommand): KeptProcess {
  const windows = Deno.build.os === "windows";
  const grace = kept.grace ?? GRACE;
  const args = windows ? [...kept.args] : [
    "-c",
    KEEPER,
    "keeper",
    kept.signal,
    `${Math.ceil(grace * 10)}`,
    kept.command,
    ...kept.args,
  ];
  const child = new Deno.Command(windows ? kept.command : "/bin/sh", {
    args,
    detached: !windows,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    ...(kept.cwd === undefined ? {} : { cwd: kept.cwd }),
    ...(kept.env === undefined ? {} : { env: { ...kept.env } }),
    ...(kept.clearEnv === undefined ? {} : { clearEnv: kept.clearEnv }),
    ...(kept.uid === undefined ? {} : { uid: kept.uid }),
    ...(kept.gid === undefined ? {} : { gid: kept.gid }),
  }).spawn();
  const status = child.status.then(({ code }) => {
    if (!windows) killGroup(child.pid);
    return code;
  });
  let stopping: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    // Closing the lifeline is the same signal that our death would give.
    const heard = !windows && await write(child.stdin, "\n");
    await child.stdin.close().catch(() => {});
    if (!heard) {
      try {
        child.kill("SIGTERM");
      } catch {
        // It has ended already.
      }
    }
    if (windows) return void await status;
    const late = setTimeout(() => killGroup(child.pid), grace * 1000 + SLACK_MS);
    await status;
    clearTimeout(late);
  };
  return {
    stdout: child.stdout,
    stderr: child.stderr,
    status,
    stop: () => stopping ??= end(),
  };
}

/** False where nobody holds the read end any more. */
async function write(pipe: WritableStream<Uint8Array>, text: string): Promise<boolean> {
  const writer = pipe.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    return true;
  } catch {
    return false;
  } finally {
    writer.releaseLock();
  }
}

/** Ends what the child left in its session. An empty group is the usual case. */
function killGroup(leader: number): void {
  try {
    Deno.kill(-leader, "SIGKILL");
  } catch {
    // Nobody is left in it.
  }
}
