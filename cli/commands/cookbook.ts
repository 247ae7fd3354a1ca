/**
 * `kontract cookbook`: an app's functions, tables and permissions as Markdown pages for VitePress.
 *
 * @module
 */
import { resolve } from "node:path";
import { type Command, folderOf } from "../command.ts";
import { openAppFolder } from "../dev/app_folder.ts";
import { checkApp } from "../dev/build_app.ts";
import { loadCompiler } from "../load_compiler.ts";

/** The command. */
export const command: Command = {
  usage: "cookbook [folder]",
  summary: "Writes Markdown pages about an app's functions, from its source and comments.",
  options: {
    out: {
      type: "string",
      value: "FOLDER",
      help: "Where to write, from the app's folder; docs/cookbook where missing.",
    },
  },
  positionals: 1,
  async run(input) {
    const app = await openAppFolder(folderOf(input));
    const { manifest, warnings } = await checkApp(app);
    if (warnings !== "") console.error(warnings);
    const { emitCookbook, writeCookbook } = await loadCompiler();
    const out = typeof input.values.out === "string" ? input.values.out : "docs/cookbook";
    const folder = resolve(app.root, out);
    const files = emitCookbook(manifest);
    const changed = await writeCookbook(folder, files);
    console.log(`${manifest.app}: ${files.length} files in ${folder}, ${changed} changed`);
    return 0;
  },
};
