/**
 * Builds every example, with the `kontract` command's own code in one process: what they share is parsed
 * once.
 *
 * @module
 */
import { join } from "node:path";
import { runCommandLine } from "../cli/command_line.ts";

const root = new URL("..", import.meta.url).pathname;

/** Builds them; the exit code of the first that fails. */
async function buildExamples(): Promise<number> {
  const examples = join(root, "examples");
  for await (const { name, isDirectory } of Deno.readDir(examples)) {
    const app = join(examples, name);
    const hasConfig = await Deno.stat(join(app, "deno.json")).then(() => true, () => false);
    if (!isDirectory || !hasConfig) continue;
    const code = await runCommandLine(["build", app]);
    if (code !== 0) return code;
  }
  return 0;
}

if (import.meta.main) Deno.exit(await buildExamples());
