/**
 * Random middleware in TypeScript: code before and after, try and finally, early returns, throws,
 * `next` in every position, called conditionally, twice or never, and names that hide others.
 *
 * @module
 */
import { type Random, randomFrom } from "./random.ts";

/** Module-level text that the handlers use. */
export const MIDDLEWARE_PRELUDE = `import { defineMiddleware } from "@kontract/kontract";
import { flip, later, trace } from "./trace.ts";
const state = { n: 0 };
let counter = 0;
const x = "module x";
`;

/** The probe that both forms report to. */
export const TRACE_MODULE = `export const probe = { lines: [] as string[], seed: 0 };
export function trace(line: unknown): void { probe.lines.push(String(line)); }
/** A coin that falls the same way for the same place in the same run. */
export function flip(place: number): boolean {
  return Math.imul(place + 17, 2654435761 ^ Math.imul(probe.seed + 3, 40503)) % 5 < 1;
}
/** A promise-like value that tells when it is looked at. */
export function later(value: string, fails: boolean): PromiseLike<string> {
  return {
    // deno-lint-ignore no-explicit-any
    then: (resolve: any, reject: any) => {
      trace("settled " + value);
      if (fails) reject(new Error(value));
      else resolve(value);
    },
  } as PromiseLike<string>;
}
`;

const LOCALS = ["x", "value", "performance", "start", "args"];
/** One variable, as an expression that is assigned to. */
const COUNTERS = ["counter", "(counter satisfies number)", "(counter!)"];

/** Text of one handler. */
export function randomHandler(seed: number): string {
  const writer = new HandlerWriter(randomFrom(seed), seed * 1000);
  return writer.handler();
}

class HandlerWriter {
  readonly #random: Random;
  #place: number;
  #nexts: number;
  /** Blocks around with a `finally`: beside it a `next` that is not awaited would race. */
  #finals = 0;

  constructor(random: Random, place: number) {
    this.#random = random;
    this.#place = place;
    this.#nexts = random.pick([1, 1, 1, 1, 1, 0, 2]);
  }

  handler(): string {
    if (this.#random.chance(0.05)) return "async (next) => await next()";
    if (this.#random.chance(0.05)) return "(next) => next()";
    if (this.#random.chance(0.05)) return "async function (next) { return await next(); }";
    return `async (next) => {\n${this.#block(0)}}`;
  }

  #block(depth: number): string {
    const free = [...LOCALS];
    const lines = Array.from(
      { length: 1 + this.#random.below(4) },
      () => this.#statement(depth, free),
    );
    return lines.map((line) => `  ${line}\n`).join("");
  }

  #statement(depth: number, free: string[]): string {
    const place = this.#place++;
    if (this.#nexts > 0 && this.#random.chance(0.45)) {
      this.#nexts--;
      return this.#next(place, free);
    }
    const simple = [
      () => `trace("at ${place}");`,
      () => `trace(typeof performance + x);`,
      () => `state.n++; trace(state.n > 0);`,
      () => `if (flip(${place})) { ${this.#leave(place)} }`,
      () => `if (flip(${place})) ${this.#leave(place)}`,
      () => this.#local(place, free),
      () =>
        this.#random.chance(0.2)
          ? `${this.#random.pick(COUNTERS)}++; trace(counter > 0);`
          : `trace({ x }.x);`,
    ];
    if (depth > 2 || this.#random.chance(0.6)) return this.#random.pick(simple)();
    return this.#compound(place, depth);
  }

  #compound(place: number, depth: number): string {
    const inner = () => this.#block(depth + 1);
    switch (this.#random.below(6)) {
      case 0:
      case 1:
        return `try {\n${inner()}} catch (error) {\n  trace("caught " + (error as Error).message);\n${inner()}}`;
      case 2:
      case 3: {
        this.#finals++;
        const text = this.#final(place, inner);
        this.#finals--;
        return text;
      }
      case 4:
        return `switch (flip(${place})) {\n  case true:\n${inner()}  break;\n  default:\n${inner()}}`;
      default:
        return `for (let i = 0; i < 2; i++) {\n${inner()}  if (flip(${place})) break;\n}`;
    }
  }

  #final(place: number, inner: () => string): string {
    return this.#random.chance(0.5)
      ? `try {\n${inner()}} finally {\n${inner()}}`
      : `try {\n${inner()}} catch (e) {\n  trace((e as Error).message);\n${inner()}} finally {\n  trace("finally ${place}");\n${inner()}}`;
  }

  #local(place: number, free: string[]): string {
    if (free.length === 0) return `trace(${place});`;
    const [name] = free.splice(this.#random.below(free.length), 1);
    // Its own block: a name used before its declaration in the same block would be another matter.
    return `{ const ${name} = "local ${place}"; trace(${name}); }`;
  }

  #leave(place: number): string {
    return this.#random.pick([
      `return "early ${place}";`,
      `return;`,
      `return later("later ${place}", false);`,
      `return later("fails ${place}", true);`,
      `throw new Error("thrown ${place}");`,
    ]);
  }

  #next(place: number, free: string[]): string {
    // Its own block would be needed for names that statements around it use.
    const at = free.findIndex((one) => one !== "x" && one !== "performance");
    const [name] = at < 0 ? [] : free.splice(at, 1);
    const forms = [
      `await next();`,
      `return await next();`,
      `return [await next(), "changed ${place}"];`,
      `if (flip(${place})) return await next();`,
      `if (flip(${place})) await next(); else trace("skipped ${place}");`,
      `trace("result " + JSON.stringify(await next()));`,
      `{ const x = await next(); trace(x); }`,
      `{ const performance = await next(); trace(performance); }`,
      `try { return await next(); } finally { trace("after ${place}"); }`,
    ];
    if (this.#finals === 0) {
      forms.push(
        `return next();`,
        `try { return next(); } catch (error) { trace((error as Error).message); }`,
      );
    }
    if (name !== undefined) {
      forms.push(
        `const ${name} = await next(); trace(JSON.stringify(${name})); return ${name};`,
        `const ${name}: unknown = await next();`,
        `let ${name}: unknown = 0; ${name} = await next(); trace(${name});`,
      );
    }
    return this.#random.pick(forms);
  }
}
