/**
 * Generated text that remembers where parts of it came from: a version 3 source map, built as the text
 * grows, so that a stack trace through copied code leads to the author's line.
 *
 * @module
 */

/** A place in a source: lines and columns count from 0. */
export interface SourceMark {
  /** As it shall stand in the map. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

interface Segment {
  readonly column: number;
  readonly mark: SourceMark;
}

/** Text under construction. */
export class MappedText {
  #parts: string[] = [];
  #line = 0;
  #column = 0;
  readonly #segments: Segment[][] = [];

  /** Appends text; `mark` is where its first character stands in a source. */
  add(text: string, mark?: SourceMark): this {
    for (const [i, line] of text.split("\n").entries()) {
      if (i > 0) {
        this.#line++;
        this.#column = 0;
      }
      if (mark !== undefined && line !== "") {
        const column = i === 0 ? mark.column : 0;
        (this.#segments[this.#line] ??= []).push({
          column: this.#column,
          mark: { file: mark.file, line: mark.line + i, column },
        });
      }
      this.#column += line.length;
    }
    this.#parts.push(text);
    return this;
  }

  /** The text, with its map as a comment where anything in it has a place. */
  toString(): string {
    const text = this.#parts.join("");
    if (this.#segments.length === 0) return text;
    const bytes = new TextEncoder().encode(JSON.stringify(this.#map()));
    const url = `data:application/json;base64,${bytes.toBase64()}`;
    return `${text}\n//# sourceMappingURL=${url}\n`;
  }

  #map(): unknown {
    const sources: string[] = [];
    let [source, line, column] = [0, 0, 0];
    const lines = Array.from({ length: this.#line + 1 }, (_, i) => {
      let before = 0;
      return (this.#segments[i] ?? []).map((segment) => {
        const { mark } = segment;
        let index = sources.indexOf(mark.file);
        if (index < 0) index = sources.push(mark.file) - 1;
        const numbers = [
          segment.column - before,
          index - source,
          mark.line - line,
          mark.column - column,
        ];
        [before, source, line, column] = [segment.column, index, mark.line, mark.column];
        return numbers.map(quantity).join("");
      }).join(",");
    });
    return { version: 3, sources, names: [], mappings: lines.join(";") };
  }
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Base64 VLQ: five bits a digit, the lowest first, the sign in the lowest bit. */
function quantity(value: number): string {
  let rest = value < 0 ? (-value << 1) | 1 : value << 1;
  let out = "";
  do {
    const digit = rest & 31;
    rest >>>= 5;
    out += DIGITS[rest > 0 ? digit | 32 : digit];
  } while (rest > 0);
  return out;
}
