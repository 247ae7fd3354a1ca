import assert from "node:assert/strict";
import { join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { allowOrigin } from "../../runtime/origins.ts";
import { Front } from "./front.ts";
import { askedUpgrade } from "../../runtime/deno/address.ts";
import { HeadedWebSocket } from "./proxy.ts";

const options = { sanitizeOps: false, sanitizeResources: false };

/** All but the front end's files. */
const isApp = (pathname: string): boolean => pathname !== "/" && !/\.\w+$/.test(pathname);

async function withFront<T>(
  work: (front: Front, folder: string) => Promise<T>,
  reload = false,
): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "kontract_front_" });
  const publicFolder = join(folder, "public");
  await Deno.mkdir(publicFolder);
  await Deno.writeTextFile(join(publicFolder, "index.html"), "<h1>home</h1>");
  const front = new Front({ hostname: "127.0.0.1", port: 0, publicFolder, reload });
  try {
    return await work(front, folder);
  } finally {
    await front.close();
    await Deno.remove(folder, { recursive: true });
  }
}

function host(handler: (request: Request) => Response | Promise<Response>): {
  origin: string;
  stop(): Promise<void>;
} {
  // Aborted, not shut down: a WebSocket may hold a shutdown up.
  const ending = new AbortController();
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    signal: ending.signal,
    onListen: () => {},
  }, handler);
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    stop: async () => {
      ending.abort();
      await server.finished;
    },
  };
}

Deno.test("requests that arrive during a swap are held, and none is lost", options, async () => {
  await withFront(async (front) => {
    const old = host(async () => {
      await new Promise((done) => setTimeout(done, 50));
      return new Response("old");
    });
    front.serve(old.origin, isApp);
    const running = Array.from({ length: 20 }, () => fetch(`${front.url}/call`));
    await fetch(`${front.url}/call`).then((response) => response.text());
    const drained = front.hold();
    const held = Array.from({ length: 20 }, () => fetch(`${front.url}/call`));
    await drained;
    await old.stop();
    const next = host(() => new Response("new"));
    front.serve(next.origin, isApp);
    const texts = async (all: Promise<Response>[]) =>
      new Set(await Promise.all(all.map(async (one) => await (await one).text())));
    assert.deepEqual(await texts(running), new Set(["old"]));
    assert.deepEqual(await texts(held), new Set(["new"]));
    await next.stop();
  });
});

Deno.test("a visitor who leaves in the middle of an answer counts once", options, async () => {
  await withFront(async (front) => {
    const left = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const app = host(async (request) => {
      if (new URL(request.url).pathname === "/slow") {
        asked.resolve();
        await released.promise;
        return new Response("slow");
      }
      return new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(new Uint8Array(1)),
          cancel: () => left.resolve(),
        }),
      );
    });
    front.serve(app.origin, isApp);
    const leaving = new AbortController();
    const broken = await fetch(`${front.url}/endless`, { signal: leaving.signal });
    await broken.body!.getReader().read();
    leaving.abort();
    await left.promise;

    const slow = fetch(`${front.url}/slow`).then((response) => response.text());
    await asked.promise;
    const order: string[] = [];
    const drained = front.hold().then(() => order.push("drained"));
    await new Promise((done) => setTimeout(done));
    order.push("released");
    released.resolve();
    await drained;
    assert.deepEqual(order, ["released", "drained"]);
    assert.equal(await slow, "slow");
    await app.stop();
  });
});

Deno.test(
  "who asks, and about what, is the front's word and not the visitor's",
  options,
  async () => {
    await withFront(async (front) => {
      const app = host((request) => Response.json([...request.headers]));
      front.serve(app.origin, isApp);
      const said = {
        "cf-connecting-ip": "192.0.2.1",
        "mf-original-url": "http://elsewhere.test/",
        "mf-cf-blob": "{}",
        "x-forwarded-host": "elsewhere.test",
      };
      const heard = new Map<string, string>(
        await (await fetch(`${front.url}/call`, { headers: said })).json(),
      );
      assert.equal(heard.get("cf-connecting-ip"), "127.0.0.1");
      for (const name of ["mf-original-url", "mf-cf-blob", "x-forwarded-host"]) {
        assert.equal(heard.has(name), false, name);
      }
      await app.stop();
    });
  },
);

