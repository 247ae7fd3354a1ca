/**
 * `kontract build`: everything in `dist`, for both hosts.
 *
 * @module
 */
import { parseSecrets } from "../../_internal/keys.ts";
import { type Command, folderOf } from "../command.ts";
import { openAppFolder } from "../dev/app_folder.ts";
import { buildApp } from "../dev/build_app.ts";
import { HOST_NAMES } from "../dev/host.ts";
import { loadSecret } from "../dev/secret.ts";

/** The command. */
export const command: Command = {
  usage: "build [folder]",
  summary: "Compiles an app into dist/: Workers bundle, Deno server, client, schema.",
  options: {},
  positionals: 1,
  async run(input) {
    const began = performance.now();
    const app = await openAppFolder(folderOf(input));
    const secrets = parseSecrets(await loadSecret(app));
    const { manifest, warnings } = await buildApp(app, secrets, HOST_NAMES);
    if (warnings !== "") console.error(warnings);
    const { routes, tables } = manifest;
    const time = (performance.now() - began).toFixed(0);
    console.log(`${manifest.app}: ${routes.length} functions, ${tables.length} tables, ${time} ms`);
    return 0;
  },
};
