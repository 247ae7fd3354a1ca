import assert from "node:assert/strict";
import { Front } from "../../cli/dev/front.ts";
import { withNotes } from "../testing/notes_server.ts";

/** The whole answer to a request whose Host header is `host`, byte by byte. */
async function ask(port: number, host: string, more = ""): Promise<string> {
  const connection = await Deno.connect({ port, hostname: "127.0.0.1" });
  const text = `GET /health HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`;
  await connection.write(Uint8Array.from(text, (char) => char.charCodeAt(0)));
  return await new Response(connection.readable).text();
}

const NO_HOSTS = [
  "a b",
  "[::1",
  "%zz",
  "a:99999999",
  "a:b",
  "x\xc2\x80y",
  "<x>",
  "a/b",
  "a?b",
  "a#b",
];
const UPGRADE = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";

Deno.test("a Host header that names no host is a typed 400", async () => {
  await withNotes(async ({ server, log }) => {
    await using http = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      (request, info) => server.fetch(request, info),
    );
    for (const host of [...NO_HOSTS, "user@x", "a\\b"]) {
      for (const more of ["", UPGRADE]) {
        const answer = await ask(http.addr.port, host, more);
        assert.match(answer, /^HTTP\/1\.1 400 /, host);
        assert.match(answer, /"code":"BAD_REQUEST"/, host);
      }
    }
    for (const host of ["", "app.test", "app.test:80", "[::1]:8080"]) {
      assert.match(await ask(http.addr.port, host), /^HTTP\/1\.1 200 /, host);
    }
    assert.ok(log.every((line) => !line.includes("INTERNAL")), log.join("\n"));
  });
});

Deno.test("the dev server's front says the same", async () => {
  for (const reload of [true, false]) {
    const front = new Front({ hostname: "127.0.0.1", port: 0, publicFolder: "/none", reload });
    try {
      for (const host of NO_HOSTS) {
        const answer = await ask(Number(new URL(front.url).port), host);
        assert.match(answer, /^HTTP\/1\.1 400 [^]*"code":"BAD_REQUEST"/, host);
      }
    } finally {
      await front.close();
    }
  }
});
