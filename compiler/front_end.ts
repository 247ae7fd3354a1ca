/**
 * The front end: the script bundled, the page pointed at it, everything else but hidden files copied. Or, where
 * another bundler makes it (`"site"` in `kontract.json`), what that one has made, as it is.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { join, relative, sep } from "node:path";
import type { Analysis } from "./analysis.ts";
import { API_MODULE } from "./api_import.ts";
import { stubModule } from "./boundary.ts";
import { type Bundle, Bundler } from "./bundle.ts";
import type { Diagnostic, Diagnostics } from "./diagnostic.ts";
import { digest } from "./digest.ts";
import type { Layout } from "./host_output.ts";
import { BUILD_MARK, marked } from "./manifest_output.ts";
import { appPath, listFiles } from "./project.ts";
import type { FileStamps, ModuleGraph } from "./resolve.ts";

/** What is built from. */
export interface FrontEndInput {
  readonly analysis: Analysis;
  /** Files of the client module by name, with a mark for the build's hash. */
  readonly client: Readonly<Record<string, string>>;
  readonly outDir: string;
  readonly minify: boolean;
  readonly layout: Layout;
  readonly diagnostics: Diagnostics;
}

const CODE = /\.(?:[cm]?[jt]sx?|d\.ts)$/;
/** `.env`, `.git` and the like are never published; `.well-known` is meant to be. */
const HIDDEN = /(?:^|\/)\.(?!well-known\/)/;

/** What one bundle was made from, and the bundle. */
interface Kept {
  readonly key: string;
  /** The client module: the same object as long as it is the same. */
  readonly client: FrontEndInput["client"];
  readonly graph: ModuleGraph;
  /** What the other files were that went in. */
  readonly stamps: FileStamps;
  readonly files: readonly MarkedFile[];
}

/** An output, and where the build's hash belongs in it. */
interface MarkedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly marks: readonly number[];
}

/** The front end of one app, made again and again; bundled only where something in it has changed. */
export class FrontEnd {
  readonly #bundler: Bundler = new Bundler();
  #kept: Kept | null = null;

  /** Files of `public/`, or null where the build failed. An app without a front end has none. */
  async make(input: FrontEndInput): Promise<ReadonlyMap<string, Uint8Array> | null> {
    const { project, webEntry } = input.analysis;
    if (project.site !== null) return await builtSite(project.site, input);
    const files = await copied(project.web, (name) => !CODE.test(name), input);
    if (webEntry === null) return files;
    const made = await this.#bundle(input, webEntry);
    if (made === null) return null;
    for (const [name, bytes] of made) files.set(name, bytes);
    const page = files.get("index.html");
    if (page !== undefined) {
      const script = relative(project.web, webEntry).split(sep).join("/");
      const html = pageText(new TextDecoder().decode(page), script, made.has("main.css"));
      files.set("index.html", new TextEncoder().encode(html));
    }
    return files;
  }

  /**
   * The bundle. Where rebuilding is what counts, it is made for no build and gets the hash afterwards: most
   * edits change nothing else in it.
   */
  async #bundle(input: FrontEndInput, webEntry: string): Promise<Bundle["files"] | null> {
    const { analysis, client, layout } = input;
    const hash = (text: string): string => marked(text, analysis.manifest);
    const texts = Object.entries(client).map(([name, text]) =>
      [name, layout === "modules" ? text : hash(text)] as const
    );
    const made = await this.#current(input, webEntry, texts);
    if (made === null) return null;
    const { build } = analysis.manifest;
    return new Map(made.map((file) => [file.name, withHash(file, build)] as const));
  }

  async #current(
    input: FrontEndInput,
    webEntry: string,
    client: readonly (readonly [name: string, text: string])[],
  ): Promise<readonly MarkedFile[] | null> {
    const { analysis, outDir, minify } = input;
    const { root } = analysis.project;
    const guards = [...analysis.discovery.modules];
    // What is made for one build has its hash in it.
    const build = input.layout === "modules" ? null : analysis.manifest.build;
    const key = digest([JSON.stringify([root, outDir, minify, webEntry, build, guards])], 32);
    const kept = this.#kept;
    if (
      kept?.key === key && kept.client === input.client && kept.graph === analysis.graph &&
      kept.graph.holds(kept.stamps)
    ) return kept.files;
    this.#kept = null;
    const made = await this.#make(input, webEntry, client);
    if (made === null) return null;
    const generated = new Set(client.map(([name]) => join(outDir, "client", name)));
    const inputs = made.inputs.filter((file) => !generated.has(file));
    const stamps = analysis.graph.stamps(inputs);
    const files = [...made.files].map(([name, bytes]) => (
      // Of a map the mark is good enough, and it stays what it was: it is the largest of all outputs.
      { name, bytes, marks: name.endsWith(".map") ? [] : marksIn(bytes) }
    ));
    this.#kept = { key, client: input.client, graph: analysis.graph, stamps, files };
    return files;
  }

  async #make(
    input: FrontEndInput,
    webEntry: string,
    client: readonly (readonly [name: string, text: string])[],
  ): Promise<Bundle | null> {
    const { analysis } = input;
    const folder = join(input.outDir, "client");
    const guard = clientGuard(analysis);
    const made = await this.#bundler.bundle({
      graph: analysis.graph,
      graphFile: analysis.graphFile,
      root: analysis.project.root,
      purpose: "browser",
      entries: { main: webEntry },
      virtual: new Map(),
      packageFolder: analysis.packageFolder,
      aliases: new Map([
        ["@/client", join(folder, "client.js")],
        [API_MODULE, join(folder, "routes.js")],
      ]),
      overlay: new Map(client.map(([name, text]) => [join(folder, name), text])),
      appended: new Map(),
      guard,
      pure: (file) => isPackageFile(analysis, file),
      outdir: join(input.outDir, "public"),
      minify: input.minify,
      mode: input.layout === "modules" ? "development" : "production",
      jsx: analysis.project.compilerOptions,
    }, input.diagnostics);
    if (made?.inputs.some((file) => guard(file) !== null) === true) {
      throw new Error("Invariant: a server module passed the load hook into the client's bundle.");
    }
    return made;
  }
}