Deno.test("bodies stream both ways, and the host sees the visitor's address", options, async () => {
  await withFront(async (front) => {
    const echo = host((request) => {
      const headers = { "x-seen-host": request.headers.get("host") ?? "", "x-a": "1" };
      return new Response(request.body, { status: 201, headers });
    });
    front.serve(echo.origin, isApp);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const answering = fetch(`${front.url}/echo?q=1`, { method: "POST", body: readable });
    await writer.write(new TextEncoder().encode("first"));
    const response = await answering;
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("x-seen-host"), new URL(front.url).host);
    const reader = response.body!.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "first");
    await writer.write(new TextEncoder().encode("second"));
    assert.equal(new TextDecoder().decode((await reader.read()).value), "second");
    await writer.close();
    assert.equal((await reader.read()).done, true);
    await echo.stop();
  });
});

Deno.test(
  "a WebSocket passes with its protocol, both kinds of data and the close",
  options,
  () =>
    withFront(async (front) => {
      const echo = host((request) => {
        const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "ray" });
        socket.binaryType = "arraybuffer";
        socket.onopen = () => socket.send("hello");
        socket.onmessage = (event) =>
          event.data === "bye" ? socket.close(4001, "so") : socket.send(event.data);
        return response;
      });
      front.serve(echo.origin, isApp);
      const socket = new WebSocket(front.url.replace("http", "ws"), ["ray", "other"]);
      socket.binaryType = "arraybuffer";
      const messages: unknown[] = [];
      const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
      await new Promise<void>((resolve) => {
        socket.onmessage = (event) => {
          messages.push(event.data);
          if (messages.length === 1) socket.send(new Uint8Array([1, 2, 3]));
          else resolve();
        };
      });
      assert.equal(socket.protocol, "ray");
      assert.equal(messages[0], "hello");
      assert.deepEqual(new Uint8Array(messages[1] as ArrayBuffer), new Uint8Array([1, 2, 3]));
      socket.send("bye");
      const { code, reason } = await closed;
      assert.deepEqual([code, reason], [4001, "so"]);
      await echo.stop();
    }),
);

