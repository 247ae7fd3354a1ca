import assert from "node:assert/strict";
import { hushSignalNotice } from "./signal_notice.ts";

Deno.test("Deno's notice about signals is dropped, and nothing else is", async () => {
  const { warn } = console;
  const said: unknown[][] = [];
  console.warn = (...data: unknown[]) => void said.push(data);
  try {
    hushSignalNotice();
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      request.signal.addEventListener("abort", () => {});
      return new Response("answered");
    });
    await (await fetch(`http://127.0.0.1:${server.addr.port}`)).text();
    await server.shutdown();
    console.warn("of the app", 1);
    assert.deepEqual(said, [["of the app", 1]]);
  } finally {
    console.warn = warn;
  }
});
