/**
 * A part of the server that is loaded by whoever asks for it first, so that a start does not pay for it.
 *
 * What is kept is the part, never the pending promise: on Workers one request must not wait for what another,
 * perhaps cancelled, has begun. Two that ask first at once both wait for the module, and share the part.
 *
 * @module
 */

/** One part. */
export class Lazy<Part extends object> {
  readonly #load: () => Promise<() => Part>;
  #part: Part | undefined;

  /** `load` imports what the part is made with, and gives the way to make it. */
  constructor(load: () => Promise<() => Part>) {
    this.#load = load;
  }

  /** The part. Rejects with what loading or making it throws; the next one to ask tries again. */
  async get(): Promise<Part> {
    if (this.#part !== undefined) return this.#part;
    const make = await this.#load();
    return this.#part ??= make();
  }

  /** The part, where somebody has asked for it. */
  get loaded(): Part | undefined {
    return this.#part;
  }
}
