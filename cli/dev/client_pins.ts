/**
 * What a build's client pins: the root that `KONTRACT_ROOT_PIN` names, else the keys of the listed secrets.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { deriveServerKeys } from "../../protocol/server_keys.ts";

/** Pins for the client. Throws `CONFIG` where the root's pin is none. */
export async function clientPins(secrets: readonly Uint8Array[]): Promise<readonly string[]> {
  const root = Deno.env.get("KONTRACT_ROOT_PIN") ?? "";
  if (root === "") return (await deriveServerKeys(secrets)).pins;
  if (/^root\.[\w-]{43}$/.test(root)) return [root];
  throw new KontractError(
    "CONFIG",
    "KONTRACT_ROOT_PIN must be what 'kontract keys new --root' printed: 'root.' and 43 characters.",
  );
}
