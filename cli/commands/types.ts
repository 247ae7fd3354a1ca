/**
 * `kontract types`: the types of `env.storage`, for the editor and `deno check`. Needs no database.
 *
 * @module
 */
import { join } from "node:path";
import { type Command, folderOf } from "../command.ts";
import { openAppFolder } from "../dev/app_folder.ts";
import { loadCompiler } from "../load_compiler.ts";
import { checkApp } from "../dev/build_app.ts";

/** The command. */
export const command: Command = {
  usage: "types [folder]",
  summary: "Writes .kontract/types.d.ts, the types of env.storage. Needs no database.",
  options: {
    editor: {
      type: "boolean",
      help: "Also put the plugin for an editor's TypeScript into node_modules.",
    },
  },
  positionals: 1,
  async run(input) {
    const app = await openAppFolder(folderOf(input));
    await checkApp(app, { needsTypes: true });
    console.log(join(app.own, "types.d.ts"));
    if (input.values.editor === true) {
      const { EDITOR_PLUGIN, installEditorPlugin, stopBundler } = await loadCompiler();
      console.log(await installEditorPlugin(app.root));
      console.log(
        `In tsconfig.json: "compilerOptions": { "plugins": [{ "name": "${EDITOR_PLUGIN}" }] }`,
      );
      await stopBundler();
    }
    return 0;
  },
};
