/**
 * The data folder of the embedded PostgreSQL: made, found, taken over.
 *
 * Invariants: a folder with a `PG_VERSION` is complete (it was renamed into place after `initdb` had
 * ended); `kontract_password` in it holds the superuser's password; `kontract_owner` names the process
 * that started the server, so a server whose owner is gone can be told from one that is in use. In a folder
 * that a link leads to, `kontract_link` names the link.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import { KontractError } from "../_internal/errors.ts";
import { machineFolder } from "./postgres_binaries.ts";
import { identifyProcess, isSameProcess } from "./process/identity.ts";

/** User and group that the server runs as, where it cannot run as ourselves. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** The process a running server belongs to. */
export interface ClusterOwner {
  readonly pid: number;
  readonly started: string;
}

/** An initialised data folder that nobody serves at the moment. */
export interface ClusterFolder {
  readonly path: string;
  readonly password: string;
  readonly user: ServerUser | null;
  /** What `postmaster.pid` says, or null. */
  readPidFile(): Promise<{ readonly pid: number } | null>;
  /** Notes who started the server. */
  writeOwner(owner: ClusterOwner): Promise<void>;
}

/** `nobody` of every Linux distribution and of macOS' numbering for strangers. */
const NOBODY: ServerUser = { uid: 65534, gid: 65534 };
const TAKEOVER_MS = 15_000;

/** Who gets a new data folder and runs its server. Null: ourselves. Root may not run PostgreSQL. */
export function serverUser(): ServerUser | null {
  return Deno.build.os !== "windows" && Deno.uid() === 0 ? NOBODY : null;
}

/**
 * Opens the data folder, makes it where it is absent, and ends a server that was left behind in it.
 *
 * @throws {KontractError} `CONFIG` where a living process uses it, `DATABASE_UNAVAILABLE` where
 *   `initdb` fails.
 */
export async function openCluster(home: string, dataDir: string): Promise<ClusterFolder> {
  const newUser = serverUser();
  const path = await reachable(resolve(dataDir), newUser);
  if (!(await isFile(join(path, "PG_VERSION")))) await initialise(home, path, newUser);
  const user = newUser === null ? null : await ownerOf(path, newUser);
  await claim(resolve(dataDir), path, user);
  const password = (await Deno.readTextFile(join(path, "kontract_password"))).trim();
  await takeOver(path);
  return {
    path,
    password,
    user,
    readPidFile: () => readPidFile(path),
    writeOwner: (owner) => writePrivate(join(path, "kontract_owner"), JSON.stringify(owner), user),
  };
}

/** The folder itself, or where the server's user cannot reach it, one that it can, behind a link. */
async function reachable(dataDir: string, user: ServerUser | null): Promise<string> {
  await Deno.mkdir(dirname(dataDir), { recursive: true });
  const real = await Deno.realPath(dataDir).catch(() => null);
  if (real !== null) return real;
  // A link whose target is gone: the data are lost, the link is in the way.
  if (await Deno.lstat(dataDir).then((info) => info.isSymlink, () => false)) {
    await Deno.remove(dataDir);
  }
  const parent = await Deno.realPath(dirname(dataDir));
  if (user === null || await mayTraverse(parent, user)) return join(parent, basename(dataDir));
  const store = join(await machineFolder(), "data");
  await Deno.mkdir(store, { recursive: true, mode: 0o755 });
  const path = join(store, crypto.randomUUID());
  await Deno.symlink(path, dataDir);
  return path;
}

/** Refuses data of the machine folder that are another app's: a copy of that app has a copy of its link. */
async function claim(dataDir: string, path: string, user: ServerUser | null): Promise<void> {
  const store = await Deno.realPath(join(await machineFolder(), "data")).catch(() => null);
  if (dirname(path) !== store) return;
  const link = join(await Deno.realPath(dirname(dataDir)), basename(dataDir));
  const note = join(path, "kontract_link");
  const noted = await Deno.readTextFile(note).catch(() => null);
  if (noted === link) return;
  if (noted !== null && await Deno.realPath(noted).catch(() => null) === path) {
    throw new KontractError(
      "CONFIG",
      `'${link}' is a link to the data of '${noted}', as a copied app has it. Delete the link to ` +
        "begin with an empty database.",
    );
  }
  await writePrivate(note, link, user);
}

/** The owner of a data folder, as whom its server runs; what root has copied is given to `user`. */
async function ownerOf(path: string, user: ServerUser): Promise<ServerUser> {
  const { uid, gid } = await Deno.stat(path);
  const owner = uid === null || gid === null || uid === 0 ? user : { uid, gid };
  if (!(await mayTraverse(dirname(path), owner))) {
    throw new KontractError(
      "CONFIG",
      `PostgreSQL does not run as root, and user ${owner.uid}, whom the data in '${path}' are for, ` +
        "cannot reach that folder. Move the app to a place that others may enter, or delete the " +
        "folder to begin with an empty database.",
    );
  }
  if (uid !== owner.uid) await give(path, owner);
  return owner;
}

