import assert from "node:assert/strict";
import { BODY_PACE } from "../protocol/request_body.ts";
import { readBytes } from "./json_body.ts";

const QUICK = { bytes: 16, milliseconds: 5 };

function upload(body: ReadableStream<Uint8Array>): Request {
  return new Request("http://app.test/rpc/f", { method: "POST", body });
}

Deno.test("a body that never ends is given up, and who sends on is told to stop", async () => {
  const stopped = Promise.withResolvers<void>();
  let sender: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => void (sender = controller),
    cancel: () => stopped.resolve(),
  });
  await assert.rejects(
    readBytes(upload(body), 1024, QUICK),
    { name: "KontractError", code: "TOO_SLOW", message: /16 bytes of it, or its end, .* 5 mill/ },
  );
  sender!.enqueue(new TextEncoder().encode("["));
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
  assert.equal(new TextDecoder().decode(await readBytes(upload(body), 1024, BODY_PACE)), "[1,2]");
});

Deno.test("a body of a claimed length that stops coming is given up too", async () => {
  const request = new Request("http://app.test/rpc/f", {
    method: "POST",
    headers: { "content-length": "10" },
    body: new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("[")),
    }),
  });
  await assert.rejects(readBytes(request, 1024, QUICK), { code: "TOO_SLOW" });
});

Deno.test("a body larger than allowed is refused, whatever it claims", async () => {
  for (const claimed of [undefined, "3", "2000"]) {
    const headers: HeadersInit = claimed === undefined ? {} : { "content-length": claimed };
    const init = { method: "POST", headers, body: new Uint8Array(1025) };
    await assert.rejects(
      readBytes(new Request("http://app.test/rpc/f", init), 1024, BODY_PACE),
      { code: "TOO_LARGE" },
    );
  }
});
