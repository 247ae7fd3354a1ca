/**
 * A second client of raystream, written from `docs/architecture/raystream.md` and nothing else: primitives
 * of `node:crypto`, no line of `protocol/`. What it cannot do, the page does not say.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import * as node from "node:crypto";

/** A message in the clear. */
export interface Message {
  readonly type: number;
  readonly stream: number;
  readonly op: number;
  readonly payload: Buffer;
}

/** Frame types of the page's table. */
export const Type = {
  INIT: 0x01,
  RESPONSE: 0x02,
  SESSION: 0x04,
  CALL: 0x10,
  ANSWER: 0x11,
  ERROR: 0x12,
  CREDIT: 0x14,
  BATCH: 0x15,
  EVENT: 0x21,
  HEARTBEAT: 0x30,
} as const;

const MORE = 1;
const END = 4;
const NONE = Buffer.alloc(0);

// Primitives

const sha256 = (data: Uint8Array): Buffer => node.createHash("sha256").update(data).digest();
const hmac = (key: Uint8Array, data: Uint8Array): Buffer =>
  node.createHmac("sha256", key).update(data).digest();
const expand = (prk: Uint8Array, info: Uint8Array): Buffer =>
  hmac(prk, Buffer.concat([info, Buffer.from([1])]));

function nonce(n: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeBigUInt64LE(BigInt(n), 4);
  return bytes;
}

function seal(key: Uint8Array, n: number, ad: Uint8Array, text: Uint8Array): Buffer {
  const cipher = node.createCipheriv("chacha20-poly1305", key, nonce(n), { authTagLength: 16 });
  cipher.setAAD(ad, { plaintextLength: text.length });
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

function open(key: Uint8Array, n: number, ad: Uint8Array, sealed: Uint8Array): Buffer {
  const cipher = node.createDecipheriv("chacha20-poly1305", key, nonce(n), { authTagLength: 16 });
  cipher.setAAD(ad, { plaintextLength: sealed.length - 16 });
  cipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()]);
}

// RFC 8410: what stands before the 32 bytes of an X25519 public key.
const SPKI = Buffer.from("302a300506032b656e032100", "hex");

function agree(privateKey: node.KeyObject, peer: Uint8Array): Buffer {
  const publicKey = node.createPublicKey({
    key: Buffer.concat([SPKI, peer]),
    format: "der",
    type: "spki",
  });
  const secret = node.diffieHellman({ privateKey, publicKey });
  if (secret.every((byte) => byte === 0)) throw new Error("a shared secret of zeros");
  return secret;
}

// Frames

function header(type: number, flags: number, length: number, sequence: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes[0] = 1;
  bytes[1] = type;
  bytes.writeUInt16LE(flags, 2);
  bytes.writeUInt32LE(length, 4);
  bytes.writeBigUInt64LE(BigInt(sequence), 8);
  return bytes;
}

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly head: Buffer;
  readonly body: Buffer;
}

function framesIn(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length;) {
    const head = bytes.subarray(at, at + 16);
    const end = at + 16 + head.readUInt32LE(4);
    if (head[0] !== 1 || end > bytes.length) throw new Error("no frame");
    frames.push({
      type: head[1]!,
      flags: head.readUInt16LE(2),
      sequence: Number(head.readBigUInt64LE(8)),
      head,
      body: bytes.subarray(at + 16, end),
    });
    at = end;
  }
  return frames;
}

function sealFrame(key: Buffer, sequence: number, message: Message, flags = 0): Buffer {
  const inner = Buffer.alloc(8 + message.payload.length);
  inner.writeUInt32LE(message.stream, 0);
  inner.writeUInt32LE(message.op, 4);
  message.payload.copy(inner, 8);
  const head = header(message.type, flags, inner.length + 16, sequence);
  return Buffer.concat([head, seal(key, sequence, head, inner)]);
}

function openFrame(key: Buffer, sequence: number, frame: Frame): Message {
  if (frame.sequence !== sequence) throw new Error("a frame out of order");
  const inner = open(key, sequence, frame.head, frame.body);
  return {
    type: frame.type,
    stream: inner.readUInt32LE(0),
    op: inner.readUInt32LE(4),
    payload: inner.subarray(8),
  };
}

/** Puts fragments together, and takes batches apart. */
class Messages {
  readonly #parts = new Map<number, Buffer[]>();

  take(message: Message, flags: number): Message[] {
    if (message.type === Type.BATCH) return unpack(message.payload);
    const parts = this.#parts.get(message.stream) ?? [];
    parts.push(message.payload);
    this.#parts.set(message.stream, parts);
    if ((flags & MORE) !== 0) return [];
    this.#parts.delete(message.stream);
    return [{ ...message, payload: Buffer.concat(parts) }];
  }
}

