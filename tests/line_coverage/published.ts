/**
 * The files whose lines are counted. As a program it imports them all, so that what no test loads is in the
 * report too.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const root: string = fileURLToPath(new URL("../..", import.meta.url));

const FOLDERS = [
  "_internal",
  "auth",
  "cli",
  "compiler",
  "events",
  "protocol",
  "runtime",
  "storage",
];
const OTHERS = /_test\.ts$|\/testing\/|\/testdata\/|\/template\//;

/** True for a module of the package, named from the repository. */
export function isPublished(file: string): boolean {
  const [folder = ""] = file.split("/");
  return (FOLDERS.includes(folder) || /^(?:mod|cli)\.ts$/.test(file)) && !OTHERS.test(file);
}

/** All TypeScript files below a folder of the repository. */
async function sources(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(join(root, folder)));
  const found = entries.map(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return sources(path);
    return Promise.resolve(name.endsWith(".ts") ? [path] : []);
  });
  return (await Promise.all(found)).flat();
}

if (import.meta.main) {
  const found = await Promise.all(FOLDERS.map(sources));
  for (const file of ["mod.ts", "cli.ts", ...found.flat()].filter(isPublished)) {
    // A program that is loaded without its arguments may fail; it is loaded all the same.
    await import(new URL(`../../${file}`, import.meta.url).href).catch(() => {});
  }
}
