import assert from "node:assert/strict";
import { outerFailure } from "../../protocol/frames.ts";
import { NOTES_APP } from "../testing/notes_app.ts";
import { createServer } from "./mod.ts";

const SEALED = String.fromCharCode(...outerFailure());

for (
  const { path, type, answer } of [
    { path: "/raystream", type: "application/raystream", answer: SEALED },
    { path: "/auth/anonymous", type: "application/json", answer: '"code":"TOO_SLOW"' },
  ]
) {
  Deno.test(`who drips a body to ${path} is answered, and its connection ends with what it sends next`, async () => {
    await serving(async (port) => {
      for (const framing of ["Content-Length: 10000", "Transfer-Encoding: chunked"]) {
        using visitor = await Deno.connect({ hostname: "127.0.0.1", port });
        const send = (text: string): Promise<unknown> =>
          visitor.write(new TextEncoder().encode(text));
        const head = [`POST ${path} HTTP/1.1`, "Host: app.test", `Content-Type: ${type}`, framing];
        await send([...head, "", ""].join("\r\n"));
        // Goes on until the connection is gone.
        const drop = framing.startsWith("Content") ? " " : "1\r\n \r\n";
        const dripping = setInterval(() => send(drop).catch(() => {}), 20);
        let text = "";
        try {
          for await (const chunk of visitor.readable) {
            text += new TextDecoder("latin1").decode(chunk);
          }
        } catch (error) {
          if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
        }
        clearInterval(dripping);
        assert.match(text, /^HTTP\/1\.1 408 /);
        assert.ok(text.includes(answer), text);
      }
    });
  });

  Deno.test(`who stops within a body to ${path}, and waits, is given its answer to the end`, async () => {
    await serving(async (port) => {
      for (const framing of ["Content-Length: 10000", "Transfer-Encoding: chunked"]) {
        using visitor = await Deno.connect({ hostname: "127.0.0.1", port });
        const head = [`POST ${path} HTTP/1.1`, "Host: app.test", `Content-Type: ${type}`, framing];
        await visitor.write(new TextEncoder().encode([...head, "", ""].join("\r\n")));
        let text = "";
        for await (const chunk of visitor.readable) {
          text += new TextDecoder("latin1").decode(chunk);
          if (text.endsWith("\r\n0\r\n\r\n")) break;
        }
        assert.ok(text.includes(answer), text);
      }
    });
  });
}

const NOWHERE = ["POST /rpc/nope HTTP/1.1", "Host: app.test", "Content-Type: application/json"];

for (const framing of ["Content-Length: 1000000000", "Transfer-Encoding: chunked"]) {
  const piece = new TextEncoder().encode(
    framing.startsWith("C") ? "a".repeat(1 << 20) : `100000\r\n${"a".repeat(1 << 20)}\r\n`,
  );

  Deno.test(`who is refused and sends on and on is left: ${framing}`, async () => {
    await serving(async (port) => {
      using visitor = await Deno.connect({ hostname: "127.0.0.1", port });
      const send = visitor.writable.getWriter();
      await send.write(new TextEncoder().encode([...NOWHERE, framing, "", ""].join("\r\n")));
      let sent = 0;
      const most = 500;
      const reading = new Response(visitor.readable).text().catch(() => "");
      try {
        for (; sent < most; sent++) await send.write(piece);
      } catch (error) {
        const { ConnectionReset, BrokenPipe } = Deno.errors;
        assert.ok(error instanceof ConnectionReset || error instanceof BrokenPipe, String(error));
      }
      assert.ok(sent < most, `${sent} MiB`);
      await reading;
    });
  });

  Deno.test(`who is refused within a body, and waits, has the whole answer: ${framing}`, async () => {
    await serving(async (port) => {
      using visitor = await Deno.connect({ hostname: "127.0.0.1", port });
      await visitor.write(new TextEncoder().encode([...NOWHERE, framing, "", ""].join("\r\n")));
      await visitor.write(piece);
      let text = "";
      for await (const chunk of visitor.readable) {
        text += new TextDecoder().decode(chunk);
        if (text.endsWith("\r\n0\r\n\r\n")) break;
      }
      assert.match(text, /^HTTP\/1.1 404 [^]*ROUTE_NOT_FOUND/);
    });
  });
}

Deno.test("who is refused, and ends its body, has the whole answer, however long the body", async () => {
  await serving(async (port) => {
    for (const length of [0, 100, 3 << 20]) {
      using visitor = await Deno.connect({ hostname: "127.0.0.1", port });
      const head = [...NOWHERE, `Content-Length: ${length}`, "Connection: close", "", ""];
      const reading = new Response(visitor.readable).text();
      const send = visitor.writable.getWriter();
      await send.write(new TextEncoder().encode(head.join("\r\n")));
      await send.write(new Uint8Array(length));
      assert.match(await reading, /^HTTP\/1.1 404 [^]*ROUTE_NOT_FOUND/);
    }
  });
});

/** Runs `body` with a server that gives bodies up soon. */
async function serving(body: (port: number) => Promise<void>): Promise<void> {
  const settings: Record<string, string> = {
    DATABASE_URL: "postgres://gateway:pw@127.0.0.1:1/none",
    KONTRACT_SECRET: new Uint8Array(32).fill(7).toBase64({ alphabet: "base64url" }),
  };
  const server = createServer(NOTES_APP, {
    env: (name) => settings[name],
    public: null,
    logSink: () => {},
    bodyPace: { bytes: 8000, milliseconds: 200 },
  });
  const host = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, info) => server.fetch(request, info),
  );
  try {
    await body(host.addr.port);
  } finally {
    await host.shutdown();
    await server.close();
  }
}