function unpack(bytes: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 16 + bytes.readUInt32LE(at + 12);
    messages.push({
      type: bytes[at]!,
      stream: bytes.readUInt32LE(at + 4),
      op: bytes.readUInt32LE(at + 8),
      payload: bytes.subarray(at + 16, end),
    });
    at = end;
  }
  return messages;
}

// Handshake: Noise_NK_25519_ChaChaPoly_SHA256, the initiator

class Handshake {
  readonly init: Buffer;
  #h: Buffer;
  #ck: Buffer;
  readonly #ephemeral: node.KeyObject;

  constructor(pin: string, app: string, transport: 1 | 2) {
    const remote = Buffer.from(pin, "base64url");
    const name = Buffer.from(app, "utf8");
    const kid = sha256(remote).toString("base64url").slice(0, 8);
    const size = Buffer.alloc(2);
    size.writeUInt16LE(name.length);
    const hello = Buffer.concat([Buffer.from([1, 1, transport, 0]), Buffer.from(kid), size, name]);
    const prologue = Buffer.concat([header(Type.INIT, 0, hello.length + 48, 0), hello]);
    // Exactly 32 bytes, so the name is the first hash as it stands.
    this.#h = Buffer.from("Noise_NK_25519_ChaChaPoly_SHA256");
    this.#ck = this.#h;
    this.#mixHash(prologue);
    this.#mixHash(remote);
    const pair = node.generateKeyPairSync("x25519");
    this.#ephemeral = pair.privateKey;
    const e = pair.publicKey.export({ format: "der", type: "spki" }).subarray(-32);
    this.#mixHash(e);
    const key = this.#mixKey(agree(this.#ephemeral, remote));
    const tag = seal(key, 0, this.#h, NONE);
    this.#mixHash(tag);
    this.init = Buffer.concat([prologue, e, tag]);
  }

  /** Reads message 2; gives the two keys, the hash and the limits. */
  finish(frame: Frame): { up: Buffer; down: Buffer; hash: Buffer; limit: number } {
    if (frame.type !== Type.RESPONSE) throw new Error("refused");
    const e = frame.body.subarray(0, 32);
    this.#mixHash(e);
    const key = this.#mixKey(agree(this.#ephemeral, e));
    const sealed = frame.body.subarray(32);
    const limits = open(key, 0, this.#h, sealed);
    this.#mixHash(sealed);
    const [up, down] = this.#hkdf(NONE);
    return { up, down, hash: this.#h, limit: limits.readUInt32LE(0) };
  }

  #mixHash(data: Uint8Array): void {
    this.#h = sha256(Buffer.concat([this.#h, data]));
  }

  #hkdf(input: Uint8Array): [Buffer, Buffer] {
    const temporary = hmac(this.#ck, input);
    const first = hmac(temporary, Buffer.from([1]));
    return [first, hmac(temporary, Buffer.concat([first, Buffer.from([2])]))];
  }

  #mixKey(input: Uint8Array): Buffer {
    const [ck, key] = this.#hkdf(input);
    this.#ck = ck;
    return key;
  }
}

/** What to reach. */
export interface Target {
  readonly url: string;
  readonly pin: string;
  readonly app: string;
}

/** A call, and the session token for it; empty for none. */
export interface Call {
  readonly op: number;
  readonly payload: Uint8Array;
  readonly token?: string;
}

/** A client over HTTP: one session, one call a body. */
export class HttpPeer {
  readonly #url: string;
  readonly #rms: Buffer;
  readonly #ticket: Buffer;
  readonly #lane = node.randomBytes(8);
  #reqno = 0n;

  private constructor(url: string, rms: Buffer, ticket: Buffer) {
    this.#url = url;
    this.#rms = rms;
    this.#ticket = ticket;
  }

  /** Makes the handshake and takes the ticket. */
  static async connect({ url, pin, app }: Target): Promise<HttpPeer> {
    const handshake = new Handshake(pin, app, 1);
    const [response, session] = framesIn(await post(url, handshake.init));
    const { down, hash } = handshake.finish(response!);
    if (session?.type !== Type.SESSION) throw new Error("no session");
    const { payload } = openFrame(down, 0, session);
    const prk = hmac(hash, payload.subarray(0, 32));
    const length = payload.readUInt16LE(36);
    const rms = expand(prk, Buffer.from("raystream/1 rms"));
    return new HttpPeer(url, rms, payload.subarray(38, 38 + length));
  }

