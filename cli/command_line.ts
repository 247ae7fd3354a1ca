/**
 * From arguments to a command: help, version, option parsing, errors, exit codes.
 *
 * Exit codes: 0 done, 1 failed, 2 wrong arguments.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { KontractError } from "../_internal/errors.ts";
import { type Command, type CommandOption, UsageError } from "./command.ts";
import { VERSION } from "./version.ts";

/** Commands by name; each is loaded when it is used. */
const COMMANDS: Readonly<Record<string, () => Promise<{ readonly command: Command }>>> = {
  build: () => import("./commands/build.ts"),
  check: () => import("./commands/check.ts"),
  cookbook: () => import("./commands/cookbook.ts"),
  deploy: () => import("./commands/deploy.ts"),
  dev: () => import("./commands/dev.ts"),
  init: () => import("./commands/init.ts"),
  doctor: () => import("./commands/doctor.ts"),
  gc: () => import("./commands/gc.ts"),
  keys: () => import("./commands/keys.ts"),
  migrate: () => import("./commands/migrate.ts"),
  routes: () => import("./commands/routes.ts"),
  start: () => import("./commands/start.ts"),
  tenants: () => import("./commands/tenants.ts"),
  types: () => import("./commands/types.ts"),
  users: () => import("./commands/users.ts"),
};

const HELP: Readonly<Record<string, CommandOption>> = {
  help: { type: "boolean", help: "Show this text." },
};

/** Runs one command line; never throws. */
export async function runCommandLine(given: readonly string[]): Promise<number> {
  // `deno task deploy -- --dry-run` hands the dashes on.
  const args = given.filter((arg, i) => arg !== "--" || i > 2);
  try {
    return await dispatch(args);
  } catch (error) {
    report(error);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const name = args[0];
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    console.log(await overview());
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-V") {
    console.log(VERSION);
    return 0;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    const known = Object.keys(COMMANDS).join(", ");
    throw new UsageError(`There is no command '${name}'. The commands are ${known}.`);
  }
  const { command } = await load();
  const parsed = parse(command, args.slice(1));
  if (parsed.values.help === true) {
    console.log(helpOf(command));
    return 0;
  }
  return await command.run({ ...parsed, args });
}

function parse(command: Command, args: readonly string[]): {
  positionals: string[];
  values: Record<string, string | boolean | undefined>;
} {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      options: Object.fromEntries(
        Object.entries({ ...command.options, ...HELP }).map(([name, { type }]) => [name, { type }]),
      ),
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] : "";
    throw new UsageError(`${why}\n\n${helpOf(command)}`);
  }
  const { positionals, values } = parsed;
  if (positionals.length > command.positionals) {
    const extra = positionals[command.positionals];
    throw new UsageError(`'${extra}' is one argument too many.\n\n${helpOf(command)}`);
  }
  return { positionals, values: { ...values } as Record<string, string | boolean | undefined> };
}

function report(thrown: unknown): void {
  const first = firstFailure(thrown);
  const error = isRefusal(first)
    ? new KontractError("CONFIG", `This machine refuses it: ${first.message}`, { cause: first })
    : first;
  if (!(error instanceof KontractError)) {
    console.error("INTERNAL: Kontract itself failed; please report this.");
    console.error(error);
    return;
  }
  console.error(`${error instanceof UsageError ? "usage" : error.code}: ${error.message}`);
  if (Deno.env.get("KONTRACT_DEBUG") === "1" && error.cause !== undefined) {
    console.error(error.cause);
  }
}

/** What a disk or its owner says no with: full, over a quota, read-only, broken, not this user's. */
const REFUSALS = ["ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES", "EPERM"];

function isRefusal(error: unknown): error is Error {
  return error instanceof Error && "code" in error && REFUSALS.includes(String(error.code));
}

/** What failed first, where cleaning up after it failed as well. */
function firstFailure(error: unknown): unknown {
  return error instanceof SuppressedError ? firstFailure(error.suppressed) : error;
}

async function overview(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  const width = Math.max(...commands.map(({ command }) => command.usage.length)) + 2;
  const lines = commands.map(({ command }) => `  ${command.usage.padEnd(width)}${command.summary}`);
  return `kontract ${VERSION}\n\nUsage: kontract <command> [options]\n\n${lines.join("\n")}\n\n` +
    "kontract <command> --help tells more. KONTRACT_DEBUG=1 shows causes of errors.";
}

function helpOf(command: Command): string {
  const options = Object.entries({ ...command.options, ...HELP }).map(([name, option]) => {
    const flag = option.type === "string" ? `--${name} ${option.value ?? "VALUE"}` : `--${name}`;
    return `  ${flag.padEnd(20)}${option.help}`;
  });
  return `kontract ${command.usage}\n\n${command.summary}\n\nOptions:\n${options.join("\n")}`;
}
