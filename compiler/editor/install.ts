/**
 * Puts the language-service plugin where an editor's TypeScript looks for it: a package of one file in the
 * app's `node_modules`, and its name in the app's `tsconfig.json` for the author to add.
 *
 * @module
 */
import { join } from "node:path";
import * as esbuild from "esbuild";
import { withBundler } from "../bundler_process.ts";
import { writeFile } from "../output.ts";

/** Name of the package, as `plugins` of a `tsconfig.json` gives it. */
export const EDITOR_PLUGIN = "kontract-editor";

/** Writes the package below `root`; gives its folder. */
export async function installEditorPlugin(root: string): Promise<string> {
  const source = await (await fetch(new URL("./plugin.ts", import.meta.url))).text();
  const { code } = await withBundler(() =>
    esbuild.transform(source, {
      loader: "ts",
      format: "cjs",
      target: "es2022",
      // The language service calls what the module is.
      footer: "module.exports = module.exports.default;",
    })
  );
  const folder = join(root, "node_modules", EDITOR_PLUGIN);
  const about = { name: EDITOR_PLUGIN, version: "0.1.0", main: "index.js", private: true };
  await writeFile(join(folder, "package.json"), `${JSON.stringify(about, null, 2)}\n`);
  await writeFile(join(folder, "index.js"), code);
  return folder;
}
