/**
 * Where a parameter may stand in the text of a query: PostgreSQL's lexical rules, as far as they say where a
 * comment, a string or a quoted name begins and ends ("Lexical Structure" of its manual, for
 * `standard_conforming_strings = on`).
 *
 * A hole is filled by an expression in brackets, so it is a token of its own wherever text is code. Inside a
 * comment or a quote it would be no parameter, and what fills it could end what it stands in: refused. So is
 * text that would not stay inside the brackets it is put into. Where versions of PostgreSQL differ, the text is
 * refused.
 *
 * @module
 */

/** Why a text cannot be a query. */
export interface SqlTextFault {
  /** What is wrong, as the end of a sentence about the query. */
  readonly what: string;
  /** What to write instead. */
  readonly hint: string;
  /** Hole that it is about (from 0), or null where it is about the text. */
  readonly hole: number | null;
  /** Where: a part of the text, and an offset in it. */
  readonly part: number;
  readonly offset: number;
}

/** Something that has an end, and what ends it. */
interface Enclosure {
  readonly name: string;
  readonly part: number;
  readonly offset: number;
  /** Offset behind the end when looking from `at`, or -1 where this part has none. */
  end(text: string, at: number): number;
}

/** The first fault of a text around its holes, or null. */
export function sqlTextFault(parts: readonly string[]): SqlTextFault | null {
  const lexer = new Lexer(parts);
  return lexer.fault();
}

// Sticky, and over UTF-16: whatever is not ASCII belongs to a name, as every such byte does for PostgreSQL.
const NAME = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
const NUMBER = /\d[\w.\u0080-\uffff]*/y;
const DOLLAR = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
/** Between two parts of one string: blanks and comments with at least one new line. */
const CONTINUED = /(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y;

class Lexer {
  readonly #parts: readonly string[];
  #part = 0;
  #at = 0;
  /** Open brackets. */
  #depth = 0;

  constructor(parts: readonly string[]) {
    this.#parts = parts;
  }

  fault(): SqlTextFault | null {
    for (; this.#part < this.#parts.length; this.#part++) {
      this.#at = 0;
      const text = this.#parts[this.#part]!;
      const nul = text.indexOf("\0");
      if (nul >= 0) return this.#inText("it has a character NUL", "Remove it.", nul);
      const half = text.search(/\p{Surrogate}/u);
      if (half >= 0) return this.#inText("it has half of a surrogate pair", "Remove it.", half);
      while (this.#at < text.length) {
        const fault = this.#token(text);
        if (fault !== null) return fault;
      }
    }
    if (this.#depth === 0) return null;
    this.#part = this.#parts.length - 1;
    return this.#inText("a bracket is not closed", "Close it.", this.#at);
  }

  /** Goes past one token, or past one character of it where no enclosure can begin inside. */
  #token(text: string): SqlTextFault | null {
    const open = this.#enclosure(text);
    if (open !== null) {
      const end = open.end(text, this.#at);
      if (end < 0) return this.#unclosed(open);
      this.#at = end;
      return null;
    }
    const name = match(NAME, text, this.#at);
    if (name > 0) {
      this.#at += name;
      return null;
    }
    const number = match(NUMBER, text, this.#at);
    if (number > 0) {
      this.#at += number;
      return "$'\"".includes(text[this.#at] ?? " ")
        ? this.#inText("a number runs into a quote or a '$'", "Put a blank between.", this.#at)
        : null;
    }
    return this.#sign(text);
  }

  /** One character that is code. */
  #sign(text: string): SqlTextFault | null {
    const at = this.#at++;
    const sign = text[at];
    if (sign === "(") this.#depth++;
    if (sign === ")" && --this.#depth < 0) {
      return this.#inText("it closes a bracket that it did not open", "Remove the ')'.", at);
    }
    if (sign !== ";") return null;
    return this.#inText(
      "it is more than one statement, or ends in ';'",
      "A query is one SELECT, without ';'.",
      at,
    );
  }

  /** What begins here, gone past its beginning; null where nothing does. */
  #enclosure(text: string): Enclosure | null {
    const begin = (length: number, name: string, end: Enclosure["end"]): Enclosure => {
      const offset = this.#at;
      this.#at += length;
      return { name, part: this.#part, offset, end };
    };
    const sign = text[this.#at]!;
    if (text.startsWith("--", this.#at)) return begin(2, "a comment", lineEnd);
    if (text.startsWith("/*", this.#at)) return begin(2, "a comment", commentEnd);
    if (sign === "'") return begin(1, "a string", (_, at) => quoteEnd("'", text, at));
    if (sign === '"') return begin(1, "a quoted name", (_, at) => quoteEnd('"', text, at));
    // A longer name that ends in E is no prefix: names are gone past as a whole.
    if (/^[eE]'/.test(text.slice(this.#at, this.#at + 2))) return begin(2, "a string", escapedEnd);
    const length = match(DOLLAR, text, this.#at);
    if (length === 0) return null;
    const mark = text.slice(this.#at, this.#at + length);
    return begin(length, "a string", (_, at) => {
      const found = text.indexOf(mark, at);
      return found < 0 ? -1 : found + length;
    });
  }

  /** An enclosure without an end in its part: it runs into the next hole, or to the end. */
  #unclosed({ name, part, offset }: Enclosure): SqlTextFault | null {
    const text = this.#parts[part]!;
    if (part < this.#parts.length - 1) {
      return {
        what: `parameter ${part + 1} stands in ${name}, where it is none`,
        hint: name === "a comment"
          ? "Remove the comment, or the parameter in it."
          : "A parameter stands alone, never in quotes: like '%' || ${word} || '%'.",
        hole: part,
        part,
        offset: text.length,
      };
    }
    this.#at = text.length;
    // The last line's comment ends with the text.
    return text.startsWith("--", offset) ? null : this.#inText(
      `${name} is not closed`,
      "Close it.",
      offset,
    );
  }

  #inText(what: string, hint: string, offset: number): SqlTextFault {
    return { what, hint, hole: null, part: this.#part, offset };
  }
}

/** Characters that a sticky pattern takes at `at`; 0 for none. */
function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length ?? 0;
}

function lineEnd(text: string, at: number): number {
  for (let i = at; i < text.length; i++) if (text[i] === "\n" || text[i] === "\r") return i;
  return -1;
}

/** Comments nest. */
function commentEnd(text: string, at: number): number {
  for (let i = at, depth = 1; i < text.length - 1;) {
    const two = text.slice(i, i + 2);
    if (two === "/*") depth++;
    if (two === "*/" && --depth === 0) return i + 2;
    i += two === "/*" || two === "*/" ? 2 : 1;
  }
  return -1;
}

/** A doubled quote is one of the content. */
function quoteEnd(quote: string, text: string, at: number): number {
  for (let i = at; i < text.length; i++) {
    if (text[i] !== quote) continue;
    if (text[i + 1] !== quote) return i + 1;
    i++;
  }
  return -1;
}

/** As in `E'…'`: a backslash takes the next character, and a part on a later line has the same rules. */
function escapedEnd(text: string, at: number): number {
  for (let i = at; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "'") {
      if (text[i + 1] === "'") i++;
      else {
        const more = match(CONTINUED, text, i + 1);
        if (more === 0) return i + 1;
        i += more;
      }
    }
  }
  return -1;
}
