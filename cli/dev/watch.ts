/**
 * Watches an app's sources and says when something has settled.
 *
 * What Kontract writes itself is not a change: `dist`, `.kontract`, and everything whose name starts with
 * a dot but `.well-known`, which a front end publishes. Editors write a file in several steps, so changes
 * are gathered until none has come for a moment. What an app imports from beside its folder is watched
 * as well (`watch_outside.ts`).
 *
 * @module
 */
import { relative, sep } from "node:path";
import { OutsideFiles } from "./watch_outside.ts";

/** Milliseconds without a change after which a file counts as whole. */
export const SETTLE_MS = 20;
/** At the app's top; a folder of this name further inside is the author's. */
const IGNORED = new Set(["dist", "coverage", "kontract.lock.json"]);

/** True for a path whose change may change the app. */
export function isSource(root: string, path: string): boolean {
  const parts = relative(root, path).split(sep);
  return !IGNORED.has(parts[0]!) &&
    parts.every((part) =>
      part === ".well-known" || part !== "node_modules" && !part.startsWith(".")
    ) && !/(~|\.swp|\.tmp)$/.test(path);
}

/** Who hears of changes. */
export interface Watching {
  /** Called at the first sign of a burst. */
  readonly begun: () => void;
  /** Called after each burst, one call at a time. */
  readonly changed: () => Promise<void>;
  /** Files outside of the app's folder that the last build has asked for, absolute. */
  readonly outside: () => readonly string[];
}

/** Tells of changes until the signal is aborted; `since` is when the last build began. */
export async function watchSources(
  root: string,
  { begun, changed, outside }: Watching,
  since: number,
  signal: AbortSignal,
): Promise<void> {
  let dirty = false;
  let running: Promise<void> | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = async (): Promise<void> => {
    while (dirty && !signal.aborted) {
      dirty = false;
      const began = Date.now();
      await changed();
      others.follow(outside(), began);
    }
    running = null;
  };
  const saw = (): void => {
    if (signal.aborted) return;
    if (!dirty) begun();
    dirty = true;
    clearTimeout(timer);
    timer = setTimeout(() => running ??= run(), SETTLE_MS);
  };
  const watcher = Deno.watchFs(root, { recursive: true });
  signal.addEventListener("abort", () => watcher.close(), { once: true });
  using others = new OutsideFiles(saw);
  others.follow(outside(), since);
  for await (const event of watcher) {
    if (event.kind !== "access" && event.paths.some((path) => isSource(root, path))) saw();
  }
  clearTimeout(timer);
  await running;
}