Deno.test(
  "a visitor who leaves before the app has taken its WebSocket leaves none open there",
  options,
  async () => {
    await withFront(async (front) => {
      const asked = Promise.withResolvers<void>();
      const accept = Promise.withResolvers<void>();
      const ended = Promise.withResolvers<void>();
      const app = host(async (request) => {
        asked.resolve();
        await accept.promise;
        const { socket, response } = Deno.upgradeWebSocket(request);
        socket.onclose = () => ended.resolve();
        return response;
      });
      front.serve(app.origin, isApp);
      const visitor = await Deno.connect({
        hostname: "127.0.0.1",
        port: Number(new URL(front.url).port),
      });
      const lines = [
        ...["GET /socket HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: websocket"],
        ...["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""],
      ];
      await visitor.write(new TextEncoder().encode(lines.join("\r\n")));
      await asked.promise;
      visitor.close();
      accept.resolve();
      await ended.promise;
      await app.stop();
    });
  },
);

Deno.test(
  "a visitor who does not read a WebSocket is left, and the app's end with it",
  options,
  async () => {
    await withFront(async (front) => {
      const most = 160;
      let sent = 0;
      const ended = Promise.withResolvers<void>();
      const app = host((request) => {
        const { socket, response } = Deno.upgradeWebSocket(request);
        socket.onclose = () => ended.resolve();
        socket.onopen = async () => {
          for (; sent < most && socket.readyState === WebSocket.OPEN; sent++) {
            socket.send(new Uint8Array(1 << 20));
            while (socket.bufferedAmount > 0) await new Promise((done) => setTimeout(done, 1));
          }
          if (sent === most) ended.resolve();
        };
        return response;
      });
      front.serve(app.origin, isApp);
      const { hostname, port } = new URL(front.url);
      const visitor = await Deno.connect({ hostname, port: Number(port) });
      const upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
      const head = ["GET /socket HTTP/1.1", `Host: ${hostname}:${port}`, ...upgrade];
      const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
      await visitor.write(new TextEncoder().encode([...head, key, "", ""].join("\r\n")));
      await ended.promise;
      // 32 MiB in the front, and what the system holds on the way.
      assert.ok(sent < most / 2, `${sent} MiB`);
      visitor.close();
      await app.stop();
    });
  },
);

Deno.test(
  "a page's WebSocket is its app's own, a stranger's is refused",
  options,
  () =>
    withFront(async (front) => {
      const app = host((request) => {
        try {
          allowOrigin(askedUpgrade(request, 1), []);
        } catch {
          return new Response(null, { status: 403 });
        }
        return Deno.upgradeWebSocket(request).response;
      });
      front.serve(app.origin, isApp);
      const opens = (origin: string): Promise<boolean> => {
        const socket = new HeadedWebSocket(front.url.replace("http", "ws"), {
          headers: { origin },
        });
        return new Promise((resolve) => {
          socket.onopen = () => socket.close();
          socket.onclose = ({ wasClean }) => resolve(wasClean);
        });
      };
      assert.equal(await opens(front.url), true);
      assert.equal(await opens("http://elsewhere.test"), false);
      await app.stop();
    }),
);

Deno.test("files are served with their type, and nothing outside the folder", options, async () => {
  await withFront(async (front, folder) => {
    const app = host(() => new Response("app", { status: 404 }));
    front.serve(app.origin, isApp);
    await Deno.writeTextFile(join(folder, "secret.txt"), "secret");
    await Deno.writeTextFile(join(folder, "public", ".hidden"), "secret");
    await Deno.writeTextFile(join(folder, "public", "a b.css"), "a{}");
    if (Deno.build.os !== "windows") {
      await Deno.symlink(join(folder, "secret.txt"), join(folder, "public", "link.txt"));
    }
    const home = await fetch(front.url);
    assert.equal(home.headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(await home.text(), "<h1>home</h1>");
    const css = await fetch(`${front.url}/a%20b.css`);
    assert.equal(css.headers.get("content-type"), "text/css; charset=utf-8");
    const tag = css.headers.get("etag")!;
    await css.text();
    const again = await fetch(`${front.url}/a%20b.css`, { headers: { "if-none-match": tag } });
    assert.equal(again.status, 304);
    const hostile = [
      "/../secret.txt",
      "/%2e%2e/secret.txt",
      "/..%2fsecret.txt",
      "/..%5csecret.txt",
      "/.hidden",
      "/link.txt",
      "/index.html%00.css",
      "/%",
      "/c:/secret.txt",
    ];
    for (const path of hostile) assert.equal(await rawGet(front.url, path), 404, path);
    await app.stop();
  });
});

/** Status of a GET whose path no URL parser has touched. */
async function rawGet(url: string, path: string): Promise<number> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  const request = `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const answer = await new Response(connection.readable).text();
  assert.ok(!answer.includes("secret"), path);
  return Number(answer.split(" ")[1]);
}

Deno.test("a problem is an escaped page for a browser and JSON for a call", options, async () => {
  await withFront(async (front) => {
    front.fail({
      code: "BUILD_FAILED",
      status: 500,
      title: "Broken",
      detail: "<script>x</script>",
    });
    const page = await fetch(front.url, { headers: { accept: "text/html" } });
    const html = await page.text();
    assert.equal(page.status, 500);
    assert.ok(html.includes("&lt;script&gt;x&lt;/script&gt;") && !html.includes("<script>x"));
    const call = await fetch(`${front.url}/rpc/x`, { method: "POST" });
    assert.equal((await call.json()).error.code, "BUILD_FAILED");
  });
});

Deno.test(
  "who still waits when the server ends is told so, and TRACE is not served",
  options,
  async () => {
    const never = host(() => new Promise(() => {}));
    const asked = Promise.withResolvers<Response>();
    await withFront(async (front) => {
      front.serve(never.origin, isApp);
      const { hostname, port } = new URL(front.url);
      const connection = await Deno.connect({ hostname, port: Number(port) });
      await connection.write(new TextEncoder().encode("TRACE / HTTP/1.1\r\nhost: a\r\n\r\n"));
      const bytes = new Uint8Array(100);
      await connection.read(bytes);
      assert.match(new TextDecoder().decode(bytes), /^HTTP\/1\.1 405 /);
      connection.close();
      fetch(`${front.url}/call`, { method: "POST", body: "x" }).then(asked.resolve, asked.reject);
      await new Promise((done) => setTimeout(done, 50));
    });
    const answer = await asked.promise;
    assert.equal(answer.status, 503);
    assert.equal((await answer.json()).error.code, "OUTCOME_UNKNOWN");
    await never.stop();
  },
);

Deno.test("what has no end by itself is cut when the server ends", options, async () => {
  const app = host((request) => {
    if (request.headers.has("upgrade")) return Deno.upgradeWebSocket(request).response;
    const endless = new URL(request.url).pathname === "/endless";
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void =>
      controller.enqueue(new Uint8Array(1 << 16));
    const body = new ReadableStream({ start: pull, ...(endless && { pull }) });
    const type = endless ? "video/mp4" : "text/event-stream";
    return new Response(body, { headers: { "content-type": type } });
  });
  let port = 0;
  const visitors: Deno.Conn[] = [];
  const ended: Promise<unknown>[] = [];
  await withFront(async (front) => {
    front.serve(app.origin, isApp);
    port = Number(new URL(front.url).port);
    const events = await fetch(`${front.url}/events`);
    ended.push(assert.rejects(events.text(), TypeError));
    const socket = new WebSocket(front.url.replace("http", "ws"));
    ended.push(new Promise((resolve) => socket.onclose = resolve));
    await new Promise((resolve) => socket.onopen = resolve);
    // One does not read its answer, one does not end its request.
    for (const text of ["GET /endless HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x HTTP/1.1\r\n"]) {
      const visitor = await Deno.connect({ hostname: "127.0.0.1", port });
      visitors.push(visitor);
      await visitor.write(new TextEncoder().encode(text));
    }
    await visitors[0]!.read(new Uint8Array(1));
  });
  await Promise.all(ended);
  for (const visitor of visitors) {
    await visitor.readable.pipeTo(new WritableStream()).catch((error) => {
      assert.ok(error instanceof Deno.errors.ConnectionReset, String(error));
    });
  }
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }));
  await app.stop();
});

Deno.test("who is held when the server ends is told that nothing was done", options, async () => {
  const { answer } = await withFront(async (front) => {
    const { hostname, port } = new URL(front.url);
    const visitor = await Deno.connect({ hostname, port: Number(port) });
    const head = "POST /call HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    await visitor.write(new TextEncoder().encode(head));
    // Answered while others are held: who came before has been seen.
    const feed = await fetch(`${front.url}/__kontract/reload`);
    await feed.body!.cancel();
    return { answer: new Response(visitor.readable).text() };
  }, true);
  assert.match(await answer, /^HTTP\/1.1 503 [^]*"OVERLOADED"/);
});

/** A host that answers the head of a request and leaves, as workerd does. */
function hastyHost(status: string): Disposable & { readonly origin: string } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const body = JSON.stringify({ error: { code: "TOO_SLOW", message: "late" } });
  const answer =
    `HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  void (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(10_000));
      await connection.write(new TextEncoder().encode(answer));
      // Or what is on its way would meet a reset, and the answer be lost.
      await connection.closeWrite();
      connection.readable.pipeTo(new WritableStream()).catch(() => {});
    }
  })();
  return {
    origin: `http://127.0.0.1:${listener.addr.port}`,
    [Symbol.dispose]: () => listener.close(),
  };
}

