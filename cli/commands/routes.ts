/**
 * `kontract routes`: what became of a backend function that the lock file names and the source does not.
 *
 * Changes `kontract.lock.json` only. A renamed route keeps its number on the wire, so deployed clients go
 * on; a removed one takes its number along, for ever.
 *
 * @module
 */
import { join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { formatLock, LockError, parseLock, removeRoute, renameRoute } from "../../compiler/lock.ts";
import { writeFile } from "../../compiler/output.ts";
import { type Command, UsageError } from "../command.ts";

const LOCK_NAME = "kontract.lock.json";
const USAGE = "Say 'kontract routes remove <name>', 'kontract routes rename <old> <new>' or " +
  "'kontract routes list'.";

/** The command. */
export const command: Command = {
  usage: "routes list | remove <name> | rename <old> <new>",
  summary: "Lists, retires or renames backend functions in the lock file of the app.",
  options: {
    app: { type: "string", value: "DIR", help: "The app's folder; the current one where missing." },
  },
  positionals: 3,
  async run({ positionals, values }) {
    const [action, name, to] = positionals;
    const file = join(typeof values.app === "string" ? values.app : ".", LOCK_NAME);
    try {
      const lock = parseLock(await readLock(file));
      if (action === "list" && name === undefined) {
        for (const [route, op] of Object.entries(lock.routes)) console.log(`${op}  ${route}`);
      } else if (action === "remove" && name !== undefined && to === undefined) {
        await writeFile(file, formatLock(removeRoute(lock, name)));
        console.log(`'${name}' is gone for good; its number is never used again.`);
      } else if (action === "rename" && name !== undefined && to !== undefined) {
        await writeFile(file, formatLock(renameRoute(lock, name, to)));
        console.log(`'${name}' is '${to}' now and keeps its number.`);
      } else {
        throw new UsageError(USAGE);
      }
      return 0;
    } catch (error) {
      if (!(error instanceof LockError)) throw error;
      throw new KontractError("CONFIG", `${LOCK_NAME} stays as it is: ${error.message}.`);
    }
  },
};

async function readLock(file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new KontractError(
      "CONFIG",
      `There is no ${LOCK_NAME} here: run this in the app's folder, or name it with --app.`,
    );
  }
}
