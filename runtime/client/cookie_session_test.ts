import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import { cookieSession } from "./cookie_session.ts";

/** What an auth function comes to where this is the network. */
async function outcome(answer: () => Response, once: boolean): Promise<unknown> {
  const fetch = () => new Promise<Response>((resolve) => resolve(answer()));
  const gateway = { url: "http://gateway.test", tenant: undefined, timeout: 1000, fetch };
  return await cookieSession(gateway).auth("verifyEmail", null, once).catch((error: unknown) => {
    assert.ok(error instanceof KontractError, String(error));
    return error.code;
  });
}

Deno.test("with cookies an auth function without the gateway's answer is OUTCOME_UNKNOWN where it may not run twice", async () => {
  const none: readonly (() => Response)[] = [
    () => {
      throw new TypeError("connection reset");
    },
    () => new Response("<html>bad gateway</html>", { status: 502 }),
    () => new Response("<html>sign in</html>"),
    () => Response.json({ error: null }, { status: 503 }),
  ];
  for (const answer of none) {
    assert.equal(await outcome(answer, true), "OUTCOME_UNKNOWN");
    assert.equal(await outcome(answer, false), "NETWORK");
  }
});

Deno.test("with cookies an answer that never ends is read no further than a limit", async () => {
  let read = 0;
  const endless = (): Response =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull(controller): void {
          if ((read += 1 << 16) > 1 << 24) controller.close();
          else controller.enqueue(new Uint8Array(1 << 16).fill(0x20));
        },
      }),
    );
  assert.equal(await outcome(endless, true), "OUTCOME_UNKNOWN");
  assert.ok(read < 1 << 22, `${read} bytes`);
  const claims = () => new Response("1", { headers: { "content-length": "999999999" } });
  assert.equal(await outcome(claims, false), "NETWORK");
});

Deno.test("with cookies the gateway's answers are its results, and its refusals its errors", async () => {
  const error = { code: "RATE_LIMITED", message: "Too many." };
  for (const once of [true, false]) {
    assert.deepEqual(await outcome(() => Response.json({ a: 1 }), once), { a: 1 });
    assert.equal(await outcome(() => new Response(null, { status: 204 }), once), null);
    assert.equal(await outcome(() => Response.json({ error }, { status: 429 }), once), error.code);
  }
});
