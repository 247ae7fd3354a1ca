/**
 * The server of `raystream.ts`, a process of its own: the same echo of a typed value, and the same upload,
 * sealed and in the clear. Prints one line of JSON, `{"url", "pins"}`, and ends with its standard input.
 *
 * @module
 */
import { createRaystreamServer, type Dispatch } from "../protocol/mod.ts";
import { loadCodecs } from "../compiler/emit/testing/load_codec.ts";
import { ENTRIES, TYPES } from "./codec_page.ts";
import type { Page } from "./flatbuffers_page.ts";
import { ECHO, PieceOpener, UPLOAD } from "./raystream_ops.ts";

const { page } = await loadCodecs(TYPES, ENTRIES);
const number = (value: number): Uint8Array => new TextEncoder().encode(String(value));

const dispatch: Dispatch = ({ op, payload }) => {
  const answer = op === ECHO ? page!.encode(page!.decode(payload)) : number(payload.length);
  return Promise.resolve({ kind: "value", payload: answer });
};
const random = crypto.getRandomValues(new Uint8Array(32));
const ray = createRaystreamServer({
  app: "bench",
  secrets: [crypto.getRandomValues(new Uint8Array(32))],
  epochs: { random: () => Promise.resolve(random) },
  clock: Date,
  limits: { message: 4 << 20 },
});

/** What comes in binary messages after it was announced: raw, or in sealed pieces. */
interface Upload {
  readonly id: number;
  left: number;
  length: number;
  readonly pieces: PieceOpener | null;
}

function plainSocket(request: Request): Response {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.binaryType = "arraybuffer";
  let upload: Upload | undefined;
  const answer = (id: number, result: unknown): void => socket.send(JSON.stringify({ id, result }));
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") {
      const { id, args, bytes, messages, sealed } = JSON.parse(data);
      if (bytes !== undefined) return answer(id, Uint8Array.fromBase64(bytes).length);
      if (messages === undefined) return answer(id, args as Page);
      upload = { id, left: messages, length: 0, pieces: sealed ? new PieceOpener() : null };
    } else if (upload !== undefined) {
      upload.length += data.byteLength;
      upload.pieces?.push(new Uint8Array(data));
      if (--upload.left > 0) return;
      answer(upload.id, upload.pieces?.end().length ?? upload.length);
    }
  };
  return response;
}

function sealedSocket(request: Request): Response {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.binaryType = "arraybuffer";
  const session = ray.socket(socket, dispatch);
  socket.onmessage = ({ data }) => void session.receive(data);
  socket.onclose = () => session.gone();
  return response;
}

async function plain(request: Request, path: string): Promise<Response> {
  if (path === "/json") return Response.json(await request.json() as Page);
  if (path === "/base64") {
    const { bytes } = await request.json();
    return Response.json(Uint8Array.fromBase64(bytes).length);
  }
  if (path === "/pieces") {
    const opener = new PieceOpener();
    if (request.headers.has("content-length")) {
      opener.push(new Uint8Array(await request.arrayBuffer()));
    } else for await (const chunk of request.body ?? []) opener.push(chunk);
    return Response.json(opener.end().length);
  }
  const { byteLength } = await request.arrayBuffer();
  return Response.json(byteLength, { status: path === `/${UPLOAD}` ? 200 : 404 });
}

const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
  const path = new URL(request.url).pathname;
  const socket = request.headers.get("upgrade") === "websocket";
  if (path === "/raystream") return socket ? sealedSocket(request) : ray.handle(request, dispatch);
  return socket ? plainSocket(request) : plain(request, path);
});
const { pins } = await ray.keys();
console.log(JSON.stringify({ url: `http://127.0.0.1:${http.addr.port}`, pins }));
for await (const _ of Deno.stdin.readable);
Deno.exit(0);
