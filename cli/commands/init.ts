/**
 * `kontract init`: a new app, or what a folder with Kontract's import lacks to be one.
 *
 * @module
 */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, UsageError } from "../command.ts";
import { initApp, type InitResult } from "../init/init_app.ts";

/** The command. */
export const command: Command = {
  usage: "init <folder>",
  summary: "Makes a new app; in a folder that imports Kontract, adds what is missing.",
  options: {},
  positionals: 1,
  async run(input) {
    const [folder] = input.positionals;
    if (folder === undefined || folder === "") {
      throw new UsageError("Say where: 'kontract init my-app', or 'kontract init .' right here.");
    }
    console.log(summary(await initApp(folder, checkout())));
    return 0;
  },
};

/** The checkout that this command runs from; null for the published package. */
function checkout(): string | null {
  const url = new URL("../..", import.meta.url);
  return url.protocol === "file:" ? fileURLToPath(url).replace(/[\\/]$/, "") : null;
}

function summary(result: InitResult): string {
  const { name, created, added, kept } = result;
  if (created.length + added.length === 0) return `${name} has everything already.`;
  const here = relative(Deno.cwd(), result.folder);
  const lines = [`${name} is ready.`, ""];
  const list = (title: string, items: readonly string[]): void => {
    for (const [i, item] of items.entries()) {
      lines.push(`  ${(i === 0 ? title : "").padEnd(9)}${item}`);
    }
  };
  list("created", created);
  list("added", added);
  list("kept", kept);
  lines.push("", "Go on with:", "");
  if (here !== "") lines.push(`  cd ${/[^\w./-]/.test(here) ? `'${here}'` : here}`);
  return [...lines, "  deno task dev", ""].join("\n");
}
