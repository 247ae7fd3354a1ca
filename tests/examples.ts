/**
 * The examples that are apps. As a program it builds them, with the `kontract` command's own code in one
 * process: what they share is parsed once.
 *
 * @module
 */
import { join } from "node:path";
import { runCommandLine } from "../cli/command_line.ts";

const root = new URL("..", import.meta.url).pathname;

/** Their names, in order. */
export async function exampleNames(): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(join(root, "examples"))) {
    const config = join(root, "examples", name, "deno.json");
    if (await Deno.stat(config).then(() => true, () => false)) names.push(name);
  }
  return names.sort();
}

/** Builds them; the exit code of the first that fails. */
async function buildExamples(): Promise<number> {
  for (const name of await exampleNames()) {
    const code = await runCommandLine(["build", join(root, "examples", name)]);
    if (code !== 0) return code;
  }
  return 0;
}

if (import.meta.main) Deno.exit(await buildExamples());
