/**
 * The TypeScript program over an app, fed by the module graph.
 *
 * Settings fit both hosts: the DOM's libraries, ECMAScript's newest and Deno's own globals, strict. A
 * {@link ProgramCache} keeps parsed files between builds by their text, so that a rebuild parses only
 * what changed; a program itself is a picture of one moment.
 *
 * @module
 */
import { dirname, join } from "node:path";
import ts from "typescript";
import { digest } from "./digest.ts";
import { NODE_ASSERT } from "./node_assert.ts";
import type { ModuleGraph } from "./resolve.ts";
import { parseShadowed } from "./shadow.ts";
import { isLibrary, isShared, sharedFile } from "./shared_files.ts";

/** Name of the file that declares Deno's globals. */
const DENO_LIB = "/kontract-lib/deno.d.ts";
/** Name of the file that declares modules which hosts have and Deno's types do not. */
const AMBIENT = "/kontract-lib/ambient.d.ts";
const AMBIENT_TEXT = [
  NODE_ASSERT,
  'declare module "node:*";',
  'declare module "cloudflare:*";',
  'declare module "*.css";',
  "",
].join("\n");
const LIBS = ["esnext", "dom", "dom.iterable", "dom.asynciterable"];

/** What a program is made from. */
export interface ProgramInput {
  readonly graph: ModuleGraph;
  /** Root files, absolute. */
  readonly roots: readonly string[];
  /** Texts that are not on disk, or not yet, by file name. */
  readonly overlay: ReadonlyMap<string, string>;
  /** Specifiers resolved to a file whatever the graph says. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Module of the graph that stands for overlaid files when they import something. */
  readonly graphFile: string;
  /** `compilerOptions` of the app's `deno.json`. */
  readonly compilerOptions: Readonly<Record<string, unknown>>;
}

/** Parsed files and the last program, for the next one. Owned by one builder. */
export class ProgramCache {
  #parsed: Map<string, { readonly text: string; readonly source: ts.SourceFile }> = new Map();
  #last: ts.Program | undefined;
  /** Puts one without a checker in the place of {@link ProgramCache.#last}. */
  #shed: (() => void) | null = null;
  #graph: ModuleGraph | undefined;
  /** Importer → files that its imports lead to, as the last program resolved them; "" for nowhere. */
  readonly #imports: Map<string, readonly string[]> = new Map();
  #denoLib: string | null = null;

  /** A program for this moment. */
  async program(input: ProgramInput): Promise<ts.Program> {
    this.#denoLib ??= await denoTypes();
    const program = this.#next(input);
    this.#graph = input.graph;
    this.#forget(program);
    this.#last = program;
    this.#shed = () => this.#last = this.#next(input, program);
    return program;
  }

  /** What is kept has no checker from here on: the types of one build are gone before the next one makes its own. */
  settle(): void {
    this.#shed?.();
    this.#shed = null;
  }

  #next(input: ProgramInput, before: ts.Program | undefined = this.#last): ts.Program {
    const options = compilerOptions(input.compilerOptions);
    return ts.createProgram({
      rootNames: [...input.roots, DENO_LIB, AMBIENT],
      options,
      host: this.#host(input, options),
      ...(before === undefined ? {} : { oldProgram: before }),
    });
  }

  /** What the imports of a file of the last program lead to, in their order; "" for nowhere. */
  importsOf(file: string): readonly string[] {
    return this.#imports.get(file) ?? [];
  }

  #host(input: ProgramInput, options: ts.CompilerOptions): ts.CompilerHost {
    const fixed = new Map([[DENO_LIB, this.#denoLib ?? ""], [AMBIENT, AMBIENT_TEXT]]);
    const read = (file: string): string | undefined =>
      input.overlay.get(file) ?? fixed.get(file) ?? input.graph.read(file);
    const libFolder = dirname(ts.getDefaultLibFilePath(options));
    const invalid = this.#graph !== input.graph;
    return {
      fileExists: (file) => read(file) !== undefined,
      readFile: read,
      getSourceFile: (file, languageVersion) => {
        const text = read(file);
        if (text === undefined) return undefined;
        return isShared(file, options)
          ? sharedFile(file, text, () => parse(file, text, languageVersion))
          : this.#parse(file, text, languageVersion);
      },
      getDefaultLibFileName: () => join(libFolder, "lib.esnext.full.d.ts"),
      getDefaultLibLocation: () => libFolder,
      writeFile: () => {},
      getCurrentDirectory: () => "/",
      getCanonicalFileName: (file) => file,
      useCaseSensitiveFileNames: () => true,
      getNewLine: () => "\n",
      hasInvalidatedResolutions: () => invalid,
      resolveModuleNameLiterals: (literals, importer) => {
        const found = literals.map((literal) => ({
          resolvedModule: resolveTypes(literal.text, importer, input),
        }));
        const files = found.map((one) => one.resolvedModule?.resolvedFileName ?? "");
        this.#imports.set(importer, files);
        return found;
      },
      resolveTypeReferenceDirectiveReferences: (references) =>
        references.map(() => ({ resolvedTypeReferenceDirective: undefined })),
    };
  }

  #parse(
    file: string,
    text: string,
    version: ts.ScriptTarget | ts.CreateSourceFileOptions,
  ): ts.SourceFile {
    const known = this.#parsed.get(file);
    if (known !== undefined && known.text === text) return known.source;
    const source = parse(file, text, version);
    this.#parsed.set(file, { text, source });
    return source;
  }

  #forget(program: ts.Program): void {
    for (const file of this.#parsed.keys()) {
      if (program.getSourceFile(file) === undefined) this.#parsed.delete(file);
    }
    for (const file of this.#imports.keys()) {
      if (program.getSourceFile(file) === undefined) this.#imports.delete(file);
    }
  }
}

