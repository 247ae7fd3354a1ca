/**
 * The front end: the script bundled (`front_end_parts.ts`: for `dev` in parts), the page pointed at it, everything
 * else but hidden files copied. Or, where another bundler makes it (`"site"` in `kontract.json`), what that one has
 * made, as it is.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { join, relative, sep } from "node:path";
import { Bundler } from "./bundle.ts";
import type { Diagnostic } from "./diagnostic.ts";
import {
  bundledFrom,
  clientAliases,
  clientGuard,
  type FrontEndInput,
  refuseServer,
} from "./front_end_bundle.ts";
import { timeAndSize } from "./file_texts.ts";
import { FrontEndParts } from "./front_end_parts.ts";
import { marked } from "./manifest_output.ts";
import { appPath } from "./project.ts";
import { publicFiles } from "./public_files.ts";
import type { OutputFiles } from "./size_report.ts";

/** A file as it was read. */
interface Published {
  readonly stamp: string | undefined;
  readonly bytes: Uint8Array;
}

/** The front end of one app, made again and again. */
export class FrontEnd {
  readonly #bundler: Bundler = new Bundler();
  readonly #parts: FrontEndParts = new FrontEndParts();
  /** What was published by the last build, by file. */
  #published: ReadonlyMap<string, Published> = new Map();

  /** Files of `public/`, or null where the build failed. An app without a front end has none. */
  async make(input: FrontEndInput): Promise<OutputFiles | null> {
    const { project, webEntry, copied } = input.analysis;
    if (project.site !== null) return await this.#site(project.site, input);
    const files = await this.#contents(project.web, copied, input);
    if (webEntry === null) return files;
    const page = files.get("index.html");
    const made = input.layout === "modules"
      ? await this.#parts.make(input, webEntry)
      : await this.#whole(input, webEntry);
    if (made === null) return null;
    if (page !== undefined) {
      const script = relative(project.web, webEntry).split(sep).join("/");
      const html = pageText(new TextDecoder().decode(page), script, made.has("main.css"));
      files.set("index.html", new TextEncoder().encode(html));
    }
    return new Map([...files, ...made]);
  }

  /** A front end that another bundler has made. While developing it may be missing: that one serves it. */
  async #site(folder: string, input: FrontEndInput): Promise<OutputFiles | null> {
    const { analysis: { project }, layout, diagnostics } = input;
    const files = await this.#contents(folder, await publicFiles(folder), input);
    const name = appPath(project, folder);
    if (!files.has("index.html") && layout === "bundle") {
      diagnostics.add({
        code: "KT1001",
        severity: "error",
        message: `There is no page in '${name}', which kontract.json calls the app's "site".`,
        hint: "Make it first, with Vite for one: deno run -A npm:vite build",
      });
      return null;
    }
    for (const [path, bytes] of files) {
      if (!/\.[cm]?js$/.test(path) || !Buffer.from(bytes).includes(SERVER_MARK)) continue;
      diagnostics.add({
        code: "KT5001",
        severity: "error",
        message: `'${name}/${path}' has server code in it.`,
        hint: "Make it again with kontract() of '@kontract/kontract/vite' among Vite's plugins.",
      });
      return null;
    }
    return files;
  }

  /** What is in files of a folder; those that are as they were are not read again. */
  async #contents(
    folder: string,
    from: ReadonlyMap<string, string>,
    { analysis: { project }, diagnostics }: FrontEndInput,
  ): Promise<Map<string, Uint8Array>> {
    const published = new Map<string, Published>();
    const files = new Map<string, Uint8Array>();
    for (const [name, file] of from) {
      if (!await isInside(folder, file)) {
        diagnostics.add(leadsOut(appPath(project, file)));
        continue;
      }
      const stamp = timeAndSize(file), before = this.#published.get(file);
      const bytes = before !== undefined && before.stamp === stamp
        ? before.bytes
        : await Deno.readFile(file);
      published.set(file, { stamp, bytes });
      files.set(name, bytes);
    }
    this.#published = published;
    return files;
  }

  async #whole(input: FrontEndInput, webEntry: string): Promise<OutputFiles | null> {
    const { analysis, client, outDir } = input;
    const folder = join(outDir, "client");
    const made = await this.#bundler.bundle({
      ...bundledFrom(input),
      entries: { main: webEntry },
      aliases: clientAliases(folder),
      overlay: new Map(
        Object.entries(client).map(([name, text]) =>
          [join(folder, name), marked(text, analysis.manifest)] as const
        ),
      ),
      guard: clientGuard(analysis),
    }, input.diagnostics);
    if (made === null) return null;
    refuseServer(made, analysis);
    return made.files;
  }
}

/** What a module that calls `backend()` has of the package, whoever bundled it. */
const SERVER_MARK = "A server module reached the browser";

/** False for a link that leads out of `folder`. */
async function isInside(folder: string, file: string): Promise<boolean> {
  const [base, real] = await Promise.all([Deno.realPath(folder), Deno.realPath(file)]);
  return real.startsWith(base + sep);
}

function leadsOut(file: string): Diagnostic {
  return {
    code: "KT5002",
    severity: "error",
    message: `'${file}' is a link to a file outside of the front end's folder, ` +
      "and everything in that folder is public.",
    hint: "Put a copy of the file there, or remove the link.",
  };
}

/** The page with the script's built name, and its style sheet where one was made. */
function pageText(html: string, entry: string, css: boolean): string {
  const name = RegExp.escape(entry);
  const script = new RegExp(`(<script\\b[^>]*\\bsrc=["'])(?:\\./|/)?${name}(["'])`, "i");
  const pointed = html.replace(script, "$1/main.js$2");
  if (!css || /href=["'][^"']*main\.css/.test(pointed)) return pointed;
  return pointed.replace(/<\/head>/i, `<link rel="stylesheet" href="/main.css"></head>`);
}