/** Links are left alone; the folder itself comes last, so what is cut off is begun again. */
async function give(path: string, user: ServerUser): Promise<void> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(path)) {
    const inner = join(path, name);
    if (isDirectory) await give(inner, user);
    else if (isFile) await Deno.chown(inner, user.uid, user.gid);
  }
  await Deno.chown(path, user.uid, user.gid);
}

/** True where every folder from the root down lets this user through. */
async function mayTraverse(folder: string, user: ServerUser): Promise<boolean> {
  for (let at = folder;; at = dirname(at)) {
    const info = await Deno.stat(at);
    const mode = info.mode ?? 0;
    const bit = info.uid === user.uid ? 0o100 : info.gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (dirname(at) === at) return true;
  }
}

async function initialise(home: string, path: string, user: ServerUser | null): Promise<void> {
  const partial = `${path}.${crypto.randomUUID()}`;
  const password = randomPassword();
  await Deno.mkdir(partial, { mode: 0o700 });
  try {
    if (user !== null) await Deno.chown(partial, user.uid, user.gid);
    // initdb wants an empty folder, so the password waits inside one level up from the data.
    const secret = join(partial, "password");
    const data = join(partial, "data");
    await writePrivate(secret, password, user);
    await runInitdb(home, data, secret, partial, user);
    await writePrivate(join(data, "kontract_password"), password, user);
    await Deno.rename(data, path);
  } catch (error) {
    // Somebody else may have finished the same folder first; theirs is as good.
    if (!(await isFile(join(path, "PG_VERSION")))) throw error;
  } finally {
    await Deno.remove(partial, { recursive: true }).catch(() => {});
  }
}

async function runInitdb(
  home: string,
  data: string,
  secret: string,
  cwd: string,
  user: ServerUser | null,
): Promise<void> {
  const args = ["-D", data, "-U", "postgres", `--pwfile=${secret}`, "--auth=scram-sha-256"];
  args.push("--encoding=UTF8", "--locale=C", "--locale-provider=builtin");
  args.push("--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions");
  let result: Deno.CommandOutput;
  try {
    result = await new Deno.Command(join(home, "bin", "initdb"), {
      args,
      cwd,
      clearEnv: Deno.build.os !== "windows",
      env: { LC_ALL: "C", PATH: "/usr/local/bin:/usr/bin:/bin" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      ...(user ?? {}),
    }).output();
  } catch (cause) {
    throw new KontractError(
      "UNSUPPORTED_PLATFORM",
      "The embedded PostgreSQL cannot be run on this system (its C library may be another one). " +
        "Set DATABASE_URL and DATABASE_ADMIN_URL to a PostgreSQL server of yours.",
      { cause },
    );
  }
  if (result.success) return;
  const output = new TextDecoder().decode(result.stderr).trim();
  // What it does about the failure comes last.
  const lines = output.split("\n").filter((line) => !line.startsWith("initdb: removing"));
  const reason = lines.findLast((line) => /error|FATAL|PANIC|denied/.test(line)) ?? lines.at(-1);
  throw new KontractError(
    "DATABASE_UNAVAILABLE",
    `The data folder of PostgreSQL could not be made: ${reason}`,
    { cause: output },
  );
}

/** Ends a server whose owner is gone; refuses where the owner lives. */
async function takeOver(path: string): Promise<void> {
  const file = await readPidFile(path);
  if (file === null) return;
  const server = await identifyProcess(file.pid);
  const ours = server !== null && server.command.includes("postgres") &&
    server.command.includes(path);
  if (!ours) {
    // On Windows nothing is known of a process; PostgreSQL itself decides there.
    if (Deno.build.os !== "windows") await Deno.remove(join(path, "postmaster.pid"));
    return;
  }
  const owner = await readOwner(path);
  if (owner !== null && await isSameProcess(owner.pid, owner.started)) {
    throw new KontractError(
      "CONFIG",
      `The database in '${path}' is in use by process ${owner.pid}. Stop that one first.`,
    );
  }
  Deno.kill(file.pid, "SIGINT");
  const until = Date.now() + TAKEOVER_MS;
  while (await isSameProcess(file.pid, server.started)) {
    if (Date.now() > until) Deno.kill(file.pid, "SIGKILL");
    await new Promise((done) => setTimeout(done, 20));
  }
}

async function readPidFile(path: string): Promise<{ readonly pid: number } | null> {
  const text = await Deno.readTextFile(join(path, "postmaster.pid")).catch(() => "");
  const pid = Number.parseInt(text, 10);
  return Number.isInteger(pid) && pid > 0 ? { pid } : null;
}

async function readOwner(path: string): Promise<ClusterOwner | null> {
  try {
    const value: unknown = JSON.parse(await Deno.readTextFile(join(path, "kontract_owner")));
    if (typeof value !== "object" || value === null) return null;
    const { pid, started } = value as Partial<ClusterOwner>;
    return typeof pid === "number" && typeof started === "string" ? { pid, started } : null;
  } catch {
    return null;
  }
}

async function writePrivate(path: string, text: string, user: ServerUser | null): Promise<void> {
  await Deno.writeTextFile(path, text, { mode: 0o600 });
  if (user !== null) await Deno.chown(path, user.uid, user.gid);
}

function randomPassword(): string {
  return crypto.getRandomValues(new Uint8Array(24)).toHex();
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}
