/**
 * `kontract keys new|rotate|show`: the secret that all keys of a deployment come from, and what clients pin.
 *
 * Rotation takes two steps: put a new secret in front of the old one, ship clients (a build pins the keys
 * of all listed secrets), and drop the old one when the last client that pins only it has gone. Sessions,
 * tickets and resume tokens of the old secret stay good while it is listed.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import { deriveServerKeys } from "../../protocol/mod.ts";
import { type Command, type CommandInput, UsageError } from "../command.ts";
import { openAppFolder } from "../dev/app_folder.ts";
import { newSecret } from "../dev/secret.ts";

const USAGE = "keys new|rotate|show [folder]";
// A client pins at most three keys.
const MAX_SECRETS = 3;

const ACTIONS: Readonly<Record<string, (input: CommandInput) => Promise<void>>> = {
  new: make,
  rotate,
  show,
};

/** The command. */
export const command: Command = {
  usage: USAGE,
  summary:
    "Makes a KONTRACT_SECRET, puts a new one in front of it, or shows the public keys to pin.",
  options: {
    keep: {
      type: "string",
      value: "N",
      help: "With 'rotate': how many older secrets stay listed, 0 to 2; 1 where missing.",
    },
    json: { type: "boolean", help: "With 'show': print JSON." },
  },
  positionals: 2,
  async run(input) {
    const [name = ""] = input.positionals;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (action === undefined) throw new UsageError(`Say 'kontract ${USAGE}'.`);
    await action(input);
    return 0;
  },
};

/** Where the secret in use comes from. */
interface Source {
  readonly secret: string;
  /** The app's own file; null where it is the environment's. */
  readonly file: string | null;
}

function make(): Promise<void> {
  console.log(newSecret());
  return Promise.resolve();
}

async function rotate(input: CommandInput): Promise<void> {
  const keep = keepOf(input);
  const source = await find(input);
  const older = source.secret.split(",").map((part) => part.trim()).slice(0, keep);
  const rotated = [newSecret(), ...older].join(",");
  if (source.file === null) {
    // The value goes where a pipe can take it, the words do not.
    console.log(rotated);
    console.error(
      "Set this as KONTRACT_SECRET, build and ship the clients, then drop the old part.",
    );
    return;
  }
  await replaceFile(source.file, `${rotated}\n`);
  await print(rotated, false);
}

async function show(input: CommandInput): Promise<void> {
  await print((await find(input)).secret, input.values.json === true);
}

async function print(secret: string, json: boolean): Promise<void> {
  const { keys } = await deriveServerKeys(parseSecrets(secret));
  const named = keys.map(({ kid, pin }) => ({ kid, pin }));
  if (json) return console.log(JSON.stringify(named, null, 2));
  for (const [index, { kid, pin }] of named.entries()) {
    console.log(`${kid}  ${pin}  ${index === 0 ? "in use" : "still accepted"}`);
  }
}

async function find(input: CommandInput): Promise<Source> {
  const given = Deno.env.get("KONTRACT_SECRET") ?? "";
  if (given !== "") return checked({ secret: given, file: null });
  const app = await openAppFolder(input.positionals[1] ?? ".");
  const text = await Deno.readTextFile(app.secretFile).catch((cause: unknown) => {
    const message = "There is no secret yet: set KONTRACT_SECRET, or start the app once.";
    throw new KontractError("CONFIG", message, { cause });
  });
  return checked({ secret: text.trim(), file: app.secretFile });
}

function checked(source: Source): Source {
  const count = parseSecrets(source.secret).length;
  if (count <= MAX_SECRETS) return source;
  throw new KontractError(
    "CONFIG",
    `KONTRACT_SECRET lists at most ${MAX_SECRETS} secrets, since clients pin no more: it has ${count}.`,
  );
}

function keepOf(input: CommandInput): number {
  const text = input.values.keep ?? "1";
  if (text === "0" || text === "1" || text === "2") return Number(text);
  throw new UsageError(`--keep must be a number from 0 to 2: it is '${text}'.`);
}

// Whole or not at all: half a secret would lock everybody out.
async function replaceFile(file: string, text: string): Promise<void> {
  const fresh = `${file}.new`;
  await Deno.writeTextFile(fresh, text, { mode: 0o600 });
  if (Deno.build.os !== "windows") await Deno.chmod(fresh, 0o600);
  await Deno.rename(fresh, file);
}