  /** All messages of the answer. */
  async call({ op, payload, token = "" }: Call): Promise<Message[]> {
    const prefix = Buffer.alloc(4 + 8 + 8);
    prefix.set([1, 0x40]);
    prefix.writeUInt16LE(this.#ticket.length, 2);
    this.#lane.copy(prefix, 4);
    prefix.writeBigUInt64LE(this.#reqno++, 12);
    const p = Buffer.concat([prefix, node.randomBytes(16), this.#ticket]);
    const key = expand(this.#rms, Buffer.concat([Buffer.from("raystream/1 req"), sha256(p)]));
    const auth = { type: Type.CALL, stream: 0, op: 0, payload: Buffer.from(token) };
    const call = { type: Type.CALL, stream: 1, op, payload: Buffer.from(payload) };
    const body = Buffer.concat([p, sealFrame(key, 0, auth), sealFrame(key, 1, call, END)]);
    const answer = await post(this.#url, body);
    const info = [Buffer.from("raystream/1 res"), sha256(p), answer.subarray(0, 16)];
    return this.#open(expand(this.#rms, Buffer.concat(info)), framesIn(answer.subarray(16)));
  }

  #open(key: Buffer, frames: readonly Frame[]): Message[] {
    if ((frames.at(-1)?.flags ?? 0) & END) {
      const messages = new Messages();
      return frames.flatMap((frame, n) => messages.take(openFrame(key, n, frame), frame.flags));
    }
    throw new Error("the answer was cut off");
  }
}

async function post(url: string, body: Buffer): Promise<Buffer> {
  const response = await fetch(`${url}/raystream`, {
    method: "POST",
    headers: { "content-type": "application/raystream" },
    body: new Uint8Array(body),
  });
  if (response.status !== 200) throw new Error(`status ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

/** A client over a WebSocket. */
export class SocketPeer {
  readonly #socket: WebSocket;
  readonly #messages = new Messages();
  readonly #arrived: Message[] = [];
  #keys: { up: Buffer; down: Buffer } | undefined;
  #sent = 0;
  #received = 0;
  #stream = 1;
  #wake: () => void = () => {};

  private constructor(url: string) {
    this.#socket = new WebSocket(`${url.replace("http", "ws")}/raystream`);
    this.#socket.binaryType = "arraybuffer";
  }

  /** Connects and makes the handshake. */
  static async connect({ url, pin, app }: Target): Promise<SocketPeer> {
    const peer = new SocketPeer(url);
    const socket = peer.#socket;
    await new Promise((resolve) => socket.onopen = resolve);
    const handshake = new Handshake(pin, app, 2);
    const first = new Promise<Buffer>((resolve) => {
      socket.onmessage = ({ data }) => resolve(Buffer.from(data as ArrayBuffer));
    });
    socket.send(new Uint8Array(handshake.init));
    const [response] = framesIn(await first);
    peer.#keys = handshake.finish(response!);
    socket.onmessage = ({ data }) => peer.#take(Buffer.from(data as ArrayBuffer));
    const number = Buffer.concat([node.randomBytes(8), Buffer.alloc(8)]);
    peer.send({ type: Type.CALL, stream: 0, op: 3, payload: number });
    return peer;
  }

  /** Begins a call; gives its stream. */
  begin({ op, payload, token = "" }: Call): number {
    this.send({ type: Type.CALL, stream: 0, op: 0, payload: Buffer.from(token) });
    const stream = this.#stream;
    this.#stream += 2;
    this.send({ type: Type.CALL, stream, op, payload: Buffer.from(payload) });
    return stream;
  }

  /** Seals one message that fits into a frame. */
  send(message: Message): void {
    const frame = sealFrame(this.#keys!.up, this.#sent++, message);
    this.#socket.send(new Uint8Array(frame));
  }

  /** The next message of a stream. */
  async next(stream: number): Promise<Message> {
    while (true) {
      const at = this.#arrived.findIndex((message) => message.stream === stream);
      if (at >= 0) return this.#arrived.splice(at, 1)[0]!;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Ends the connection, by CLOSE. */
  async close(): Promise<number> {
    const closed = new Promise<number>((resolve) => {
      this.#socket.onclose = ({ code }) => resolve(code);
    });
    this.send({ type: 0x3f, stream: 0, op: 0, payload: NONE });
    return await closed;
  }

  #take(bytes: Buffer): void {
    for (const frame of framesIn(bytes)) {
      const message = openFrame(this.#keys!.down, this.#received++, frame);
      this.#arrived.push(...this.#messages.take(message, frame.flags));
    }
    this.#wake();
  }
}
