/**
 * Server-sent events as text: WHATWG HTML, section 9.2.5 "Parsing an event stream" and 9.2.6
 * "Interpreting an event stream". Pure: characters in, events out.
 *
 * The parser keeps what the standard says a browser keeps: the last event id is carried over to later
 * events, an id that holds U+0000 is ignored, an unfinished event at the end of the stream is dropped.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** One event as an `EventSource` would dispatch it. */
export interface SseEvent {
  /** `message` where the stream named none. */
  readonly event: string;
  readonly data: string;
  /** The last id the stream has sent; empty before the first. */
  readonly lastEventId: string;
}

/** What can be put into a frame; fields that are missing are not written. */
export interface SseFrame {
  readonly event?: string;
  readonly data?: string;
  readonly id?: string;
  /** Reconnection time in milliseconds. */
  readonly retry?: number;
}

/**
 * One frame as text, with the empty line that dispatches it.
 *
 * @throws {KontractError} `VALIDATION` where a one-line field holds a line break or an id holds U+0000
 */
export function encodeSse(frame: SseFrame): string {
  let text = "";
  if (frame.event !== undefined) text += `event: ${oneLine("event", frame.event)}\n`;
  if (frame.id !== undefined) text += `id: ${oneLine("id", frame.id)}\n`;
  if (frame.retry !== undefined) text += `retry: ${retryTime(frame.retry)}\n`;
  if (frame.data !== undefined) {
    for (const line of frame.data.split(/\r\n|\r|\n/)) text += `data: ${line}\n`;
  }
  return `${text}\n`;
}

/** A comment line: keeps a connection awake, seen by nobody. */
export function encodeSseComment(text = ""): string {
  return `: ${oneLine("comment", text)}\n\n`;
}

function oneLine(field: string, value: string): string {
  if (/[\r\n\0]/.test(value)) {
    throw new KontractError("VALIDATION", `SSE field '${field}' must be one line without U+0000.`);
  }
  return value;
}

function retryTime(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new KontractError("VALIDATION", "SSE field 'retry' must be a whole number from 0 up.");
  }
  return value;
}

/** Bounds what a stream without line ends, or without an end of an event, can make the parser hold. */
export const SSE_MAX_EVENT = 8 * 1024 * 1024;

/**
 * Incremental parser: `push` text in any pieces, get the events that are complete.
 *
 * @example
 * ```ts
 * const parser = new SseParser();
 * parser.push("data: a\n"); // []
 * parser.push("\n"); // [{ event: "message", data: "a", lastEventId: "" }]
 * ```
 */
export class SseParser {
  #pending = "";
  #started = false;
  #afterCr = false;
  #event = "";
  #data: string[] = [];
  #size = 0;
  #idBuffer = "";
  #retry: number | null = null;

  /** Reconnection time the stream asked for last, or null. */
  get retry(): number | null {
    return this.#retry;
  }

  /**
   * Takes the next characters and gives the events they complete.
   *
   * @throws {KontractError} `TOO_LARGE` for an event beyond {@link SSE_MAX_EVENT} characters
   */
  push(chunk: string): SseEvent[] {
    const events: SseEvent[] = [];
    let text = chunk;
    if (!this.#started && text !== "") {
      this.#started = true;
      if (text.startsWith("\uFEFF")) text = text.slice(1);
    }
    if (this.#afterCr && text !== "") {
      this.#afterCr = false;
      if (text.startsWith("\n")) text = text.slice(1);
    }
    text = this.#pending + text;
    let start = 0;
    const ends = /\r\n|\r|\n/g;
    ends.lastIndex = this.#pending.length;
    for (let match = ends.exec(text); match !== null; match = ends.exec(text)) {
      this.#line(text.slice(start, match.index), events);
      start = ends.lastIndex;
      // A CR that ends the chunk may be half of a CRLF.
      if (match[0] === "\r" && start === text.length) this.#afterCr = true;
    }
    this.#pending = text.slice(start);
    this.#checkSize(this.#pending.length);
    return events;
  }

  #line(line: string, events: SseEvent[]): void {
    if (line === "") return this.#dispatch(events);
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    let value = colon === -1 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") {
      this.#data.push(value);
      this.#size += value.length + 1;
      this.#checkSize(this.#size);
    } else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#idBuffer = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.#retry = Number(value);
  }

  #dispatch(events: SseEvent[]): void {
    if (this.#data.length > 0) {
      events.push({
        event: this.#event || "message",
        data: this.#data.join("\n"),
        lastEventId: this.#idBuffer,
      });
    }
    this.#event = "";
    this.#data = [];
    this.#size = 0;
  }

  #checkSize(length: number): void {
    if (length > SSE_MAX_EVENT) {
      throw new KontractError("TOO_LARGE", "A server-sent event is larger than the limit.");
    }
  }
}