Deno.test("who goes on with a body that the host has given up is left", options, async () => {
  for (const status of ["408 Request Timeout", "404 Not Found"]) {
    await withFront(async (front) => {
      using app = hastyHost(status);
      front.serve(app.origin, isApp);
      const short = status.startsWith("408") ? ["Content-Length: 10000"] : [];
      const framings = ["Content-Length: 1000000000", "Transfer-Encoding: chunked", ...short];
      for (const framing of framings) {
        using visitor = await Deno.connect({
          hostname: "127.0.0.1",
          port: Number(new URL(front.url).port),
        });
        const head = ["POST /call HTTP/1.1", "Host: a", framing, "", ""].join("\r\n");
        await visitor.write(new TextEncoder().encode(head));
        const size = status.startsWith("408") ? 1 : 1 << 20;
        const text = "a".repeat(size);
        const piece = framing.startsWith("C") ? text : `${size.toString(16)}\r\n${text}\r\n`;
        let left = false;
        let sent = 0;
        let answer = "";
        const sending = (async () => {
          const send = visitor.writable.getWriter();
          // What was not read when the connection breaks is lost.
          while (!answer.includes("late") && !left) {
            await new Promise((done) => setTimeout(done, 5));
          }
          for (; sent < 500 && !left; sent++) {
            await send.write(new TextEncoder().encode(piece));
            await new Promise((done) => setTimeout(done, 10));
          }
          if (!left) visitor.close();
        })().catch(() => {});
        try {
          for await (const chunk of visitor.readable) answer += new TextDecoder().decode(chunk);
        } catch {
          // Left in the middle.
        }
        const wentOn = sent === 500;
        left = true;
        await sending;
        assert.ok(!wentOn, `${framing}: all was taken after ${answer}`);
        assert.ok(answer.startsWith(`HTTP/1.1 ${status}`) && answer.includes("late"), answer);
      }
    });
  }
});

