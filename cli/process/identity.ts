/**
 * Who a process id stands for: parent, start time, command line.
 *
 * A pid alone proves nothing, since the system hands it out again; pid and start time together do.
 * Linux answers from `/proc`, other systems from `ps`. Where neither exists (Windows) every question
 * is answered with null, and callers must treat null as "not the process you knew".
 *
 * @module
 */

/** What is known of a running process. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly parent: number;
  /** Opaque; equal for the same process, different for another that got the same pid. */
  readonly started: string;
  /** Program and arguments, joined with spaces. */
  readonly command: string;
}

/** Looks a process up; null where it is gone, is ending, or cannot be asked about. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | null> {
  if (!Number.isInteger(pid) || pid < 1) return null;
  if (Deno.build.os === "linux") return await fromProc(pid);
  if (Deno.build.os === "windows") return null;
  return await fromPs(pid);
}

/** True where `pid` still is the process that had this start time. */
export async function isSameProcess(pid: number, started: string): Promise<boolean> {
  return (await identifyProcess(pid))?.started === started;
}

async function fromProc(pid: number): Promise<ProcessIdentity | null> {
  try {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    // The name in parentheses may hold anything, so fields count from the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return null;
    const command = (await Deno.readTextFile(`/proc/${pid}/cmdline`)).split("\0").join(" ").trim();
    // One that is ending gives its memory back, command line included, before its state says so.
    if (command === "") return null;
    return { pid, parent: Number(fields[1]), started: fields[19] ?? "", command };
  } catch {
    return null;
  }
}

/** What `ps` says, on systems without `/proc`. */
export async function fromPs(pid: number): Promise<ProcessIdentity | null> {
  const { success, stdout } = await new Deno.Command("ps", {
    args: ["-o", "stat=,ppid=,lstart=,command=", "-p", `${pid}`],
    env: { LC_ALL: "C" },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  const line = new TextDecoder().decode(stdout).trim();
  // "S 1 Sat Nov 21 00:21:12 2026 /path/to/program args"
  const match = /^(\S+)\s+(\d+)\s+(\S+\s+\S+\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/.exec(line);
  if (!success || match === null || /^Z|E/.test(match[1]!)) return null;
  return { pid, parent: Number(match[2]), started: match[3]!, command: match[4]! };
}