function marksIn(bytes: Uint8Array): readonly number[] {
  // One character for a byte: a search in a text takes a fraction of one in bytes.
  const text = new TextDecoder("latin1").decode(bytes);
  const marks: number[] = [];
  for (let at = text.indexOf(BUILD_MARK); at >= 0; at = text.indexOf(BUILD_MARK, at + 1)) {
    marks.push(at);
  }
  return marks;
}

/** The bytes with the build's hash put in, which is as long as its mark. */
function withHash({ bytes, marks }: MarkedFile, build: string): Uint8Array {
  if (marks.length === 0) return bytes;
  const out = Buffer.from(bytes);
  for (const at of marks) out.write(build, at);
  return out;
}

/** The files of a folder that are public, by their path in it. */
async function copied(
  folder: string,
  isWanted: (name: string) => boolean,
  { analysis: { project }, diagnostics }: FrontEndInput,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const file of await listFiles(folder)) {
    const name = relative(folder, file).split(sep).join("/");
    if (HIDDEN.test(name) || !isWanted(name)) continue;
    if (await isInside(folder, file)) files.set(name, await Deno.readFile(file));
    else diagnostics.add(leadsOut(appPath(project, file)));
  }
  return files;
}

/** What a module that calls `backend()` has of the package, whoever bundled it. */
const SERVER_MARK = "A server module reached the browser";

/** A front end that another bundler has made. While developing it may be missing: that one serves it. */
async function builtSite(
  folder: string,
  input: FrontEndInput,
): Promise<ReadonlyMap<string, Uint8Array> | null> {
  const { analysis: { project }, layout, diagnostics } = input;
  const files = await copied(folder, () => true, input);
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

/** What the bundler does with a module of the app, when the client imports it. */
export function clientGuard(
  analysis: Analysis,
): (file: string) => { readonly stub: string } | { readonly refuse: string } | null {
  return (file) => {
    const found = analysis.discovery.modules.get(file);
    if (found?.kind === "server") {
      return {
        refuse:
          `This module is server code (it uses '${found.what}') and cannot be part of the client.`,
      };
    }
    if (found?.kind !== "boundary") return null;
    const module = relative(analysis.project.root, file).split(sep).join("/");
    const routes = analysis.manifest.routes.filter((route) => route.module === module);
    return { stub: stubModule(routes, "@/client") };
  };
}

/** True for a module of the package itself, whose imports have no side effects. */
export function isPackageFile(analysis: Analysis, file: string): boolean {
  return file.startsWith(analysis.packageFolder) &&
    !file.startsWith(analysis.project.root + sep);
}

/** The page with the script's built name, and its style sheet where one was made. */
function pageText(html: string, entry: string, css: boolean): string {
  const name = RegExp.escape(entry);
  const script = new RegExp(`(<script\\b[^>]*\\bsrc=["'])(?:\\./|/)?${name}(["'])`, "i");
  const pointed = html.replace(script, "$1/main.js$2");
  if (!css || /href=["'][^"']*main\.css/.test(pointed)) return pointed;
  return pointed.replace(/<\/head>/i, `<link rel="stylesheet" href="/main.css"></head>`);
}
