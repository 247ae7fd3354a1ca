import assert from "node:assert/strict";
import { NOTES_APP } from "../testing/notes_app.ts";
import { createServer } from "./mod.ts";

/** Status and body of what `lines` get, as they stand, from a host at `port`. */
async function answerTo(port: number, lines: readonly string[]): Promise<[string, string]> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const text = [...lines, "Connection: close, Upgrade", "", ""].join("\r\n");
  await connection.write(new TextEncoder().encode(text));
  const answer = await new Response(connection.readable).text();
  return [answer.split(" ", 2)[1] ?? "", answer.slice(answer.indexOf("\r\n\r\n") + 4)];
}

Deno.test("an upgrade that is no handshake of a WebSocket is a typed 400", async () => {
  const settings: Record<string, string> = {
    DATABASE_URL: "postgres://gateway:pw@127.0.0.1:1/none",
    KONTRACT_SECRET: new Uint8Array(32).fill(7).toBase64({ alphabet: "base64url" }),
  };
  const server = createServer(NOTES_APP, {
    env: (name) => settings[name],
    public: null,
    logSink: () => {},
  });
  const host = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, info) => server.fetch(request, info),
  );
  try {
    for (const more of [[], ["Sec-WebSocket-Version: 13"]]) {
      const [status, body] = await answerTo(host.addr.port, [
        "GET /raystream HTTP/1.1",
        "Host: app.test",
        "Upgrade: websocket",
        ...more,
      ]);
      assert.equal(status, "400");
      assert.match(body, /"code":"BAD_REQUEST"/);
    }
  } finally {
    await host.shutdown();
    await server.close();
  }
});
