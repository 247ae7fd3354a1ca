/**
 * A route's chain of middleware as one function: `next()` becomes the code that follows.
 *
 * The meaning is that of the nested form `first.handler(async () => second.handler(…))`. A spliced
 * handler's `return` leaves a labelled block, which runs its `finally` blocks just as leaving a function
 * does; what it returns is awaited where the outer handler awaits `next()`. Where a place does not allow
 * statements the rest becomes a function called there, and where a handler cannot be moved (see
 * `inline_handler.ts`) its own function is called. Names a handler takes from its module are imported
 * under names of their own, so that no handler's local name hides another's.
 *
 * @module
 */
import type { HandlerPiece, InlineHandler } from "../inline_handler.ts";
import type { MappedText } from "./mapped_text.ts";

/** One middleware of a chain. */
export interface SpliceLink {
  /** Expression of the middleware's object, for calls of its handler. */
  readonly object: string;
  /** The handler's pieces, or null where it must be called. */
  readonly inline: InlineHandler | null;
  /** What the source map calls the handler's file. */
  readonly file: string;
  /** Expression for a name of the handler's module. */
  readonly freeName: (name: string) => string;
}

/** How `return` leaves a handler: as a function, or out of a labelled block with a variable. */
type Exit = { readonly label: null } | { readonly label: string; readonly result: string };

const FUNCTION_EXIT: Exit = { label: null };

/** Tells which links are spliced into a function; the others are called. */
export function splicedLinks(chain: readonly SpliceLink[]): readonly boolean[] {
  const locals = new Set<string>();
  return chain.map(({ inline }) => {
    if (inline === null || inline.globals.some((name) => locals.has(name))) return false;
    for (const name of inline.locals) locals.add(name);
    return true;
  });
}

/** Appends the function of a chain: `async ($kargs) => { … }`; `target` is the call at its end. */
export function emitChain(out: MappedText, chain: readonly SpliceLink[], target: string): void {
  const emitter = new ChainEmitter(out, chain, target);
  out.add("async ($kargs) => {");
  emitter.link(0, FUNCTION_EXIT);
  out.add("}");
}

class ChainEmitter {
  readonly #out: MappedText;
  readonly #chain: readonly SpliceLink[];
  readonly #spliced: readonly boolean[];
  readonly #target: string;
  #labels = 0;

  constructor(out: MappedText, chain: readonly SpliceLink[], target: string) {
    this.#out = out;
    this.#chain = chain;
    this.#spliced = splicedLinks(chain);
    this.#target = target;
  }

  /** Link `i` and all behind it, as statements. True where what it leaves with is never a promise. */
  link(i: number, exit: Exit): boolean {
    const link = this.#chain[i];
    if (link === undefined || !this.#spliced[i]) {
      return this.#leave(exit, () => this.#call(i));
    }
    return this.#pieces(link.inline!.pieces, i, link, exit);
  }

  /** Link `i` and all behind it, as an expression that may be a promise. */
  #call(i: number): false {
    const link = this.#chain[i];
    if (link === undefined) {
      this.#out.add(this.#target);
    } else if (this.#spliced[i]) {
      this.#out.add("(async () => {");
      this.link(i, FUNCTION_EXIT);
      this.#out.add("})()");
    } else {
      this.#out.add(`${link.object}.handler(async () => {`);
      this.link(i + 1, FUNCTION_EXIT);
      this.#out.add("})");
    }
    return false;
  }

  #leave(exit: Exit, value: () => boolean): boolean {
    if (exit.label === null) {
      this.#out.add("return ");
      value();
      this.#out.add(";");
      return true;
    }
    this.#out.add(`${exit.result} = `);
    const settled = value();
    this.#out.add(`; break ${exit.label};`);
    return settled;
  }

  #pieces(pieces: readonly HandlerPiece[], i: number, link: SpliceLink, exit: Exit): boolean {
    let settled = true;
    for (const piece of pieces) {
      const isSettled = this.#piece(piece, i, link, exit);
      settled &&= isSettled;
    }
    return settled;
  }

  #piece(piece: HandlerPiece, i: number, link: SpliceLink, exit: Exit): boolean {
    const out = this.#out;
    switch (piece.kind) {
      case "text":
        out.add(piece.text, { ...piece, file: link.file });
        return true;
      case "free": {
        const name = link.freeName(piece.name);
        out.add(piece.key ? `${piece.name}: ${name}` : name, { ...piece, file: link.file });
        return true;
      }
      case "return":
        return this.#wrapped(piece.listed, () =>
          this.#leave(exit, () => {
            if (piece.value === null) out.add("void 0");
            else this.#pieces(piece.value, i, link, exit);
            return piece.settled;
          }));
      case "next":
        return this.#wrapped(piece.listed, () => this.#next(piece, i, link, exit));
    }
  }

  #wrapped(listed: boolean, work: () => boolean): boolean {
    if (listed) return work();
    this.#out.add("{ ");
    const settled = work();
    this.#out.add(" }");
    return settled;
  }

  #next(
    piece: Extract<HandlerPiece, { kind: "next" }>,
    i: number,
    link: SpliceLink,
    exit: Exit,
  ): boolean {
    const out = this.#out;
    const mark = { file: link.file, line: piece.line, column: piece.column };
    const spliced = this.#spliced[i + 1] === true;
    if (piece.form === "tail") {
      if (!spliced) return this.#leave(exit, () => this.#call(i + 1));
      out.add("{");
      const settled = this.link(i + 1, exit);
      this.#leave(exit, () => {
        out.add("void 0");
        return true;
      });
      out.add("}");
      return settled;
    }
    const leave = (value: () => void): boolean =>
      this.#leave(exit, () => {
        value();
        return true;
      });
    if (piece.form === "guarded" && !spliced) {
      return leave(() => {
        out.add("await ", mark);
        this.#call(i + 1);
      });
    }
    if (piece.form === "expression" || !spliced) {
      this.#pieces(piece.before, i, link, exit);
      out.add("await ", mark);
      this.#call(i + 1);
      out.add(piece.after);
      return true;
    }
    const n = this.#labels++;
    const [label, result] = [`$kl${n}`, `$kr${n}`];
    out.add(`let ${result}; ${label}: {`);
    const settled = this.link(i + 1, { label, result });
    // A `return` that a `finally` block took back has left its value behind.
    out.add(` ${result} = void 0; }\n`);
    const value = `${settled ? "" : "await "}${result}`;
    if (piece.form === "guarded") return leave(() => out.add(value, mark));
    this.#pieces(piece.before, i, link, exit);
    out.add(`${value}${piece.after}`, mark);
    return true;
  }
}
