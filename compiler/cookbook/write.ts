/**
 * Writing a cookbook into a folder that may hold other pages.
 *
 * Only files that the `cookbook.json` of an earlier run lists are removed. A folder that holds something
 * and no such list is somebody else's, and nothing is written.
 *
 * @module
 */
import { join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { writeFile } from "../output.ts";
import { COOKBOOK_INDEX, type CookbookFile } from "./mod.ts";

const PAGE = /^(?:functions\/)?[a-z0-9_-]+\.(?:md|json)$/;

/**
 * Brings `folder` to hold this cookbook. Returns how many files were written or removed.
 *
 * @throws {KontractError} `CONFIG` where the folder holds something else or cannot be written
 */
export async function writeCookbook(
  folder: string,
  files: readonly CookbookFile[],
): Promise<number> {
  try {
    const before = await listedFiles(folder);
    const now = new Set(files.map((file) => file.path));
    for (const path of now) {
      if (!before.includes(path) && await textOf(join(folder, path)) !== null) {
        refuse(folder, `a '${path}' that no cookbook wrote`);
      }
    }
    let changed = 0;
    for (const path of before.filter((one) => !now.has(one))) {
      if (await removed(join(folder, path))) changed++;
    }
    // The list last: while it is missing or old, every file it does not name is left alone.
    for (const { path, text } of files.toSorted((a) => a.path === COOKBOOK_INDEX ? 1 : -1)) {
      if (await writeFile(join(folder, path), text)) changed++;
    }
    return changed;
  } catch (error) {
    if (error instanceof KontractError) throw error;
    throw new KontractError("CONFIG", `The cookbook cannot be written to '${folder}'.`, {
      cause: error,
    });
  }
}

/** Files of the cookbook that is there; none for an absent or empty folder. */
async function listedFiles(folder: string): Promise<readonly string[]> {
  const list = await textOf(join(folder, COOKBOOK_INDEX));
  if (list === null) {
    if (!await isEmpty(folder)) refuse(folder);
    return [];
  }
  let files: unknown;
  try {
    files = (JSON.parse(list) as { readonly files?: unknown }).files;
  } catch {
    refuse(folder);
  }
  if (!Array.isArray(files)) refuse(folder);
  const pages = files.filter((one): one is string => typeof one === "string" && PAGE.test(one));
  return [...new Set([...pages, COOKBOOK_INDEX])];
}

function refuse(folder: string, what = "something that is no cookbook"): never {
  throw new KontractError(
    "CONFIG",
    `'${folder}' holds ${what}. Give an empty or new folder with --out.`,
  );
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function isEmpty(folder: string): Promise<boolean> {
  try {
    for await (const _ of Deno.readDir(folder)) return false;
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}

async function removed(path: string): Promise<boolean> {
  try {
    await Deno.remove(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
