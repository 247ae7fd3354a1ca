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
import type { BuildReport } from "../../compiler/mod.ts";
import { loadSecret } from "../dev/secret.ts";

/** The command. */
export const command: Command = {
  usage: "build [folder]",
  summary: "Compiles an app into dist/: Workers bundle, Deno server, client, schema.",
  options: {
    sizes: { type: "boolean", help: "Print what each function and the front end load." },
  },
  positionals: 1,
  async run(input) {
    const began = performance.now();
    const app = await openAppFolder(folderOf(input));
    const secrets = parseSecrets(await loadSecret(app));
    const sizes = input.values.sizes === true;
    const { manifest, warnings, report } = await buildApp(
      app,
      secrets,
      HOST_NAMES,
      sizes ? { sizes } : {},
    );
    if (warnings !== "") console.error(warnings);
    if (sizes && report !== null) console.log(sizeTable(report));
    const { routes, tables } = manifest;
    const time = (performance.now() - began).toFixed(0);
    const counts = `${counted(routes.length, "function")}, ${counted(tables.length, "table")}`;
    console.log(`${manifest.app}: ${counts}, ${time} ms`);
    return 0;
  },
};

function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

/** Bytes of minified code, and after gzip, that a first call and the page load; the largest first. */
function sizeTable({ routes, frontEnd }: BuildReport): string {
  const rows = [
    ...routes.map(({ name, load }) => ({ name, load })),
    { name: "(front end)", load: frontEnd },
  ].flatMap(({ name, load }) => load === null ? [] : [{ name, ...load }])
    .sort((a, b) => b.gzip - a.gzip || (a.name < b.name ? -1 : 1));
  const width = Math.max(8, ...rows.map(({ name }) => name.length));
  const line = (name: string, minified: string | number, gzip: string | number): string =>
    `${name.padEnd(width)} ${String(minified).padStart(9)} ${String(gzip).padStart(9)}`;
  return [
    line("function", "minified", "gzip"),
    ...rows.map(({ name, minified, gzip }) => line(name, minified, gzip)),
  ].join("\n");
}
