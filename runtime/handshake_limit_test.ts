import assert from "node:assert/strict";
import { withNotes } from "./testing/notes_server.ts";

Deno.test("handshakes are limited by address, over HTTP and WebSocket together", async () => {
  await withNotes(async ({ server }) => {
    const from = (hostname: string): Deno.ServeHandlerInfo => ({
      remoteAddr: { transport: "tcp", hostname, port: 1 },
      completed: Promise.resolve(),
    });
    // Looks like the start of a handshake: what comes after the limit would be the costly part.
    const init = new Uint8Array(64);
    init.set([1, 1]);
    const handshake = async (hostname: string): Promise<number> => {
      const response = await server.fetch(
        new Request("http://app.test/raystream", {
          method: "POST",
          headers: { "content-type": "application/raystream" },
          body: init,
        }),
        from(hostname),
      );
      await response.body?.cancel();
      return response.status;
    };
    const upgrade = async (hostname: string): Promise<Response> =>
      await server.fetch(
        new Request("http://app.test/raystream", { headers: { upgrade: "websocket" } }),
        from(hostname),
      );
    const seen: number[] = [];
    // Ten a second come back meanwhile, on a slow machine many.
    for (let i = 0; i < 5000 && !seen.includes(429); i++) seen.push(await handshake("192.0.2.1"));
    assert.ok(seen.length > 600, `refused after ${seen.length}`);
    assert.deepEqual([...new Set(seen)], [400, 429]);
    let sameNetwork = 0;
    for (let i = 0; i < 50 && sameNetwork !== 429; i++) {
      while (await handshake("2001:db8::1") !== 429);
      sameNetwork = (await upgrade("2001:db8::2")).status;
    }
    assert.equal(sameNetwork, 429, "the same /64");
    assert.equal(await handshake("192.0.2.2"), 400, "another address is another's");
  });
});
