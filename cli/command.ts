/**
 * The shape of one command of the command line.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** One option, as `node:util`'s `parseArgs` takes it, with its line of help. */
export interface CommandOption {
  readonly type: "boolean" | "string";
  /** Name of the value in the help text; string options only. */
  readonly value?: string;
  readonly help: string;
}

/** What a command gets. */
export interface CommandInput {
  readonly positionals: readonly string[];
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  /** The arguments as they were given, command name included. */
  readonly args: readonly string[];
}

/** A command. */
export interface Command {
  /** After `kontract`, e.g. `build [folder]`. */
  readonly usage: string;
  /** One sentence. */
  readonly summary: string;
  readonly options: Readonly<Record<string, CommandOption>>;
  /** Positionals at most. */
  readonly positionals: number;
  /** Resolves with the exit code. */
  run(input: CommandInput): Promise<number>;
}

/** A mistake in the arguments: exit code 2. */
export class UsageError extends KontractError {
  /** Says what is wrong and what would be right. */
  constructor(message: string) {
    super("CONFIG", message);
  }
}

/** The app's folder of a command: its first positional, or the current folder. */
export function folderOf(input: CommandInput): string {
  return input.positionals[0] ?? ".";
}

/** A port of the command line; `fallback` where none was given. */
export function portOf(input: CommandInput, fallback: number): number {
  const text = input.values.port;
  if (typeof text !== "string") return fallback;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (port <= 65535) return port;
  throw new UsageError(`--port must be a number from 0 to 65535: it is '${text}'.`);
}
