/**
 * The app's `KONTRACT_SECRET` on a developer's machine: from the environment, or made once and kept in
 * `.kontract/secret` (mode 600). A file that others may read is repaired, never silently used.
 *
 * @module
 */
import { parseSecrets } from "../../_internal/keys.ts";
import type { AppFolder } from "./app_folder.ts";

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
  const secret = given !== "" ? given : await keptSecret(app);
  parseSecrets(secret);
  return secret;
}

async function keptSecret(app: AppFolder): Promise<string> {
  await Deno.mkdir(app.own, { recursive: true });
  try {
    await Deno.writeTextFile(app.secretFile, `${newSecret()}\n`, { createNew: true, mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  if (Deno.build.os !== "windows") await Deno.chmod(app.secretFile, 0o600);
  return (await Deno.readTextFile(app.secretFile)).trim();
}
