/**
 * npm packages in Vite's dev server: handed to Vite's own preparation, which makes modules of CommonJS.
 *
 * Vite finds packages in `node_modules` alone, Deno keeps them anywhere. So the graph says where a package
 * lies, for the app's imports and for those that packages make of each other, and Vite bundles it.
 *
 * @module
 */
import { digest } from "./digest.ts";
import { isFile } from "./file_texts.ts";
import { absentFile, type ModuleGraph } from "./resolve.ts";

/** A package's file that Vite has prepared or is about to. */
export interface PreparedFile {
  /** Where it is. */
  readonly src?: string;
}

/** Vite's preparation of packages, as far as it is used; environments other than the dev server's have none. */
export interface DepsOptimizer {
  /** What Vite was told. */
  readonly options: {
    readonly noDiscovery?: boolean;
    readonly exclude?: readonly string[];
  };
  /** What it has made, and what it knows to make, by name. */
  readonly metadata: {
    readonly optimized: Readonly<Record<string, PreparedFile>>;
    readonly discovered: Readonly<Record<string, PreparedFile>>;
  };
  /** True for a file that it has made. */
  isOptimizedDepFile(id: string): boolean;
  /** Asks for another. */
  registerMissingImport(id: string, resolved: string): PreparedFile;
  /** Name of the module that a page loads. */
  getOptimizedDepId(file: PreparedFile): string;
}

/** Id of what Vite makes of a package's file; the file itself where Vite leaves it as it is. */
export function preparedId(optimizer: DepsOptimizer, specifier: string, file: string): string {
  const { options: { noDiscovery, exclude = [] }, metadata: { optimized, discovered } } = optimizer;
  const isExcluded = exclude.some((one) => specifier === one || specifier.startsWith(`${one}/`));
  if (noDiscovery === true || isExcluded || !/\.[cm]?js$/.test(file)) return file;
  const known = (optimized[specifier] ?? discovered[specifier])?.src;
  // The app's packages may have another version of one that it imports itself.
  const id = known === undefined || known === file
    ? specifier
    : `${specifier}-${digest([file], 8)}`;
  return optimizer.getOptimizedDepId(optimizer.registerMissingImport(id, file));
}

/** The file that an import of the client leads to, `kind` in the bundler's words; null for what the graph does not know. */
export function clientFile(
  graph: ModuleGraph,
  id: string,
  importer: string,
  kind: string,
): string | null {
  const found = graph.resolve(
    id,
    importer,
    "browser",
    kind.startsWith("require") ? "require" : "import",
  );
  if (found.kind === "file") return found.file;
  // Packages try what they can do without.
  const isTried = kind === "require-call" || kind === "dynamic-import";
  return found.kind === "missing" && isTried && graph.isPackaged(importer) ? absentFile(id) : null;
}

/** A plugin of what prepares packages: where their imports of each other lead to. */
export function packageResolver(graph: () => ModuleGraph | null): {
  readonly name: string;
  resolveId(id: string, importer?: string, options?: { readonly kind?: string }): string | null;
  load(id: string): string | null;
} {
  return {
    // Vite keeps what it made as long as the names of plugins are the same.
    name: `kontract-packages-${digest(graph()?.packages() ?? [], 16)}`,
    resolveId(id, importer, { kind = "" } = {}) {
      const known = graph();
      return importer === undefined || known === null
        ? null
        : clientFile(known, id, importer, kind);
    },
    load: (id) => isFile(id) ? null : graph()?.read(id) ?? null,
  };
}
