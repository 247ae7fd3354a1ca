/**
 * Bundles a module of this package with esbuild, noble's real code included. For tests only.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import type { LineCounters } from "../../tests/line_coverage/line_counters.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Bundles `entry`, relative to the repository; minified, split, nothing written. */
export async function bundleModule(
  entry: string,
  options: esbuild.BuildOptions = {},
  counters: LineCounters | null = null,
): Promise<{ outputFiles: esbuild.OutputFile[]; metafile: esbuild.Metafile }> {
  try {
    const result = await esbuild.build({
      entryPoints: { entry: `${root}${entry}` },
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "neutral",
      target: "es2022",
      minify: true,
      outdir: "/out",
      absWorkingDir: root,
      plugins: counters === null ? [noble] : [noble, counting(counters)],
      ...options,
      write: false,
      metafile: true,
    });
    return { outputFiles: result.outputFiles, metafile: result.metafile };
  } finally {
    await esbuild.stop();
  }
}

// esbuild knows no import map; the packages are found where Deno has them.
const noble: esbuild.Plugin = {
  name: "noble",
  setup(build) {
    build.onResolve({ filter: /^@noble\// }, ({ path }) => ({
      path: fileURLToPath(import.meta.resolve(path)),
    }));
  },
};

function counting(counters: LineCounters): esbuild.Plugin {
  return {
    name: "counters",
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
        contents: counters.count(path, await Deno.readTextFile(path)),
        loader: "ts",
      }));
    },
  };
}
