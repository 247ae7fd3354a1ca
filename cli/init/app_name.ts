/**
 * The name of a new app: it becomes a folder, the app's id and the name of its Worker, so it must be fit
 * for all three.
 *
 * @module
 */
import { basename } from "node:path";
import { KontractError } from "../../_internal/errors.ts";

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Names of devices on Windows, which no folder can have there. */
const DEVICE = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$/;

const RULE =
  "A name is 1 to 63 lower-case letters (a to z), digits and dashes, and begins and ends " +
  "with a letter or digit";

/**
 * The name that a new folder gives its app.
 *
 * @throws {KontractError} `CONFIG` with the rule where the folder's name cannot be one.
 */
export function nameOfNewApp(folder: string): string {
  const name = basename(folder);
  if (NAME.test(name) && !DEVICE.test(name)) return name;
  const proposal = nameFrom(name);
  const hint = proposal === null ? "" : ` How about '${proposal}'?`;
  const shown = JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
  const why = DEVICE.test(name) ? "Windows has a device of that name" : RULE;
  throw new KontractError("CONFIG", `${shown} cannot be an app's name. ${why}.${hint}`);
}

/** A name made from the name of a folder that is there already. */
export function nameOfFolder(folder: string): string {
  return nameFrom(basename(folder)) ?? "app";
}

function nameFrom(text: string): string | null {
  const name = text.normalize("NFKD").toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").slice(0, 63)
    .replaceAll(/^-+|-+$/g, "");
  return NAME.test(name) && !DEVICE.test(name) ? name : null;
}
