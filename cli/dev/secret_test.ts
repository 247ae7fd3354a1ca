/** The secret of an app on a developer's machine. */
import assert from "node:assert/strict";
import { TemporaryApp } from "../testing/temporary_app.ts";
import { openAppFolder } from "./app_folder.ts";
import { loadSecret } from "./secret.ts";

Deno.test("a secret file that was damaged is named, with what to do, and is not replaced", async () => {
  await using temporary = await TemporaryApp.create([]);
  const app = await openAppFolder(temporary.folder);
  const made = await loadSecret(app);
  assert.equal(await loadSecret(app), made);
  for (const [text, what] of [["", "is empty"], [made.slice(0, 20), "is damaged"]] as const) {
    await Deno.writeTextFile(app.secretFile, text);
    await assert.rejects(loadSecret(app), {
      code: "CONFIG",
      message: `'${app.secretFile}' ${what}. Put the secret back, or delete the file: ` +
        "a new secret is made then, and everybody has to sign in again.",
    });
    assert.equal(await Deno.readTextFile(app.secretFile), text);
  }
});
