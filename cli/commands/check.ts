/**
 * `kontract check`: everything a build checks and the types of all files, in place of `deno check`, which
 * does not know `env.storage`'s tables before a build nor Kontract's own rules.
 *
 * @module
 */
import { type Command, folderOf } from "../command.ts";
import { openAppFolder } from "../dev/app_folder.ts";
import { checkApp } from "../dev/build_app.ts";

/** The command. */
export const command: Command = {
  usage: "check [folder]",
  summary:
    "Checks an app and its tests: types, functions, tables, what may reach a browser. Writes no output.",
  options: {},
  positionals: 1,
  async run(input) {
    const { manifest, warnings } = await checkApp(await openAppFolder(folderOf(input)));
    if (warnings !== "") console.error(warnings);
    console.log(`${manifest.app}: no errors`);
    return 0;
  },
};