Deno.test("an app's own 408 arrives whole, and its connection goes on", options, async () => {
  await withFront(async (front) => {
    const app = host(async (request) => new Response(await request.text(), { status: 408 }));
    front.serve(app.origin, isApp);
    for (const body of ["a", "b".repeat(100_000)]) {
      const response = await fetch(`${front.url}/x`, { method: "POST", body });
      assert.equal(response.status, 408);
      assert.equal(response.headers.get("content-length"), `${body.length}`);
      assert.equal(await response.text(), body);
    }
    await app.stop();
  });
});

Deno.test("a host that is gone is a 502 with a code, not a hang", options, async () => {
  await withFront(async (front) => {
    const app = host(() => new Response("app"));
    front.serve(app.origin, isApp);
    await app.stop();
    const response = await fetch(`${front.url}/x`);
    assert.equal(response.status, 502);
    assert.equal((await response.json()).error.code, "NETWORK");
  });
});

Deno.test("an open page is told when something new is there", options, async () => {
  await withFront(async (front) => {
    const app = host(() => new Response("app"));
    front.serve(app.origin, isApp);
    const html = await (await fetch(front.url)).text();
    const known = /data!=="([^"]+)"/.exec(html)?.[1];
    const stream = await fetch(`${front.url}/__kontract/reload`);
    const reader = stream.body!.getReader();
    const next = async () =>
      /data: (\S+)/.exec(new TextDecoder().decode((await reader.read()).value))?.[1];
    assert.equal(await next(), known);
    await front.hold();
    front.serve(app.origin, isApp);
    assert.notEqual(await next(), known);
    await reader.cancel();
    await app.stop();
  }, true);
});

Deno.test("an open page stays as it is while the server ends", options, async () => {
  const { generations, known } = await withFront(async (front) => {
    const app = host(() => new Response("app"));
    front.serve(app.origin, isApp);
    const known = /data!=="([^"]+)"/.exec(await (await fetch(front.url)).text())?.[1];
    const stream = await fetch(`${front.url}/__kontract/reload`);
    const text = stream.text();
    await app.stop();
    return { generations: text, known };
  }, true);
  assert.deepEqual((await generations).match(/(?<=data: )\S+/g), [known]);
});

Deno.test("a taken port is PORT_IN_USE and says what to do", options, async () => {
  await withFront((front) => {
    const port = Number(new URL(front.url).port);
    assert.throws(
      () => new Front({ hostname: "127.0.0.1", port, publicFolder: ".", reload: false }),
      (error) =>
        error instanceof KontractError && error.code === "PORT_IN_USE" &&
        error.message.includes("--port"),
    );
    return Promise.resolve();
  });
});

Deno.test(
  "the document of the REST addresses is shown, and nothing else of its folder",
  options,
  async () => {
    await withFront(async (front, folder) => {
      await Deno.writeTextFile(join(folder, "openapi.json"), `{"openapi":"3.1.0"}`);
      await Deno.writeTextFile(join(folder, "manifest.json"), "{}");
      const app = host(() => new Response("app", { status: 404 }));
      front.serve(app.origin, isApp);
      const shown = await fetch(`${front.url}/openapi.json`);
      assert.deepEqual(await shown.json(), { openapi: "3.1.0" });
      assert.equal(await (await fetch(`${front.url}/manifest.json`)).text(), "app");
      assert.equal(await (await fetch(`${front.url}/%2e%2e/manifest.json`)).text(), "app");
      await app.stop();
    });
  },
);
