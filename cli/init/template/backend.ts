/**
 * The server's side of a new app.
 *
 * @module
 */

/** `src/schema.ts` */
export const SCHEMA = `import { index, primkey, table } from "@kontract/kontract";

/** Notes. Everybody has their own: a session sees only the rows it owns. */
@table("notes", { rows: "owner" })
export class Note {
  @primkey
  id!: string;
  text!: string;
  /** Milliseconds since the epoch. */
  @index()
  createdAt!: number;
}
`;

/** `src/notes.ts` */
export const FUNCTIONS = `import {
  backend,
  env,
  NotFoundError,
  perms,
  ValidationError,
} from "@kontract/kontract";
import type { Note } from "./schema.ts";

/** What people do with their notes. */
export class Notes {
  /** The caller's notes, newest first. */
  @backend({ perm: perms.R__, readOnly: true })
  static async listNotes(): Promise<Note[]> {
    return await env.storage.notes.query()
      .orderBy("createdAt", "desc")
      .limit(200);
  }

  /** Writes a note down. */
  @backend({ perm: perms.RW_ })
  static async addNote(text: string): Promise<Note> {
    const trimmed = text.trim();
    if (trimmed === "" || trimmed.length > 500) {
      throw new ValidationError("A note has 1 to 500 characters.");
    }
    return await env.storage.notes.set(crypto.randomUUID(), {
      text: trimmed,
      createdAt: Date.now(),
    });
  }

  /** Removes one of the caller's notes. */
  @backend({ perm: perms.R_X })
  static async removeNote(id: string): Promise<void> {
    if (!await env.storage.notes.has(id)) {
      throw new NotFoundError("There is no such note.");
    }
    await env.storage.notes.delete(id);
  }
}
`;

/** `tests/notes_test.ts` */
export const TEST = `import assert from "node:assert/strict";
import { startTestApp } from "@kontract/kontract/testing";
import { addNote, client, listNotes, removeNote } from "@/client";

/** What the caller has noted, in alphabetical order. */
async function texts(): Promise<string[]> {
  return (await listNotes()).map((note) => note.text).sort();
}

Deno.test("notes belong to whoever wrote them", async () => {
  await using app = await startTestApp();
  client.configure({ url: app.url });

  const milk = await addNote("  Buy milk ");
  await addNote("Call Ada");
  await assert.rejects(addNote(" "), { code: "VALIDATION" });
  assert.deepEqual(await texts(), ["Buy milk", "Call Ada"]);

  await client.auth.logout();
  assert.deepEqual(await texts(), []);
  await assert.rejects(removeNote(milk.id), { code: "NOT_FOUND" });
});
`;
