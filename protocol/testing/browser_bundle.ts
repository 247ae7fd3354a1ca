/**
 * Bundles a module of this package with esbuild, noble's real code included. For tests only.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Bundles `entry`, relative to the repository; minified, split, nothing written. */
export async function bundleModule(
  entry: string,
  options: esbuild.BuildOptions = {},
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
      plugins: [noble],
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
