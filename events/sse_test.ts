import assert from "node:assert/strict";
import { KontractError } from "../_internal/errors.ts";
import { encodeSse, encodeSseComment, SSE_MAX_EVENT, type SseEvent, SseParser } from "./sse.ts";

/** Seeded, so that a failure can be run again (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6D2B79F5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** The standard's grammar, read off the whole text at once: the slow twin. */
function parseWhole(text: string): SseEvent[] {
  const body = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const lines = body.replaceAll("\r\n", "\n").replaceAll("\r", "\n").split("\n");
  lines.pop(); // what stands after the last line end is no line
  const events: SseEvent[] = [];
  let event = "", data = "", id = "";
  for (const line of lines) {
    if (line === "") {
      if (data !== "") {
        events.push({ event: event || "message", data: data.slice(0, -1), lastEventId: id });
      }
      event = data = "";
      continue;
    }
    const [, field = "", value = ""] = /^([^:]*)(?:: ?([^]*))?$/.exec(line) ?? [];
    if (field === "event") event = value;
    else if (field === "data") data += `${value}\n`;
    else if (field === "id" && !value.includes("\0")) id = value;
  }
  return events;
}

function pieces(text: string, random: (below: number) => number): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length;) {
    const size = 1 + random(7);
    parts.push(text.slice(at, at + size));
    at += size;
  }
  return parts;
}

Deno.test("a stream parses the same however it is cut into pieces", () => {
  const atoms = [
    "data: a",
    "data",
    "data:",
    "data:  two spaces",
    "event: x",
    "event",
    "id: 1",
    "id",
    "id: a\0b",
    "retry: 5",
    ": comment",
    ":",
    "unknown: y",
    "data: ü😀",
    "",
    "",
    "",
  ];
  const ends = ["\n", "\r", "\r\n"];
  for (let seed = 1; seed <= 3000; seed += 1) {
    const random = randomFrom(seed);
    let text = random(8) === 0 ? "\uFEFF" : "";
    for (let count = random(20); count > 0; count -= 1) {
      text += `${atoms[random(atoms.length)]}${ends[random(ends.length)]}`;
    }
    const parser = new SseParser();
    const got = pieces(text, random).flatMap((piece) => parser.push(piece));
    assert.deepEqual(got, parseWhole(text), `seed ${seed}`);
  }
});

Deno.test("what is encoded is what is parsed", () => {
  for (let seed = 1; seed <= 500; seed += 1) {
    const random = randomFrom(seed);
    const alphabet = ["a", ":", " ", "\n", "\r", "\uFEFF", "é", "data:", "id: "];
    const data = Array.from({ length: random(12) }, () => alphabet[random(alphabet.length)]).join(
      "",
    );
    const frames = encodeSse({ event: "change", id: `t${seed}`, data }) + encodeSseComment("hello");
    const parser = new SseParser();
    const got = pieces(frames, random).flatMap((piece) => parser.push(piece));
    assert.deepEqual(got, [{
      event: "change",
      // Line breaks become "\n" and nothing else changes.
      data: data.replaceAll("\r\n", "\n").replaceAll("\r", "\n"),
      lastEventId: `t${seed}`,
    }], `seed ${seed}`);
  }
});

Deno.test("a one-line field can never start another field", () => {
  for (const value of ["a\nb", "a\rb", "a\0b"]) {
    for (const frame of [{ event: value }, { id: value }]) {
      assert.throws(() => encodeSse(frame), { code: "VALIDATION" });
    }
  }
  assert.throws(() => encodeSse({ retry: 1.5 }), { code: "VALIDATION" });
});

Deno.test("the last id goes on until another is sent, and retry is kept", () => {
  const parser = new SseParser();
  const events = parser.push("retry: 7\nid: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n");
  assert.deepEqual(events.map((event) => event.lastEventId), ["1", "1", ""]);
  assert.equal(parser.retry, 7);
  parser.push("retry: 7x\n");
  assert.equal(parser.retry, 7);
});

Deno.test("a stream that never ends an event is cut off at the limit", () => {
  for (const piece of ["x".repeat(1 << 20), `data: ${"x".repeat(1 << 20)}\n`]) {
    const parser = new SseParser();
    assert.throws(() => {
      for (let sent = 0; sent <= SSE_MAX_EVENT * 2; sent += piece.length) parser.push(piece);
    }, (error) => error instanceof KontractError && error.code === "TOO_LARGE");
  }
});
