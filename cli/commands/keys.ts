/**
 * `kontract keys new`: a fresh `KONTRACT_SECRET`.
 *
 * @module
 */
import { type Command, UsageError } from "../command.ts";
import { newSecret } from "../dev/secret.ts";

/** The command. */
export const command: Command = {
  usage: "keys new",
  summary: "Prints a new KONTRACT_SECRET. To rotate, put it in front of the old one, with a comma.",
  options: {},
  positionals: 1,
  run(input) {
    const [action] = input.positionals;
    if (action !== "new") throw new UsageError("Say 'kontract keys new'.");
    console.log(newSecret());
    return Promise.resolve(0);
  },
};
