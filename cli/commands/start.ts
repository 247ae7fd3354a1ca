/**
 * `kontract start`: the app as it is, on this machine.
 *
 * @module
 */
import type { Command } from "../command.ts";
import { runServer, SERVER_OPTIONS } from "./serve.ts";

/** The command. */
export const command: Command = {
  usage: "start [folder]",
  summary: "Builds and serves an app with its own PostgreSQL, ready to use.",
  options: SERVER_OPTIONS,
  positionals: 1,
  run: (input) => runServer(input, false),
};
