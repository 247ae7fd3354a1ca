/**
 * A response body that several producers write into, with back-pressure and one notice when the reader
 * has gone.
 *
 * @module
 */
import { type Bytes, concat } from "./bytes.ts";

// Sealed bytes that may wait for a slow reader. As many again are the host's, which takes the next chunk before the
// one before has left. Twice as much is no quicker, and 1,000 readers that read nothing held half as much again.
const HIGH_WATER = 128 << 10;

/** Writers in, one byte stream out. What is written in one turn leaves as one chunk. */
export class FrameOutlet {
  /** For the Response. */
  readonly body: ReadableStream<Bytes>;
  #controller: ReadableStreamDefaultController<Bytes> | null = null;
  #parts: Bytes[] = [];
  #waiting: (() => void)[] = [];
  #held = 0;
  #scheduled = false;

  /** `onCancel` runs once, when the reader goes away before {@link end}. */
  constructor(onCancel: () => void) {
    this.body = new ReadableStream<Bytes>({
      start: (controller): void => {
        this.#controller = controller;
      },
      pull: (): void => this.#release(),
      cancel: (): void => {
        this.#controller = null;
        this.#parts = [];
        onCancel();
        this.#release();
      },
    }, { highWaterMark: HIGH_WATER, size: (chunk) => chunk.length });
  }

  /** True after the reader went away or the body ended. */
  get closed(): boolean {
    return this.#controller === null;
  }

  /** Puts `chunk` into the body; resolves when there is room for more. */
  async write(chunk: Bytes): Promise<void> {
    if (this.#controller === null) return;
    this.#parts.push(chunk);
    if (!this.#scheduled) {
      this.#scheduled = true;
      setTimeout(() => this.#flush(), 0);
    }
    this.#held += chunk.length;
    if ((this.#controller.desiredSize ?? 0) > this.#held) return;
    this.#flush();
    if ((this.#controller?.desiredSize ?? 1) > 0) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Ends the body in good order. */
  end(): void {
    this.#flush();
    this.#controller?.close();
    this.#controller = null;
    this.#release();
  }

  /** Breaks the body off: the reader sees an error, never a clean end. */
  fail(): void {
    this.#controller?.error(new Error("raystream: the body was broken off"));
    this.#controller = null;
    this.#release();
  }

  #flush(): void {
    this.#scheduled = false;
    const parts = this.#parts;
    this.#parts = [];
    this.#held = 0;
    if (parts.length > 0) this.#controller?.enqueue(concat(...parts));
  }

  #release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
