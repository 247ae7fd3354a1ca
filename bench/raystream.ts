/**
 * Sealed calls against plain JSON over the same transport, in one run: `deno task bench raystream`.
 *
 * The server is another process. Both sides start and end with values: plain JSON as anyone would write it,
 * sealed calls with generated codecs. Rounds are interleaved and medians compared, so only the ratios mean
 * anything. Over a WebSocket plain JSON is one message for each call, as the libraries that carry it have it;
 * sealed calls that are made together share a frame, as they do everywhere.
 *
 * An upload in plain JSON is the same call: its bytes as base64, made and read by the platform, and bytes again
 * at the server. Beside it are the same bytes with no call around them, which no JSON call has (`raw`), and two
 * floors: the raw bytes sealed in pieces of a frame with the bare cipher and opened so at the server, first all
 * before any is sent (`floor`), then one by one, so that sealing, sending and opening overlap as far as there
 * are processors (`overlapped`). No sealed upload can be quicker than both. WebSockets are npm `ws` on the
 * client, since Deno's own does not switch Nagle's algorithm off.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { setImmediate } from "node:timers";
import WebSocketClient from "ws";
import { loadCodecs } from "../compiler/emit/testing/load_codec.ts";
import { createHttpTransport, openSocketTransport, type Transport } from "../protocol/client.ts";
import { initiate, parsePins, readSession } from "../protocol/client_handshake.ts";
import { concat } from "../protocol/bytes.ts";
import { loadProvider } from "../protocol/crypto/select.ts";
import { RayTransport } from "../protocol/hello.ts";
import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import { grantSession, respond } from "../protocol/server_handshake.ts";
import { deriveServerKeys } from "../protocol/server_keys.ts";
import { TicketBox } from "../protocol/tickets.ts";
import { ENTRIES, page, TYPES } from "./codec_page.ts";
import { ECHO, sealEach, sealPieces, UPLOAD } from "./raystream_ops.ts";

type Call = () => Promise<unknown>;

interface Case {
  readonly title: string;
  readonly inFlight: number;
  readonly goal: number;
  readonly plain: Call;
  readonly sealed: Call;
  readonly raw?: Call;
  readonly floor?: Call;
  readonly overlapped?: Call;
}

const webSocket = WebSocketClient as unknown as typeof WebSocket;
const codec = (await loadCodecs(TYPES, ENTRIES)).page!;
const value = page(4);
const upload = new Uint8Array(randomBytes(1 << 20));
const PIECES = [...sealEach(upload)].length;
const options = { token: "t".repeat(200), mutation: true };
const short = Deno.args.includes("--short");

await main();

async function main(): Promise<void> {
  await handshakes(short ? 50 : 400);
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("raystream_server.ts", import.meta.url).href],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  try {
    const { value: line } = await server.stdout.getReader().read();
    const { url, pins } = JSON.parse(new TextDecoder().decode(line));
    const http = createHttpTransport({ url, pins, app: "bench" });
    const socket = await openSocketTransport({ url, pins, app: "bench", webSocket });
    const plain = await plainSocket(url);
    try {
      for (const each of cases(url, http, socket, plain)) await compare(each);
    } finally {
      for (const each of [http, socket, plain]) each.close();
    }
  } finally {
    await server.stdin.close();
    await server.status;
  }
  Deno.exit(0);
}

function cases(url: string, http: Transport, socket: Transport, plain: PlainSocket): Case[] {
  const sealed = (transport: Transport): Call => async () =>
    codec.decode(await transport.call(ECHO, codec.encode(value), options));
  const size = JSON.stringify(value).length;
  const overHttp = {
    plain: () => post(`${url}/json`, JSON.stringify(value)),
    sealed: sealed(http),
  };
  const overSocket = { plain: () => plain.call({ args: value }), sealed: sealed(socket) };
  const upOverHttp = {
    plain: () => post(`${url}/base64`, JSON.stringify({ bytes: upload.toBase64() })),
    raw: () => post(`${url}/${UPLOAD}`, upload),
    floor: () => post(`${url}/pieces`, sealPieces(upload)),
    overlapped: () => post(`${url}/pieces`, ReadableStream.from(sealEach(upload))),
    sealed: () => http.call(UPLOAD, upload, options),
  };
  const upOverSocket = {
    plain: () => plain.call({ bytes: upload.toBase64() }),
    raw: () => plain.upload([upload], 1, false),
    floor: () => plain.upload([sealPieces(upload)], 1, true),
    overlapped: () => plain.upload(sealEach(upload), PIECES, true),
    sealed: () => socket.call(UPLOAD, upload, options),
  };
  return [
    { title: `HTTP, ${size} B of JSON`, inFlight: 32, goal: 0.7, ...overHttp },
    { title: `HTTP, ${size} B of JSON`, inFlight: 1, goal: NaN, ...overHttp },
    { title: `WebSocket, ${size} B of JSON`, inFlight: 32, goal: 0.85, ...overSocket },
    { title: `WebSocket, ${size} B of JSON`, inFlight: 1, goal: NaN, ...overSocket },
    { title: "HTTP, 1 MiB up", inFlight: 1, goal: 0.6, ...upOverHttp },
    { title: "WebSocket, 1 MiB up", inFlight: 1, goal: 0.6, ...upOverSocket },
  ];
}

async function post(url: string, body: BodyInit): Promise<unknown> {
  const headers = { "content-type": "application/json", authorization: options.token };
  const init = { method: "POST", headers, body, duplex: "half" };
  return await (await fetch(url, init)).json();
}

interface PlainSocket {
  /** One message, and its answer. */
  call(question: object): Promise<unknown>;
  /** Sends so many messages, one when the next is asked for. */
  upload(messages: Iterable<Uint8Array>, count: number, sealed: boolean): Promise<unknown>;
  close(): void;
}

