/**
 * The channel as an outsider sees it: a client that was written from the page alone, against the real
 * gateway with its database.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Builder, ByteBuffer, Encoding } from "flatbuffers";
import { deriveServerKeys } from "../../protocol/mod.ts";
import { NOTES_APP } from "../../runtime/testing/notes_app.ts";
import { withNotes } from "../../runtime/testing/notes_server.ts";
import { HttpPeer, type Message, SocketPeer, type Target, Type } from "./ray_peer.ts";

// The page's `Value`, by npm flatbuffers: kind, number, text, bytes, items, keys, kinds, texts, numbers.
const [UNDEFINED, NULL, FALSE, TRUE, NUMBER, TEXT] = [1, 2, 3, 4, 5, 6];
const [ARRAY, OBJECT] = [10, 11];
const [PACKED_ARRAY, PACKED_OBJECT] = [14, 15];

function writeValue(builder: Builder, value: unknown): number {
  const items = Array.isArray(value)
    ? value.map((item) => writeValue(builder, item))
    : typeof value === "object" && value !== null
    ? Object.values(value).map((item) => writeValue(builder, item))
    : null;
  const keys = items === null || Array.isArray(value)
    ? null
    : Object.keys(value as object).map((key) => builder.createString(key));
  const text = typeof value === "string" ? builder.createString(value) : 0;
  const vector = (offsets: readonly number[] | null): number => {
    if (offsets === null) return 0;
    builder.startVector(4, offsets.length, 4);
    for (const offset of offsets.toReversed()) builder.addOffset(offset);
    return builder.endVector();
  };
  const [itemsAt, keysAt] = [vector(items), vector(keys)];
  builder.startObject(6);
  const kind = Array.isArray(value)
    ? ARRAY
    : items !== null
    ? OBJECT
    : typeof value === "string"
    ? TEXT
    : typeof value === "number"
    ? NUMBER
    : value === null
    ? NULL
    : value === undefined
    ? UNDEFINED
    : value === true
    ? TRUE
    : FALSE;
  builder.addFieldInt8(0, kind!, 0);
  if (typeof value === "number") builder.addFieldFloat64(1, value, NaN);
  if (text !== 0) builder.addFieldOffset(2, text, 0);
  if (itemsAt !== 0) builder.addFieldOffset(4, itemsAt, 0);
  if (keysAt !== 0) builder.addFieldOffset(5, keysAt, 0);
  return builder.endObject();
}

function encode(value: unknown): Uint8Array {
  const builder = new Builder();
  builder.finish(writeValue(builder, value));
  return builder.asUint8Array();
}

function readValue(buffer: ByteBuffer, at: number): unknown {
  const field = (id: number): number => {
    const offset = buffer.__offset(at, 4 + 2 * id);
    return offset === 0 ? 0 : at + offset;
  };
  const list = <T>(id: number, read: (at: number) => T): T[] => {
    const place = field(id);
    if (place === 0) return [];
    const start = buffer.__vector(place);
    return Array.from(
      { length: buffer.__vector_len(place) },
      (_, index) => read(start + 4 * index),
    );
  };
  const items = (): unknown[] => list(4, (place) => readValue(buffer, buffer.__indirect(place)));
  const string = (place: number): string => {
    const bytes = buffer.__string(place, Encoding.UTF8_BYTES) as Uint8Array;
    return new TextDecoder().decode(bytes);
  };
  const packed = (): unknown[] => {
    const plain = [undefined, undefined, null, false, true];
    const numbers = field(8) === 0 ? 0 : buffer.__vector(field(8));
    const [texts, others] = [list(7, string), items()];
    let taken = 0;
    const kinds = field(6);
    const start = buffer.__vector(kinds);
    return Array.from({ length: buffer.__vector_len(kinds) }, (_, index) => {
      const kind = buffer.readUint8(start + index);
      if (kind === NUMBER) return buffer.readFloat64(numbers + 8 * taken++);
      return kind === TEXT ? texts.shift() : kind === 0 ? others.shift() : plain[kind];
    });
  };
  const object = (values: readonly unknown[]): unknown =>
    Object.fromEntries(list(5, string).map((key, index) => [key, values[index]]));
  switch (buffer.readUint8(field(0))) {
    case UNDEFINED:
      return undefined;
    case NULL:
      return null;
    case FALSE:
      return false;
    case TRUE:
      return true;
    case NUMBER:
      return buffer.readFloat64(field(1));
    case TEXT:
      return string(field(2));
    case ARRAY:
      return items();
    case OBJECT:
      return object(items());
    case PACKED_ARRAY:
      return packed();
    case PACKED_OBJECT:
      return object(packed());
    default:
      throw new Error("a kind that this test has no use for");
  }
}

function decode(bytes: Uint8Array): unknown {
  const buffer = new ByteBuffer(new Uint8Array(bytes));
  return readValue(buffer, buffer.__indirect(0));
}

const opOf = (name: string): number => NOTES_APP.routes.find((route) => route.name === name)!.op;
const AUTH = 1;

interface Tokens {
  readonly access: string;
  readonly owner: string;
}

Deno.test("a client written from the page alone", {
  sanitizeOps: false,
  sanitizeResources: false,
}, async (t) => {
  await withNotes(async ({ server, database }) => {
    const host = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request, info) => server.fetch(request, info),
    );
    const { pins } = await deriveServerKeys(database.secrets);
    const url = `http://127.0.0.1:${host.addr.port}`;
    const target: Target = { url, pin: pins[0]!, app: "notes" };
    let who: Tokens | undefined;

    await t.step(
      "over HTTP: signs in, writes, reads, and follows a stream to its end",
      async () => {
        const peer = await HttpPeer.connect(target);
        const one = async (op: number, args: unknown, token = ""): Promise<Message> => {
          const messages = await peer.call({ op, payload: encode(args), token });
          assert.equal(messages.length, 1);
          return messages[0]!;
        };
        who = decode((await one(AUTH, ["anonymous", null])).payload) as Tokens;
        const added = await one(opOf("add"), ["n1", "from afar: ü€"], who.access);
        assert.equal(added.type, Type.ANSWER);
        const read = await one(opOf("read"), ["n1"], who.access);
        assert.deepEqual(decode(read.payload), {
          ...{ id: "n1", text: "from afar: ü€", author: who.owner },
        });
        const payload = encode([3]);
        const stream = await peer.call({ op: opOf("count"), payload, token: who.access });
        assert.deepEqual(stream.map(({ type }) => type), [
          ...[Type.EVENT, Type.EVENT, Type.EVENT, Type.ANSWER],
        ]);
        assert.deepEqual(decode(stream[2]!.payload), { i: 3, owner: who.owner });
      },
    );

    await t.step("over a WebSocket: calls side by side, an error, a heartbeat, CLOSE", async () => {
      const peer = await SocketPeer.connect(target);
      const token = who!.access;
      const read = peer.begin({ op: opOf("read"), payload: encode(["n1"]), token });
      const missing = peer.begin({ op: opOf("read"), payload: encode(["n2"]), token });
      const stream = peer.begin({ op: opOf("count"), payload: encode([2]), token });
      assert.equal((decode((await peer.next(read)).payload) as { id: string }).id, "n1");
      const failed = await peer.next(missing);
      assert.equal(failed.type, Type.ERROR);
      assert.equal(JSON.parse(failed.payload.toString("utf8")).code, "NOT_FOUND");
      const types = [];
      for (let count = 0; count < 3; count++) types.push((await peer.next(stream)).type);
      assert.deepEqual(types, [Type.EVENT, Type.EVENT, Type.ANSWER]);
      peer.send({ type: Type.HEARTBEAT, stream: 0, op: 0, payload: Buffer.alloc(0) });
      const beat = await peer.next(0);
      assert.deepEqual([beat.type, beat.op], [Type.HEARTBEAT, 1]);
      assert.equal(await peer.close(), 1000);
    });

    await t.step("a server without the pinned key cannot answer it", async () => {
      const { pins: others } = await deriveServerKeys([crypto.getRandomValues(new Uint8Array(32))]);
      await assert.rejects(HttpPeer.connect({ ...target, pin: others[0]! }), /status 400/);
    });
    await host.shutdown();
  });
});
