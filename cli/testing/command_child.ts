/**
 * Runs command lines one after the other: each line on stdin is one, as JSON, with its environment; each
 * line on stdout is what it came to. See `command_process.ts`.
 *
 * @module
 */
import { format } from "node:util";
import { runCommandLine } from "../command_line.ts";
import type { AskedCommand } from "./command_process.ts";
import type { CommandResult } from "./run_command.ts";

async function run({ args, env }: AskedCommand): Promise<CommandResult> {
  for (const name of Object.keys(Deno.env.toObject())) {
    if (!(name in env)) Deno.env.delete(name);
  }
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  let stdout = "", stderr = "";
  console.log = (...said: unknown[]) => void (stdout += `${format(...said)}\n`);
  console.error = (...said: unknown[]) => void (stderr += `${format(...said)}\n`);
  const code = await runCommandLine(args);
  return { code, stdout, stderr };
}

const encoder = new TextEncoder();
let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) {
    const answer = encoder.encode(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
    for (let sent = 0; sent < answer.length;) {
      sent += await Deno.stdout.write(answer.subarray(sent));
    }
  }
}
Deno.exit(0);
