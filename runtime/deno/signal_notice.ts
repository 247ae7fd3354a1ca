/**
 * Keeps one notice of Deno's out of the app's output.
 *
 * The first answered request whose `signal` somebody has touched makes `Deno.serve` warn, once per process, that
 * the signal of an answered request aborts too. Whoever watches for visitors that leave has to touch it, and stops
 * listening before the answer goes.
 *
 * @module
 */

const NOTICE = "Deno.serve: request.signal aborts on successful responses";

let hushed = false;

/** Drops the notice when it comes; all other warnings pass. */
export function hushSignalNotice(): void {
  if (hushed) return;
  hushed = true;
  const { warn } = console;
  const filter = (...data: unknown[]): void => {
    if (typeof data[0] !== "string" || !data[0].startsWith(NOTICE)) return warn(...data);
    // It comes once. Who has put something else there since then keeps it.
    if (console.warn === filter) console.warn = warn;
  };
  console.warn = filter;
}
