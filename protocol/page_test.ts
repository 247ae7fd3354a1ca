/**
 * The normative page against the code: every table of `docs/architecture/raystream.md` that names bytes,
 * limits, codes or ops says what the code does, and all of it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KEY_LABELS } from "../_internal/keys.ts";
import { MIN_FRAGMENT } from "./assembler.ts";
import { ENTRY_HEADER } from "./batch.ts";
import { concat, EMPTY, utf8, viewOf } from "./bytes.ts";
import { encodeValue } from "./codec/value.ts";
import {
  FrameFlag,
  FrameType,
  HEADER_LENGTH,
  isSealedType,
  MAX_FRAME_BODY,
  MAX_FRAMES,
  outerFailure,
  RAY_VERSION,
  readHeader,
  writeHeader,
} from "./frames.ts";
import { encodePrologue, NOISE_INIT_LENGTH, RayTransport } from "./hello.ts";
import { ELEMENT_COST } from "./input_budget.ts";
import { CLOCK_TOLERANCE, MAX_KEY_SET } from "./key_set.ts";
import {
  DEFAULT_LIMITS,
  encodeLimits,
  MAX_ERROR,
  MAX_INIT,
  MAX_MESSAGE,
  MAX_TOKEN,
  resolveLimits,
} from "./limits.ts";
import { encodePrefix, MESSAGE_KIND, readPrefix, SALT_LENGTH } from "./message_keys.ts";
import { KEY_SET_PATH, RAY_PATH } from "./paths.ts";
import { FIRST_APP_OP, SYSTEM_OPS } from "./rpc.ts";
import { FRAME_OVERHEAD, MAX_FRAGMENT } from "./sealed_frame.ts";
import { BODY_PACE } from "./request_body.ts";
import { RAY_CONTENT_TYPE } from "./server.ts";
import { encodeGrant } from "./session_grant.ts";
import { ControlOp, INITIAL_CREDIT } from "./socket_control.ts";
import { MAX_INPUTS } from "./socket_input.ts";
import { CloseCode } from "./close_code.ts";
import { REKEY_INTERVAL } from "./stream_state.ts";
import { EPOCH_MS } from "./tickets.ts";

const page = await Deno.readTextFile(new URL("../docs/architecture/raystream.md", import.meta.url));
const prose = page.replace(/\s+/g, " ");

/** Cells of the table whose heading begins so, without backticks. */
function table(...heading: readonly string[]): string[][] {
  const lines = page.split("\n");
  const cells = (line: string): string[] =>
    line.split("|").slice(1, -1).map((cell) => cell.replaceAll("`", "").trim());
  const at = lines.findIndex((line) =>
    line.startsWith("|") && heading.every((name, index) => cells(line)[index] === name)
  );
  assert.ok(at >= 0, `the page has no table ${heading.join(", ")}`);
  const end = lines.findIndex((line, index) => index > at && !line.startsWith("|"));
  return lines.slice(at + 2, end).map(cells);
}

/** Bytes that a cell tells: `4 MiB`, `8,192 bytes`, `65,535`, `4 GiB − 1`. */
function bytesOf(cell: string): number {
  const match = /^([\d,]+)(?: (MiB|GiB|bytes))?( − 1)?$/.exec(cell);
  assert.ok(match, `'${cell}' is no number`);
  const unit = { MiB: 2 ** 20, GiB: 2 ** 30 }[match[2] ?? ""] ?? 1;
  return Number(match[1]!.replaceAll(",", "")) * unit - (match[3] === undefined ? 0 : 1);
}

const sorted = (values: Iterable<string>): string[] => [...new Set(values)].sort();

