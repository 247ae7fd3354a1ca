/**
 * The Vite plugin: backend modules are stubs in client code, and `@/client` is the app's client.
 *
 * ```ts ignore
 * // vite.config.ts; run Vite with Deno: `deno run -A npm:vite@8 --configLoader native`
 * import { kontract } from "@kontract/kontract/vite";
 * export default { plugins: [kontract()] };
 * ```
 *
 * The load hook is the wall between server and client: server code that the client reaches stops the
 * build. A change of a backend module's types reloads the page, a change inside its functions does not.
 * Writes `.kontract/` and, for a build of a front end that `kontract.json` calls its `"site"`, that folder; the
 * lock file is the build's (`kontract build`).
 *
 * @module
 */
import { parseSecrets } from "../_internal/keys.ts";
import { type KontractPlugin, type KontractPluginOptions, vitePlugin } from "../compiler/vite.ts";
import { openAppFolder } from "./dev/app_folder.ts";
import { clientPins } from "./dev/client_pins.ts";
import { loadSecret } from "./dev/secret.ts";

export type {
  BuiltFile,
  ConfigContext,
  HookContext,
  HotModule,
  HotUpdate,
  InlineTest,
  KontractPlugin,
  KontractPluginOptions,
  ViteConfig,
} from "../compiler/vite.ts";
export type { DepsOptimizer, PreparedFile } from "../compiler/vite_packages.ts";

/** Makes the plugin. */
export function kontract(options: KontractPluginOptions = {}): KontractPlugin {
  return vitePlugin(options, async (root) => {
    const app = await openAppFolder(root);
    return await clientPins(parseSecrets(await loadSecret(app)));
  });
}
