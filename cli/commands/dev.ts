/**
 * `kontract dev`: like `start`, and follows changes.
 *
 * @module
 */
import type { Command } from "../command.ts";
import { runServer, SERVER_OPTIONS } from "./serve.ts";

/** The command. */
export const command: Command = {
  usage: "dev [folder]",
  summary: "Serves an app while you work on it: rebuilds, migrates and reloads on changes.",
  options: SERVER_OPTIONS,
  positionals: 1,
  run: (input) => runServer(input, true),
};