Deno.test("the page's frame types, flags and close codes are those of the code", () => {
  const types = table("type", "name", "body").map(([type, name]) => [name, parseInt(type!, 16)]);
  assert.deepEqual(Object.fromEntries(types), FrameType);
  for (const [type, name, body] of table("type", "name", "body")) {
    const sealed = isSealedType(parseInt(type!, 16)) || name === "SESSION";
    assert.equal(!/^(clear|empty)/.test(body!), sealed, name);
  }
  const flags = table("flag", "name", "meaning").map(([flag, name]) => [name, parseInt(flag!, 16)]);
  assert.deepEqual(Object.fromEntries(flags), FrameFlag);
  const codes = table("code", "meaning").map(([code]) => Number(code));
  assert.deepEqual(codes.sort(), Object.values(CloseCode).sort());
});

Deno.test("header, hello and outer failure lie as the page's tables say", () => {
  const bytes = new Uint8Array(HEADER_LENGTH);
  writeHeader(bytes, 0, { type: FrameType.EVENT, flags: 1, length: 0x1234, sequence: 0x8765_4321 });
  const view = viewOf(bytes);
  const read = { u8: 1, u16: 2, u32: 4, u64: 8 };
  const found = table("offset", "field", "value").map(([offset, field]) => {
    const [name, type] = field!.split(" ") as [string, keyof typeof read];
    const at = Number(offset);
    const value = type === "u8"
      ? view.getUint8(at)
      : type === "u16"
      ? view.getUint16(at, true)
      : type === "u32"
      ? view.getUint32(at, true)
      : Number(view.getBigUint64(at, true));
    return [name, value];
  });
  assert.deepEqual(Object.fromEntries(found), {
    ...{ version: RAY_VERSION, type: FrameType.EVENT, flags: 1 },
    ...{ length: 0x1234, sequence: 0x8765_4321 },
  });
  const hello = encodePrologue({
    transport: RayTransport.WEBSOCKET,
    kid: "abcdefgh",
    app: "notes",
  });
  const rows = table("hello", "value").map(([field]) => field);
  assert.deepEqual(rows, [
    ...["version u8", "suite u8", "transport u8", "zero u8", "kid[8]", "app_len u16", "app"],
  ]);
  const expected = concat(new Uint8Array([1, 1, 2, 0]), utf8("abcdefgh"), new Uint8Array([5, 0]));
  assert.deepEqual(hello.subarray(HEADER_LENGTH), concat(expected, utf8("notes")));
  const failure = /`((?:[\da-f]{2} ){15}[\da-f]{2})`/.exec(prose)?.[1] ?? "";
  assert.equal([...outerFailure()].map((b) => b.toString(16).padStart(2, "0")).join(" "), failure);
});

Deno.test("the page's limits are the code's, default and greatest, and are refused beyond", () => {
  const rows = table("limit", "default", "greatest");
  const named = rows.filter(([, , greatest]) => greatest !== "");
  assert.deepEqual(
    Object.fromEntries(named.map(([name, value]) => [name, bytesOf(value!)])),
    DEFAULT_LIMITS,
  );
  for (const [name, , greatest] of named) {
    const most = bytesOf(greatest!);
    const room = { reassembly: 0xffff_ffff };
    assert.equal(resolveLimits({ ...room, [name!]: most })[name as "message"], most);
    assert.throws(() => resolveLimits({ ...room, [name!]: most + 1 }), { code: "CONFIG" }, name);
  }
  const others = rows.filter(([, , greatest]) => greatest === "");
  assert.deepEqual(
    Object.fromEntries(others.map(([name, value]) => [name, bytesOf(value!)])),
    { INIT: MAX_INIT, "session token": MAX_TOKEN, error: MAX_ERROR, pace: BODY_PACE.bytes },
  );
  const announced = viewOf(
    encodeLimits({ message: 1, streams: 2, subscriptions: 3, reassembly: 4 }),
  );
  assert.ok(
    prose.includes("`message u32 ‖ streams u16 ‖ subscriptions u16 ‖ reassembly u32 ‖ 0⁴`"),
  );
  const told = [0, 4, 6, 8, 12].map((at) => announced.getUint16(at, true));
  assert.deepEqual(told, [1, 2, 3, 4, 0]);
});

