/**
 * A pause that a signal ends early. Leaves no timer and no listener behind.
 *
 * @module
 */

/** Resolves after `ms`, or with the signal. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

/** As {@link pause}; in a browser it also ends when the page is online or visible again. */
export async function pauseAway(ms: number, signal: AbortSignal): Promise<void> {
  if (typeof document === "undefined" || signal.aborted) return await pause(ms, signal);
  const back = new AbortController();
  const done = (): void => {
    if (document.visibilityState !== "hidden") back.abort();
  };
  const heard = { signal: back.signal };
  signal.addEventListener("abort", () => back.abort(), heard);
  // What is told to the document comes to the window, too.
  for (const event of ["online", "visibilitychange"]) {
    globalThis.addEventListener(event, done, heard);
  }
  await pause(ms, back.signal);
  back.abort();
}
