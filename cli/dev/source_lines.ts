/**
 * Stack traces of workerd, which knows no source maps, with the author's files and lines in place of the
 * bundle's. Deno reads the maps by itself.
 *
 * Works on the text that the app prints, line by line: a place in the bundle stands in it as
 * `file:///…/dist/worker/x.js:12:34`, in a stack as in a line of JSON. What no map knows stays as it is.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import { editedLines } from "./edited_lines.ts";

const PLACE = /file:\/\/\/[^\s"'`<>()]+?\.js:\d+:\d+/g;

/** Finds lines of one bundle. */
export class SourceLines {
  readonly #folder: string;
  readonly #maps: Map<string, TraceMap | null> = new Map();

  /** `folder` is the bundle's, absolute. */
  constructor(folder: string) {
    this.#folder = pathToFileURL(folder).href;
  }

  /** Forgets the maps: the bundle is another. */
  clear(): void {
    this.#maps.clear();
  }

  /** A text with the author's places in it. */
  text(line: string): string {
    return line.includes(this.#folder)
      ? line.replaceAll(PLACE, (place) => this.#place(place) ?? place)
      : line;
  }

  /** The same for a stream: whole lines, as they come. */
  stream(): TransformStream<Uint8Array, Uint8Array> {
    return editedLines((text) => this.text(text));
  }

  #place(place: string): string | null {
    const [, url, line, column] = /^(.*):(\d+):(\d+)$/.exec(place) ?? [];
    if (url === undefined || !url.startsWith(`${this.#folder}/`)) return null;
    const map = this.#mapOf(fileURLToPath(url));
    if (map === null) return null;
    const found = originalPositionFor(map, { line: Number(line), column: Number(column) - 1 });
    // Generated modules have no file of the author's.
    if (found.source === null || /^kontract(?:-stub)?:/.test(found.source)) return null;
    if (/^[\w-]{2,}:/.test(found.source)) {
      return `${found.source}:${found.line}:${found.column + 1}`;
    }
    const source = pathToFileURL(join(dirname(fileURLToPath(url)), found.source)).href;
    return `${source}:${found.line}:${found.column + 1}`;
  }

  #mapOf(file: string): TraceMap | null {
    const known = this.#maps.get(file);
    if (known !== undefined) return known;
    let map: TraceMap | null = null;
    try {
      map = new TraceMap(Deno.readTextFileSync(`${file}.map`));
    } catch {
      // None, or cut short: the place in the bundle is better than nothing.
    }
    this.#maps.set(file, map);
    return map;
  }
}