Deno.test("the page's operations and kinds of values are those of the code", () => {
  const ops = table("op", "name", "payload").map((
    [op, name],
  ) => [name, Number(op!.replace("≥ ", ""))]);
  assert.deepEqual(Object.fromEntries(ops), {
    ...SYSTEM_OPS,
    ...ControlOp,
    function: FIRST_APP_OP,
  });
  const kinds = table("kind", "", "kind").flatMap((row) =>
    [0, 2, 4].flatMap((at) => row[at] === "" ? [] : [[row[at + 1]!.split(",")[0], Number(row[at])]])
  );
  const samples: Record<string, unknown> = {
    ...{ undefined, null: null, false: false, true: true, number: 1, string: "s", bigint: 1n },
    ...{ date: new Date(0), bytes: EMPTY, array: [], object: {}, map: new Map(), set: new Set() },
    ...{ "packed array": [1], "packed object": { a: 1 }, "typed array": new Float64Array(1) },
  };
  const written = Object.entries(samples).map(([name, value]) => {
    const bytes = encodeValue(value);
    const view = viewOf(bytes);
    const root = view.getUint32(0, true);
    const vtable = root - view.getInt32(root, true);
    return [name, bytes[root + view.getUint16(vtable + 4, true)]];
  });
  assert.deepEqual(Object.fromEntries(kinds), Object.fromEntries(written));
});

Deno.test("what the page says in sentences about bytes and numbers is what the code has", () => {
  const number = (value: number): string => value.toLocaleString("en");
  const sentences = [
    `one frame costs ${FRAME_OVERHEAD} bytes and holds at most ${number(MAX_FRAGMENT)} bytes`,
    `at most ${number(MAX_FRAME_BODY)}, tag included`,
    `MORE has at least ${number(MIN_FRAGMENT)} bytes of payload`,
    `After every ${number(REKEY_INTERVAL)} frames a direction makes Noise's REKEY`,
    `A session ends at 2${superscript(Math.log2(MAX_FRAMES))} frames`,
    `At most ${number(MAX_INIT)} bytes in all`,
    `\`POST ${RAY_PATH}\`, \`content-type: ${RAY_CONTENT_TYPE}\` (exactly`,
    `\`GET ${KEY_SET_PATH}\``,
    `at most ${number(MAX_KEY_SET)} characters`,
    `A client's clock may be a day off`,
    `may send ${number(INITIAL_CREDIT)} bytes of elements on a stream`,
    `numbered 0 to ${MAX_INPUTS - 1} among the streamed parameters`,
    `An element costs its bytes and ${ELEMENT_COST}; it is sent whole`,
    `windows of at most ${number(INITIAL_CREDIT)} bytes`,
    `session token in UTF-8 (at most ${number(MAX_TOKEN)} bytes`,
    `JSON in UTF-8, at most ${number(MAX_ERROR)} bytes`,
    `messages of at most ${MAX_MESSAGE >> 20} MiB, ${4 * MAX_MESSAGE >> 20} MiB of unfinished ones`,
    `${MAX_MESSAGE >> 20} MiB and ${
      number(INITIAL_CREDIT)
    } bytes, ${ELEMENT_COST} for each element`,
    `\`e[32] ‖ tag[16]\``,
    `info = "${KEY_LABELS.serverKey}" ‖ 00, 32`,
    `info = "${KEY_LABELS.ticket}" ‖ 00 ‖ epoch u32`,
    `\`epoch = floor(now / ${EPOCH_MS / 3_600_000} h)\``,
    `Of a body, ${number(BODY_PACE.bytes)} bytes or its end must come in every ${
      BODY_PACE.milliseconds / 1000
    } seconds`,
    `Ops below ${number(FIRST_APP_OP)} are Kontract's own`,
  ];
  for (const sentence of sentences) assert.ok(prose.includes(sentence), sentence);
  assert.equal(NOISE_INIT_LENGTH, 32 + 16);
  assert.equal(CLOCK_TOLERANCE, 86_400_000);
  const entry = "`type u8 ‖ 0³ ‖ stream u32 ‖ op u32 ‖ length u32 ‖ payload[length]`";
  assert.ok(prose.includes(entry) && ENTRY_HEADER === 1 + 3 + 4 + 4 + 4);
});

