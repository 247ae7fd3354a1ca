/**
 * The `kontract` command.
 *
 * `deno run -A jsr:@kontract/kontract/cli --help` lists what it can do. A command is one file in
 * `cli/commands/` and is loaded only when it is used, so that `--help` and `start` are quick. An error is
 * one sentence with its code on stderr and exit code 1; a mistake in the arguments has exit code 2.
 *
 * @module
 */
import { runCommandLine } from "./cli/command_line.ts";

if (import.meta.main) Deno.exit(await runCommandLine(Deno.args));
