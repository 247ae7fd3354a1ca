/**
 * Where a client keeps its session between calls, and how several tabs take turns.
 *
 * In a page: `localStorage`, one entry per app and gateway, with Web Locks around every change.
 * Elsewhere, or where the page may not store: memory. Tokens go nowhere else, never into a URL.
 *
 * @module
 */

/** A place for one short text per key. Give your own to keep sessions on a device or in a file. */
export interface ClientStorage {
  /** The text, or null. */
  get(key: string): string | null | Promise<string | null>;
  /** Stores the text; null removes it. */
  set(key: string, value: string | null): void | Promise<void>;
}

/** Lives as long as the client. */
export function memoryStorage(): ClientStorage {
  const values = new Map<string, string>();
  return {
    get: (key) => values.get(key) ?? null,
    set: (key, value) => {
      if (value === null) values.delete(key);
      else values.set(key, value);
    },
  };
}

/** `localStorage` in a page that may store, memory elsewhere. */
export function defaultStorage(): ClientStorage {
  const local = pageStorage();
  if (local === null) return memoryStorage();
  return {
    get: (key) => local.getItem(key),
    set: (key, value) => {
      if (value === null) local.removeItem(key);
      else local.setItem(key, value);
    },
  };
}

function pageStorage(): Storage | null {
  // Only a page: servers that define localStorage would share one session among their users.
  if (typeof document === "undefined") return null;
  try {
    const probe = "kontract/probe";
    localStorage.setItem(probe, "1");
    localStorage.removeItem(probe);
    return localStorage;
  } catch {
    return null; // storage is blocked or full
  }
}

/** Runs `work` while no other tab of the origin runs its own for `key`. */
export function exclusively<T>(key: string, work: () => Promise<T>): Promise<T> {
  return typeof navigator !== "undefined" && navigator.locks !== undefined &&
      typeof document !== "undefined"
    ? navigator.locks.request(key, work) as Promise<T>
    : work();
}