Deno.test("prefix and SESSION lie as the page says, a ticket from 1 to 1,024 bytes", () => {
  const layout = "`P = 01 ‖ 40 ‖ ticket_len u16 ‖ lane[8] ‖ reqno u64 ‖ salt_c[16] ‖ ticket`";
  assert.ok(prose.includes(layout));
  const [lane, salt, ticket] = [8, SALT_LENGTH, 5].map((n) => new Uint8Array(n).fill(n));
  const prefix = encodePrefix({ lane: lane!, reqno: 7n, salt: salt!, ticket: ticket! });
  const number = new Uint8Array([7, 0, 0, 0, 0, 0, 0, 0]);
  const head = new Uint8Array([RAY_VERSION, MESSAGE_KIND, 5, 0]);
  assert.deepEqual(prefix, concat(head, lane!, number, salt!, ticket!));
  assert.equal(MESSAGE_KIND, 0x40);
  const [least, most] = /`ticket_len` is ([\d,]+) to ([\d,]+)/.exec(prose)!.slice(1).map(bytesOf);
  const fits = (length: number): boolean => {
    const ticket = new Uint8Array(length);
    try {
      readPrefix(encodePrefix({ lane: lane!, reqno: 0n, salt: salt!, ticket }));
      return true;
    } catch {
      return false;
    }
  };
  assert.deepEqual([least! - 1, least!, most!, most! + 1].map(fits), [false, true, true, false]);
  assert.ok(prose.includes("`S[32] ‖ expires_in u32 (seconds) ‖ ticket_len u16 ‖ ticket`"));
  const secret = new Uint8Array(32).fill(9);
  const grant = encodeGrant({ secret, expiresIn: 3600, ticket: ticket! });
  assert.deepEqual(grant, concat(secret, new Uint8Array([16, 14, 0, 0, 5, 0]), ticket!));
});

Deno.test("every error that this layer makes is in the page's table, and no other", async () => {
  const made: string[] = [];
  const folder = new URL(".", import.meta.url);
  for (const name of ["", "codec/", "crypto/", "noise/"]) {
    for await (const { name: file } of Deno.readDir(new URL(name, folder))) {
      if (!file.endsWith(".ts") || file.endsWith("_test.ts")) continue;
      const text = await Deno.readTextFile(new URL(name + file, folder));
      for (const [, code] of text.matchAll(/KontractError\(\s*"([A-Z_]+)"/g)) made.push(code!);
    }
  }
  assert.ok(made.length > 50);
  const told = table("code", "made by", "where").map(([code]) => code!);
  assert.deepEqual(sorted(told), sorted(made));
});

Deno.test("frames with a version, type, flag or sequence that the page does not know are fatal", () => {
  const types = table("type", "name", "body").map(([type]) => parseInt(type!, 16));
  const header = { type: FrameType.EVENT, flags: 0, length: 0, sequence: 0 } as const;
  const readable = (change: (bytes: Uint8Array) => void): boolean => {
    const bytes = new Uint8Array(HEADER_LENGTH);
    writeHeader(bytes, 0, header);
    change(bytes);
    try {
      readHeader(bytes);
      return true;
    } catch {
      return false;
    }
  };
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  assert.deepEqual(bytes.filter((byte) => readable((to) => (to[1] = byte))), types);
  assert.deepEqual(bytes.filter((byte) => readable((to) => (to[0] = byte))), [RAY_VERSION]);
  assert.deepEqual(bytes.filter((byte) => readable((to) => (to[2] = byte))), [0, 1, 4, 5]);
  assert.deepEqual(bytes.filter((byte) => readable((to) => (to[3] = byte))), [0]);
  assert.deepEqual(bytes.filter((byte) => readable((to) => (to[12] = byte))), [0]);
});

function superscript(value: number): string {
  return String(value).replaceAll(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]!);
}
