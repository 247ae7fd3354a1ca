/**
 * npm packages in Vite's dev server: handed to Vite's own preparation, which makes modules of CommonJS.
 *
 * Vite finds packages in `node_modules` alone, Deno keeps them anywhere. So the graph says where a package
 * lies, for the app's imports and for those that packages make of each other, and Vite bundles it.
 *
 * @module
 */
import { digest } from "./digest.ts";
import type { ModuleGraph } from "./resolve.ts";

/** A package's file that Vite has prepared or is about to. */
interface PreparedFile {
  readonly src?: string;
}

/** Vite's preparation of packages, as far as it is used; environments other than the dev server's have none. */
export interface DepsOptimizer {
  readonly options: {
    readonly noDiscovery?: boolean;
    readonly exclude?: readonly string[];
  };
  readonly metadata: {
    readonly optimized: Readonly<Record<string, PreparedFile>>;
    readonly discovered: Readonly<Record<string, PreparedFile>>;
  };
  isOptimizedDepFile(id: string): boolean;
  registerMissingImport(id: string, resolved: string): PreparedFile;
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

/** A plugin of what prepares packages: where their imports of each other lead to. */
export function packageResolver(graph: () => ModuleGraph | null): {
  readonly name: string;
  resolveId(id: string, importer?: string): string | null;
} {
  return {
    // Vite keeps what it made as long as the names of plugins are the same.
    name: `kontract-packages-${digest(graph()?.packages() ?? [], 16)}`,
    resolveId(id, importer) {
      if (importer === undefined) return null;
      const found = graph()?.resolve(id, importer, "browser");
      return found?.kind === "file" ? found.file : null;
    },
  };
}
