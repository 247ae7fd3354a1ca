/**
 * Which files of a front end's folder are public.
 *
 * @module
 */
import { relative, sep } from "node:path";
import { listFiles } from "./project.ts";

const CODE = /\.(?:[cm]?[jt]sx?|d\.ts)$/;
/** `.env`, `.git` and the like are never published; `.well-known` is meant to be. */
const HIDDEN = /(?:^|\/)\.(?!well-known\/)/;

/** Those of a folder, absolute, by their path in it; hidden ones are none. */
export async function publicFiles(folder: string): Promise<ReadonlyMap<string, string>> {
  const files = await listFiles(folder);
  return new Map(
    files.map((file) => [relative(folder, file).split(sep).join("/"), file] as const)
      .filter(([name]) => !HIDDEN.test(name)),
  );
}

/** Those that are published as they are: code is bundled. */
export async function copiedFiles(folder: string): Promise<ReadonlyMap<string, string>> {
  return new Map([...await publicFiles(folder)].filter(([name]) => !CODE.test(name)));
}
