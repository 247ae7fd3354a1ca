/**
 * Watches an app's sources and says when something has settled.
 *
 * What Kontract writes itself is not a change: `dist`, `.kontract`, and everything whose name starts with
 * a dot but `.well-known`, which a front end publishes; nor is `deno.lock` while a build may have Deno
 * write it. Editors write a file in several steps, so changes are gathered until none has come for a
 * moment. Work may begin before that, and asks whether it was in vain. What an app imports from beside its
 * folder is watched as well (`watch_outside.ts`).
 *
 * @module
 */
import { join, relative, sep } from "node:path";
import { SETTLE_MS } from "../../compiler/file_texts.ts";
import { OutsideFiles } from "./watch_outside.ts";

/** Milliseconds without a change after which work on what is there begins: most files are whole by then. */
const BEGIN_MS = 3;
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
  /**
   * Called once for each burst, one call at a time, and soon: `isWhole` resolves when no change has come for
   * {@link SETTLE_MS}, and is false where one has come since the call. Then, and where this resolves to false, it is
   * called again after the burst.
   */
  readonly changed: (isWhole: () => Promise<boolean>) => Promise<boolean>;
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
  let last = 0;
  /** True while a build runs that has found all files whole, and may have asked Deno. */
  let asking = false;
  const quiet = async (): Promise<void> => {
    await pause(SETTLE_MS);
    while (performance.now() < last + SETTLE_MS) await pause(last + SETTLE_MS - performance.now());
  };
  const isWhole = async (): Promise<boolean> => {
    // Who asks may have kept this thread for longer than that: what was seen meanwhile comes first.
    for (let turn = 0; turn < 2; turn++) await pause(0);
    while (!dirty && performance.now() < last + SETTLE_MS) {
      await pause(last + SETTLE_MS - performance.now());
    }
    return asking = !dirty;
  };
  const run = async (): Promise<void> => {
    while (dirty && !signal.aborted) {
      dirty = false;
      const began = Date.now();
      if (!await changed(isWhole)) dirty = true;
      asking = false;
      others.follow(outside(), began);
      if (dirty) await quiet();
    }
    running = null;
  };
  const saw = (): void => {
    if (signal.aborted) return;
    if (!dirty) begun();
    dirty = true;
    last = performance.now();
    clearTimeout(timer);
    timer = setTimeout(() => running ??= run(), BEGIN_MS);
  };
  const lock = join(root, "deno.lock");
  const watcher = Deno.watchFs(root, { recursive: true });
  signal.addEventListener("abort", () => watcher.close(), { once: true });
  using others = new OutsideFiles(saw);
  others.follow(outside(), since);
  for await (const event of watcher) {
    if (event.kind === "access") continue;
    if (event.paths.some((path) => isSource(root, path) && !(asking && path === lock))) saw();
  }
  clearTimeout(timer);
  await running;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
