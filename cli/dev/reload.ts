/**
 * Tells open pages that something new is there: an event stream and the script that follows it.
 *
 * The script is inline and only `dev` adds it; a page whose policy forbids inline scripts is served all the
 * same and reloads by hand.
 *
 * @module
 */

/** Where the stream is. */
export const RELOAD_PATH = "/__kontract/reload";

const encoder = new TextEncoder();

/** All pages that are open now. */
export class ReloadFeed {
  #followers = new Set<ReadableStreamDefaultController<Uint8Array>>();
  #generation = crypto.randomUUID();

  /** Follows the stream; a page reloads when the generation differs from the one it was loaded with. */
  get script(): string {
    return `<script>new EventSource("${RELOAD_PATH}").addEventListener("generation",(e)=>{` +
      `if(e.data!=="${this.#generation}")location.reload()})</script>`;
  }

  /** A stream for one page. */
  follow(): Response {
    let own: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        own = controller;
        this.#followers.add(controller);
        controller.enqueue(this.#message());
      },
      cancel: () => {
        this.#followers.delete(own);
      },
    });
    return new Response(body, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  }

  /** There is something new to see. */
  changed(): void {
    this.#generation = crypto.randomUUID();
    for (const follower of this.#followers) follower.enqueue(this.#message());
  }

  /** Ends all streams. */
  close(): void {
    for (const follower of this.#followers) follower.close();
    this.#followers.clear();
  }

  #message(): Uint8Array {
    return encoder.encode(`retry: 500\nevent: generation\ndata: ${this.#generation}\n\n`);
  }
}