function parse(
  file: string,
  text: string,
  version: ts.ScriptTarget | ts.CreateSourceFileOptions,
): ts.SourceFile {
  const options = typeof version === "object" ? version : { languageVersion: version };
  // Nobody reads them there but `lower/docs.ts`, which finds its own.
  const { ParseAll, ParseNone } = ts.JSDocParsingMode;
  const jsDocParsingMode = isLibrary(file) ? ParseNone : ParseAll;
  const source = parseShadowed(file, text, { ...options, jsDocParsingMode });
  (source as { version?: string }).version = digest([text], 32);
  return source;
}

/** Equal for equal texts. */
export function versionOf(source: ts.SourceFile): string {
  return (source as { readonly version?: string }).version ?? "";
}

function resolveTypes(
  specifier: string,
  importer: string,
  input: ProgramInput,
): ts.ResolvedModuleFull | undefined {
  const alias = input.aliases.get(specifier);
  if (alias !== undefined) return resolved(alias);
  const from = input.overlay.has(importer) && !specifier.startsWith(".")
    ? input.graphFile
    : importer;
  const found = input.graph.resolve(specifier, from, "types");
  return found.kind === "file" ? resolved(found.file) : undefined;
}

const EXTENSIONS: readonly (readonly [string, ts.Extension])[] = [
  [".d.ts", ts.Extension.Dts],
  [".d.mts", ts.Extension.Dmts],
  [".d.cts", ts.Extension.Dcts],
  [".tsx", ts.Extension.Tsx],
  [".mts", ts.Extension.Mts],
  [".cts", ts.Extension.Cts],
  [".ts", ts.Extension.Ts],
  [".jsx", ts.Extension.Jsx],
  [".mjs", ts.Extension.Mjs],
  [".js", ts.Extension.Js],
  [".json", ts.Extension.Json],
];

function resolved(file: string): ts.ResolvedModuleFull | undefined {
  const extension = EXTENSIONS.find(([ending]) => file.endsWith(ending))?.[1];
  return extension === undefined ? undefined : { resolvedFileName: file, extension };
}

function compilerOptions(own: Readonly<Record<string, unknown>>): ts.CompilerOptions {
  const libFolder = dirname(ts.getDefaultLibFilePath({}));
  const jsx = own.jsx === "react-jsx" || own.jsx === "precompile"
    ? ts.JsxEmit.ReactJSX
    : own.jsx === "react"
    ? ts.JsxEmit.React
    : undefined;
  const flag = (name: string, fallback: boolean): boolean =>
    typeof own[name] === "boolean" ? own[name] : fallback;
  return {
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    moduleDetection: ts.ModuleDetectionKind.Force,
    lib: LIBS.map((name) => `lib.${name}.d.ts`).filter((name) =>
      ts.sys.fileExists(join(libFolder, name))
    ),
    types: [],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    allowJs: false,
    resolveJsonModule: true,
    useDefineForClassFields: true,
    noImplicitOverride: flag("noImplicitOverride", true),
    noUncheckedIndexedAccess: flag("noUncheckedIndexedAccess", false),
    ...(jsx === undefined ? {} : { jsx }),
    ...Object.fromEntries(
      ["jsxImportSource", "jsxFactory", "jsxFragmentFactory"].flatMap((name) =>
        typeof own[name] === "string" ? [[name, own[name]]] : []
      ),
    ),
  };
}

let denoTypesText: Promise<string> | null = null;

/** Deno's own declarations, without the library references that only Deno's checker knows. */
export function denoTypes(): Promise<string> {
  denoTypesText ??= (async () => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["types"],
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdout: "piped",
      stderr: "null",
    }).output();
    const text = new TextDecoder().decode(stdout);
    return text.replaceAll(/^\/\/\/ <reference (?:no-default-lib|lib)=.*$/gm, "");
  })();
  return denoTypesText;
}
