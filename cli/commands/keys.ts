/**
 * `kontract keys new|rotate|show|sign`: the secret that all keys of a deployment come from, and what clients
 * pin.
 *
 * Rotation takes two steps: put a new secret in front of the old one, ship clients (a build pins the keys
 * of all listed secrets), and drop the old one when the last client that pins only it has gone. Sessions,
 * tickets and resume tokens of the old secret stay good while it is listed.
 *
 * Or clients pin a root (`new --root`, `KONTRACT_ROOT_PIN` at the build), and the gateway shows its keys
 * signed by it (`sign`, `KONTRACT_KEY_SET` at the gateway). Then a rotation needs no new clients. The root's
 * private key stays off the gateway.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import {
  deriveServerKeys,
  generateRoot,
  type KeySet,
  signKeySet,
  verifyKeySet,
} from "../../protocol/mod.ts";
import { type Command, type CommandInput, UsageError } from "../command.ts";
import { openAppFolder } from "../dev/app_folder.ts";
import { newSecret } from "../dev/secret.ts";

const USAGE = "keys new|rotate|show|sign [folder]";
// A client pins at most three keys.
const MAX_SECRETS = 3;

const ACTIONS: Readonly<Record<string, (input: CommandInput) => Promise<void>>> = {
  new: make,
  rotate,
  show,
  sign,
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
    root: {
      type: "boolean",
      help: "With 'new': a root key, which signs key sets, and its pin.",
    },
    days: {
      type: "string",
      value: "N",
      help: "With 'sign': how long the keys may be used, 1 to 3650 days; 90 where missing.",
    },
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

async function make(input: CommandInput): Promise<void> {
  if (input.values.root !== true) return console.log(newSecret());
  const { privateKey, pin } = await generateRoot();
  // The value goes where a pipe can take it, the words do not.
  console.log(privateKey);
  console.error(
    `Keep this as KONTRACT_ROOT, away from the gateway. Build with KONTRACT_ROOT_PIN=${pin}`,
  );
}

/** The keys of the secret in use, signed with KONTRACT_ROOT; the serial is one above that of the set before. */
async function sign(input: CommandInput): Promise<void> {
  const root = Deno.env.get("KONTRACT_ROOT") ?? "";
  if (root === "") {
    const message = "Set KONTRACT_ROOT to what 'kontract keys new --root' printed.";
    throw new KontractError("CONFIG", message);
  }
  const now = Math.floor(Date.now() / 1000);
  const { keys } = await deriveServerKeys(parseSecrets((await find(input)).secret));
  const before = await currentSet();
  const set: KeySet = {
    serial: (before?.serial ?? 0) + 1,
    // The first of the secrets is the newest, and clients begin with the newest.
    keys: keys.map(({ kid, pin }, index) => ({
      kid,
      public: pin,
      not_before: now - index,
      not_after: now + daysOf(input) * 86_400,
    })),
  };
  console.log(await signKeySet(root, set));
  console.error(`Set this as KONTRACT_KEY_SET of the gateway: serial ${set.serial}.`);
}

/** The set that the environment holds; null for none. Throws where it is not the root's. */
async function currentSet(): Promise<KeySet | null> {
  const text = Deno.env.get("KONTRACT_KEY_SET") ?? "";
  if (text === "") return null;
  const pin = Deno.env.get("KONTRACT_ROOT_PIN") ?? "";
  if (pin !== "") return await verifyKeySet(pin, text);
  const message = "Set KONTRACT_ROOT_PIN too, so that KONTRACT_KEY_SET can be checked.";
  throw new KontractError("CONFIG", message);
}

function daysOf({ values: { days: text = "90" } }: CommandInput): number {
  const days = Number(text);
  if (Number.isInteger(days) && days >= 1 && days <= 3650) return days;
  throw new UsageError(`--days must be a whole number from 1 to 3650: it is '${text}'.`);
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
  const set = await currentSet();
  for (const { kid, not_after } of set?.keys ?? []) {
    const until = new Date(not_after * 1000).toISOString().slice(0, 10);
    console.log(`${kid}  signed, serial ${set?.serial}, until ${until}`);
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
