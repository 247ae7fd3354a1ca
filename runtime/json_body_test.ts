import assert from "node:assert/strict";
import { readBytes } from "./json_body.ts";

function upload(body: ReadableStream<Uint8Array>): Request {
  return new Request("http://app.test/rpc/f", { method: "POST", body });
}

Deno.test("a body that never ends is given up, and its sender is told to stop", async () => {
  const stopped = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("[")),
    cancel: () => stopped.resolve(),
  });
  await assert.rejects(
    readBytes(upload(body), 1024, 5),
    { name: "KontractError", code: "BAD_REQUEST", message: /took longer than 5 milliseconds/ },
  );
  await stopped.promise;
});

Deno.test("a body in pieces is read whole, and its deadline does not outlive it", async () => {
  const body = new ReadableStream<Uint8Array>({
    start(controller): void {
      for (const piece of ["[1", ",2", "]"]) controller.enqueue(new TextEncoder().encode(piece));
      controller.close();
    },
  });
  // A timer that was left behind would fail this test: Deno looks for it.
  assert.equal(new TextDecoder().decode(await readBytes(upload(body), 1024)), "[1,2]");
});

Deno.test("a body of a claimed length that stops coming is given up too", async () => {
  const request = new Request("http://app.test/rpc/f", {
    method: "POST",
    headers: { "content-length": "10" },
    body: new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("[")),
    }),
  });
  await assert.rejects(readBytes(request, 1024, 5), {
    code: "BAD_REQUEST",
    message: /took longer/,
  });
});

Deno.test("a body larger than allowed is refused, whatever it claims", async () => {
  for (const claimed of [undefined, "3", "2000"]) {
    const headers: HeadersInit = claimed === undefined ? {} : { "content-length": claimed };
    const init = { method: "POST", headers, body: new Uint8Array(1025) };
    await assert.rejects(
      readBytes(new Request("http://app.test/rpc/f", init), 1024),
      { code: "TOO_LARGE" },
    );
  }
});
