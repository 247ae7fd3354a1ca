/**
 * Results that the client keeps for a while: those of read-only functions with `cache`.
 *
 * A key is the caller, the function and its arguments; a kept result is never older than the seconds of its
 * function, counted from the moment it was asked for. Everything kept is dropped, and what is under way is
 * not kept, when this client begins or ends a call that may write, signs in or out, is configured anew, or
 * hears an event. So a client always reads its own writes. What others write (also in another tab) is seen
 * after these seconds, or at once where the client follows the table.
 *
 * @module
 */

/** Results kept at most. */
const MAX_ENTRIES = 500;
/** Bytes of results and arguments kept at most. */
const MAX_BYTES = 2_000_000;

interface Entry {
  readonly bytes: Uint8Array;
  readonly askedAt: number;
  readonly size: number;
}

/** A store of results, one for each client. */
export class ResultCache {
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  #generation = 0;

  /** Drops everything. */
  clear(): void {
    this.#generation++;
    this.#entries.clear();
    this.#bytes = 0;
  }

  /** The kept result, or that of `ask`. Its bytes are the caller's own. */
  async through(
    subject: string,
    payload: Uint8Array,
    seconds: number,
    ask: () => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const key = `${subject} ${textOf(payload)}`;
    const askedAt = Date.now();
    const kept = this.#entries.get(key);
    // A clock that was set back makes nothing younger.
    if (kept !== undefined && askedAt >= kept.askedAt && askedAt < kept.askedAt + seconds * 1000) {
      return kept.bytes.slice();
    }
    this.#drop(key);
    const generation = this.#generation;
    const bytes = await ask();
    if (generation === this.#generation) this.#keep(key, bytes, askedAt);
    return bytes;
  }

  #keep(key: string, bytes: Uint8Array, askedAt: number): void {
    const size = key.length + bytes.length;
    if (size > MAX_BYTES / 10) return;
    this.#drop(key);
    this.#entries.set(key, { bytes: bytes.slice(), askedAt, size });
    this.#bytes += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_ENTRIES && this.#bytes <= MAX_BYTES) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.size;
  }
}

function textOf(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}
