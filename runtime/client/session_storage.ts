/**
 * Where a client keeps its session between calls, and how several tabs take turns.
 *
 * In a page: `localStorage`, one entry per app and gateway, with Web Locks around every renewal. What a
 * tab reads there may lag behind another tab's write (browsers copy it between processes after the
 * fact), which does for calls but not for renewals: a refresh token would be used twice. So every write
 * also goes to IndexedDB, whose committed state all tabs see, and {@link ClientStorage.latest} reads that.
 * Elsewhere, or where the page may not store: memory. Tokens go nowhere else, never into a URL.
 *
 * @module
 */

/** A place for one short text per key. Give your own to keep sessions on a device or in a file. */
export interface ClientStorage {
  /** The text, or null; may lag behind another tab. */
  get(key: string): string | null | Promise<string | null>;
  /** Stores the text; null removes it. */
  set(key: string, value: string | null): void | Promise<void>;
  /** The text as the last `set` anywhere left it. Missing: `get` is never behind. */
  latest?(key: string): Promise<string | null>;
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

/** The page's own storage where it may store, memory elsewhere. */
export function defaultStorage(): ClientStorage {
  const local = pageStorage();
  if (local === null) return memoryStorage();
  return {
    get: (key) => local.getItem(key),
    async set(key, value): Promise<void> {
      await inDatabase("readwrite", (store) => store.put(value, key)).catch(() => undefined);
      if (value === null) local.removeItem(key);
      else local.setItem(key, value);
    },
    latest: (key) =>
      inDatabase("readonly", (store) => store.get(key)).then(
        // Never written there: a session from before, or a database that was cleared.
        (value) => value === undefined ? local.getItem(key) : value as string | null,
        () => local.getItem(key),
      ),
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

const STORE = "sessions";

/** One committed operation. The database is opened for it alone, so no tab ever blocks another. */
function inDatabase(
  mode: IDBTransactionMode,
  operation: (store: IDBObjectStore) => IDBRequest,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("kontract", 1);
    opening.onupgradeneeded = (): void => {
      opening.result.createObjectStore(STORE);
    };
    opening.onerror = (): void => reject(opening.error);
    opening.onsuccess = (): void => {
      const database = opening.result;
      try {
        const transaction = database.transaction(STORE, mode);
        const request = operation(transaction.objectStore(STORE));
        transaction.oncomplete = (): void => resolve(request.result);
        transaction.onabort = (): void => reject(transaction.error);
      } catch (error) {
        reject(error);
      } finally {
        database.close(); // takes effect once the transaction has ended
      }
    };
  });
}

/** Runs `work` while no other tab of the origin runs its own for `key`. */
export function exclusively<T>(key: string, work: () => Promise<T>): Promise<T> {
  return typeof document !== "undefined" && navigator.locks !== undefined
    ? navigator.locks.request(key, work) as Promise<T>
    : work();
}
