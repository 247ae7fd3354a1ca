/**
 * Tells whether `dist` still is what a build would make, so that a second `start` need not build.
 *
 * After a build the stamp notes every local file of the module graph (the package's own included, and
 * whatever an app imports from beside its folder), every source file in the app's folder, and what was
 * written; each with size and time of change. Anything added, changed or missing, another Deno, other
 * keys or hosts: no match. When in doubt there is none, and the app is built.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Manifest } from "../../_internal/manifest.ts";
import { VERSION } from "../version.ts";
import type { AppFolder } from "./app_folder.ts";
import type { HostName } from "./host.ts";
import { isSource } from "./watch.ts";

/** What a build was made for. */
export interface BuildPurpose {
  readonly hosts: readonly HostName[];
  readonly pins: readonly string[];
}

interface Stamp {
  readonly purpose: string;
  /** Absolute path → size and time of change. */
  readonly files: Readonly<Record<string, string>>;
}

/** The manifest of the build in `dist` where nothing has changed since; null otherwise. */
export async function unchangedBuild(
  app: AppFolder,
  purpose: BuildPurpose,
): Promise<Manifest | null> {
  try {
    const stamp: Stamp = JSON.parse(await Deno.readTextFile(stampFile(app)));
    if (stamp.purpose !== purposeText(purpose)) return null;
    const now = await fingerprints([
      ...Object.keys(stamp.files),
      ...await filesBelow(app.root, (path) => isSource(app.root, path)),
    ]);
    if (JSON.stringify(sorted(now)) !== JSON.stringify(sorted(stamp.files))) return null;
    return JSON.parse(await Deno.readTextFile(join(app.dist, "manifest.json")));
  } catch {
    return null;
  }
}

/** Notes what the build in `dist` was made from. `began`: a file changed since then is in doubt. */
export async function stampBuild(
  app: AppFolder,
  purpose: BuildPurpose,
  began: number,
): Promise<void> {
  await Deno.remove(stampFile(app)).catch(() => {});
  const graph = await graphFiles(app);
  if (graph === null) return;
  const sources = [
    ...graph,
    ...await compilerFiles(),
    ...await filesBelow(app.root, (path) => isSource(app.root, path)),
  ];
  for (const path of sources) {
    const { mtime } = await Deno.stat(path);
    if (mtime === null || mtime.getTime() >= began) return;
  }
  const built = await filesBelow(app.dist, (path) => path !== join(app.dist, "wrangler.jsonc"));
  const files = await fingerprints([...sources, ...built]);
  const stamp: Stamp = { purpose: purposeText(purpose), files };
  await Deno.writeTextFile(stampFile(app), JSON.stringify(stamp));
}

function stampFile(app: AppFolder): string {
  return join(app.own, "built.json");
}

function purposeText(purpose: BuildPurpose): string {
  const hosts = [...purpose.hosts].sort();
  return JSON.stringify([VERSION, Deno.version.deno, hosts, purpose.pins]);
}

async function fingerprints(paths: readonly string[]): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  await Promise.all([...new Set(paths)].map(async (path) => {
    const { size, mtime } = await Deno.stat(path);
    found[path] = `${size} ${mtime?.getTime()}`;
  }));
  return found;
}

function sorted(files: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(files).sort(([a], [b]) => a < b ? -1 : 1);
}

async function filesBelow(folder: string, wanted: (path: string) => boolean): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (!wanted(path)) continue;
    if (entry.isDirectory) found.push(...await filesBelow(path, wanted));
    else found.push(path);
  }
  return found;
}

/** The compiler itself, where the package is a folder on this machine. */
async function compilerFiles(): Promise<string[]> {
  const folder = new URL("../../compiler/", import.meta.url);
  if (folder.protocol !== "file:") return [];
  return await filesBelow(fileURLToPath(folder), (path) => !path.endsWith("_test.ts"));
}

/** Local files of the compiler's last graph, or null where Deno does not tell. */
async function graphFiles(app: AppFolder): Promise<string[] | null> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", join(app.own, "graph.ts")],
    cwd: app.root,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  if (!success) return null;
  const { modules }: { modules: readonly { specifier: string }[] } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  return modules
    .filter(({ specifier }) => specifier.startsWith("file:"))
    .map(({ specifier }) => fileURLToPath(specifier))
    .filter((path) => !path.startsWith(app.own) && !path.startsWith(app.dist));
}
