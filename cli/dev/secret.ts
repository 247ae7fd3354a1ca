/**
 * The app's `KONTRACT_SECRET` on a developer's machine: from the environment, or made once and kept in
 * `.kontract/secret` (mode 600). A file that others may read is repaired, never silently used.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import type { AppFolder } from "./app_folder.ts";
import { keptText } from "./kept_text.ts";

/** 32 random bytes as base64url: what `kontract keys new` prints. */
export function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/**
 * The secret to use, checked.
 *
 * @throws {KontractError} `CONFIG` where it is set but unusable.
 */
export async function loadSecret(app: AppFolder): Promise<string> {
  const given = Deno.env.get("KONTRACT_SECRET") ?? "";
  if (given === "") return await keptSecret(app);
  parseSecrets(given);
  return given;
}

async function keptSecret(app: AppFolder): Promise<string> {
  await Deno.mkdir(app.own, { recursive: true });
  const secret = await keptText(app.secretFile, newSecret);
  if (Deno.build.os !== "windows") await Deno.chmod(app.secretFile, 0o600);
  try {
    parseSecrets(secret);
  } catch (cause) {
    throw new KontractError(
      "CONFIG",
      `'${app.secretFile}' ${
        secret === "" ? "is empty" : "is damaged"
      }. Put the secret back, or delete ` +
        "the file: a new secret is made then, and everybody has to sign in again.",
      { cause },
    );
  }
  return secret;
}
