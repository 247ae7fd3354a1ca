/**
 * What files were when something was made of them: the text of an app's own, time and size of any other,
 * which change by an update only.
 *
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { sep } from "node:path";
import { digest } from "./digest.ts";

/** Stamps by absolute file name. */
export type FileStamps = ReadonlyMap<string, string>;

/** Stamps of files as they are now. */
export function fileStamps(files: Iterable<string>, root: string): FileStamps {
  return new Map([...files].map((file) => [file, stampOf(file, root)]));
}

/** True where all files still are what they were. */
export function sameFiles(stamps: FileStamps, root: string): boolean {
  return [...stamps].every(([file, stamp]) => stampOf(file, root) === stamp);
}

function stampOf(file: string, root: string): string {
  try {
    if (file.startsWith(root + sep)) return digest([readFileSync(file, "latin1")], 32);
    const { mtimeMs, size } = statSync(file);
    return `${mtimeMs}:${size}`;
  } catch {
    return "";
  }
}
