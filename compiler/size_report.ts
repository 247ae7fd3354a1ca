/**
 * What a call and a page load: bytes by route and of the front end, minified and with gzip.
 *
 * A route loads its module's chunk and what that imports statically, without what the server has loaded to
 * start. Sizes are those of minified code whether or not the output is, so that a budget means the same in
 * every build.
 *
 * @module
 */
import { dirname, join } from "node:path/posix";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { withBundler } from "./bundler_process.ts";
import { compareText } from "./diagnostic.ts";

/** Size of one output. */
export interface OutputSize {
  /** Path below the output folder. */
  readonly file: string;
  /** Size as written. */
  readonly bytes: number;
  /** Size after gzip. */
  readonly gzip: number;
}

/** What is loaded together. */
export interface LoadSize {
  /** Bytes of minified code. */
  readonly minified: number;
  /** The same after gzip, file by file. */
  readonly gzip: number;
  /** The files, the largest first. */
  readonly files: readonly OutputSize[];
}

/** Sizes of what was built. */
export interface BuildReport {
  /** Scripts, style sheets and pages. */
  readonly outputs: readonly OutputSize[];
  /** For each route the chunk that is loaded on its first call, and what that loads where it was measured. */
  readonly routes: readonly {
    readonly name: string;
    readonly file: string;
    readonly load: LoadSize | null;
  }[];
  /** What the front end's script loads before it runs; null where there is none or it was not measured. */
  readonly frontEnd: LoadSize | null;
}

/** Output files by path below the output folder. */
export type OutputFiles = ReadonlyMap<string, string | Uint8Array>;

/** Sizes of scripts, style sheets and pages, as they are written. */
export function outputSizes(files: OutputFiles): readonly OutputSize[] {
  return [...files].filter(([name]) => /\.(?:js|css|html)$/.test(name))
    .map(([file, contents]) => sizeOf(file, bytesOf(contents)))
    .sort((a, b) => compareText(a.file, b.file));
}

function bytesOf(contents: string | Uint8Array): Uint8Array {
  return typeof contents === "string" ? new TextEncoder().encode(contents) : contents;
}

function sizeOf(file: string, bytes: Uint8Array): OutputSize {
  return { file, bytes: bytes.length, gzip: gzipSync(bytes).length };
}

/** Measures what files load; each is minified once. */
export class LoadMeter {
  readonly #files: OutputFiles;
  readonly #sizes: Map<string, Promise<OutputSize>> = new Map();

  /** Over the files of one build. */
  constructor(files: OutputFiles) {
    this.#files = files;
  }

  /** What `file` loads beside what `loaded` has loaded. */
  async load(file: string, loaded: string | null): Promise<LoadSize> {
    const there = loaded === null ? new Set<string>() : this.#closure(loaded);
    const names = [...this.#closure(file)].filter((name) => !there.has(name));
    const files = await Promise.all(names.map((name) => this.#size(name)));
    const sum = (key: "bytes" | "gzip"): number => files.reduce((all, one) => all + one[key], 0);
    return {
      minified: sum("bytes"),
      gzip: sum("gzip"),
      files: files.sort((a, b) => b.gzip - a.gzip || compareText(a.file, b.file)),
    };
  }

  /** A file and all that it imports statically. */
  #closure(file: string): Set<string> {
    const found = new Set<string>();
    const pending = [file];
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      if (found.has(at) || !this.#files.has(at)) continue;
      found.add(at);
      // The bundler writes each import as a statement of its own, at the beginning of a line or after one.
      const text = new TextDecoder().decode(bytesOf(this.#files.get(at)!));
      for (const match of text.matchAll(/(?:from|import)\s*"(\.{1,2}\/[^"\n]+)"/g)) {
        pending.push(join(dirname(at), match[1]!));
      }
    }
    return found;
  }

  #size(file: string): Promise<OutputSize> {
    const known = this.#sizes.get(file);
    if (known !== undefined) return known;
    const size = this.#minified(file).then((bytes) => sizeOf(file, bytes));
    this.#sizes.set(file, size);
    return size;
  }

  async #minified(file: string): Promise<Uint8Array> {
    const text = new TextDecoder().decode(bytesOf(this.#files.get(file)!));
    const { code } = await withBundler(() =>
      esbuild.transform(text, {
        loader: "js",
        format: "esm",
        minify: true,
        target: "es2024",
        legalComments: "none",
        logLevel: "silent",
      })
    );
    return new TextEncoder().encode(code);
  }
}
