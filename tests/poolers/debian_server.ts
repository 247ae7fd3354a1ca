/**
 * A throw-away server from binaries that the machine has (Debian's `postgresql-<version>`).
 *
 * @module
 */
import { join } from "node:path";

/** A server under way. */
export interface DebianServer extends AsyncDisposable {
  /** Superuser's connection string. */
  readonly adminUrl: string;
}

const ROOT = "/usr/lib/postgresql";
const NOBODY = 65534;

/** Folders with `initdb` and `postgres`, newest version last. */
export async function findServers(): Promise<readonly { version: number; bin: string }[]> {
  const found: { version: number; bin: string }[] = [];
  try {
    for await (const entry of Deno.readDir(ROOT)) {
      const bin = join(ROOT, entry.name, "bin");
      const there = await Deno.stat(join(bin, "postgres")).then(() => true, () => false);
      if (there && Number(entry.name) >= 14) found.push({ version: Number(entry.name), bin });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found.sort((a, b) => a.version - b.version);
}

/** Makes a cluster in a temporary folder and starts it on a free port. */
export async function startServer(bin: string): Promise<DebianServer> {
  const folder = await Deno.makeTempDir({ prefix: "kontract_server_" });
  const user = Deno.uid() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if (Deno.uid() === 0) await Deno.chown(folder, NOBODY, NOBODY);
  const data = join(folder, "data");
  const password = crypto.randomUUID();
  const secret = join(folder, "password");
  await Deno.writeTextFile(secret, password);
  if (Deno.uid() === 0) await Deno.chown(secret, NOBODY, NOBODY);
  const run = async (program: string, args: string[]): Promise<void> => {
    const output = await new Deno.Command(join(bin, program), {
      args,
      cwd: folder,
      ...user,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn().output();
    if (output.success) return;
    throw new Error(`${program} failed: ${new TextDecoder().decode(output.stderr)}`);
  };
  const port = freePort();
  const stop = async (): Promise<void> => {
    await run("pg_ctl", ["-D", data, "-m", "immediate", "-w", "stop"]).catch(() => {});
    await Deno.remove(folder, { recursive: true });
  };
  try {
    const auth = ["-A", "scram-sha-256", `--pwfile=${secret}`, "-U", "postgres", "-E", "UTF8"];
    await run("initdb", ["-D", data, "--no-sync", "--locale=C", ...auth]);
    const settings = `-p ${port} -k ${folder} -c listen_addresses=127.0.0.1 -c fsync=off ` +
      "-c max_connections=200";
    await run("pg_ctl", ["-D", data, "-l", join(folder, "log"), "-o", settings, "-w", "start"]);
  } catch (error) {
    await stop();
    throw error;
  }
  const adminUrl = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  return { adminUrl, [Symbol.asyncDispose]: stop };
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    return listener.addr.port;
  } finally {
    listener.close();
  }
}