async function plainSocket(url: string): Promise<PlainSocket> {
  const socket = new webSocket(url.replace("http", "ws"));
  await new Promise((resolve) => (socket.onopen = resolve));
  const waiting = new Map<number, (result: unknown) => void>();
  let next = 0;
  socket.onmessage = ({ data }) => {
    const { id, result } = JSON.parse(data as string);
    waiting.get(id)?.(result);
    waiting.delete(id);
  };
  const ask = (question: object): Promise<unknown> =>
    new Promise((resolve) => {
      waiting.set(next, resolve);
      socket.send(JSON.stringify({ id: next++, ...question }));
    });
  return {
    call: ask,
    async upload(messages, count, sealed): Promise<unknown> {
      const answer = ask({ messages: count, sealed });
      for (const message of messages) {
        socket.send(message as Uint8Array<ArrayBuffer>);
        if (count > 1) await new Promise((resolve) => setImmediate(resolve)); // lets it leave
      }
      return await answer;
    },
    close: () => socket.close(),
  };
}

async function compare({ title, inFlight, goal, ...calls }: Case): Promise<void> {
  const time = short ? 150 : 400;
  const contenders = Object.entries(calls).map(([name, call]) => ({
    name,
    call,
    rates: [] as number[],
  }));
  for (const { call } of contenders) await rate(call, inFlight, time * 2); // warm
  for (let round = 0; round < (short ? 3 : 9); round++) {
    for (const { call, rates } of contenders) rates.push(await rate(call, inFlight, time));
  }
  const rates = new Map(contenders.map(({ name, rates }) => [name, median(rates)]));
  const of = (base: string) => (name: string): string =>
    `${name} ${(rates.get(name)! / rates.get(base)!).toFixed(2)}`;
  const met = rates.get("sealed")! / rates.get("plain")! >= goal;
  const verdict = Number.isNaN(goal) ? "no goal" : `goal ${goal} ${met ? "met" : "MISSED"}`;
  const shown = [...rates].map(([name, rate]) => `${name} ${rate.toFixed(0)}/s`);
  console.log(`${title}, ${inFlight} in flight: ${shown.join(", ")}`);
  console.log(`  of plain JSON: ${of("plain")("sealed")}, ${verdict}`);
  if (calls.raw === undefined) return;
  console.log(`  of raw bytes: ${["sealed", "floor", "overlapped"].map(of("raw")).join(", ")}`);
}

/** Calls per second by `inFlight` loops. */
async function rate(call: Call, inFlight: number, milliseconds: number): Promise<number> {
  const start = performance.now();
  let calls = 0;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (performance.now() - start < milliseconds) {
      await call();
      calls++;
    }
  }));
  return calls / (performance.now() - start) * 1000;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

/** Both sides of a handshake over HTTP, each timed alone, without a network. */
async function handshakes(count: number): Promise<void> {
  const crypto = await loadProvider();
  const secret = new Uint8Array(randomBytes(32));
  const keys = await deriveServerKeys([secret], crypto);
  const random = new Uint8Array(32);
  const tickets = new TicketBox({
    crypto,
    secrets: [{ kid: keys.keys[0]!.kid, secret }],
    epochs: { random: () => Promise.resolve(random) },
    clock: Date,
    lifetime: 3_600_000,
    authEpoch: 0,
  });
  const responder = { crypto, keys, app: "bench", limits: DEFAULT_LIMITS };
  const pin = parsePins(crypto, keys.pins)[0]!;
  const spent = { client: [] as number[], server: [] as number[] };
  for (let round = 0; round < count; round++) {
    const start = performance.now();
    const initiated = await initiate(crypto, pin, RayTransport.HTTP, "bench");
    const sent = performance.now();
    const { response, result } = await respond(responder, RayTransport.HTTP, initiated.init);
    const body = concat(response, await grantSession(crypto, tickets, result));
    const answered = performance.now();
    await readSession(crypto, initiated, body);
    spent.server.push(answered - sent);
    spent.client.push(performance.now() - answered + sent - start);
  }
  for (const [side, times] of Object.entries(spent)) {
    const middle = median(times.slice(times.length >> 1));
    console.log(
      `handshake, ${side} (${crypto.dhName}/${crypto.symmetricName}): ${middle.toFixed(2)} ms ` +
        `(goal 1 ms ${middle <= 1 ? "met" : "MISSED"})`,
    );
  }
}
