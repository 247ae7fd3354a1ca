import {
  backend,
  ctx,
  env,
  ForbiddenError,
  NotFoundError,
  perms,
  ValidationError,
} from "@kontract/kontract";
import { MESSAGE_LIMIT, NAME_LIMIT } from "./limits.ts";
import type { Entry } from "./schema.ts";

/** The pages of the book. */
export class Entries {
  /** Writes a new entry. The caller's session becomes its author. */
  @backend({
    perm: perms.RW_,
    grants: { "entries.author": perms.RW_, "entries.createdAt": perms.RW_ },
    rateLimit: { limit: 30, windowMs: 60_000 },
  })
  static async sign(name: string, message: string): Promise<Entry> {
    return await env.storage.entries.set(crypto.randomUUID(), {
      author: ctx.owner,
      name: checkName(name),
      message: checkMessage(message),
      createdAt: Date.now(),
    });
  }

  /** The newest entries, newest first; `before` continues where an earlier page ended. */
  @backend({ perm: perms.R__, readOnly: true })
  static async list(before?: number): Promise<Entry[]> {
    const filter = before === undefined ? {} : { createdAt: { lt: before } };
    return await env.storage.entries.query(filter).orderBy("createdAt", "desc").limit(100);
  }

  /** Changes the caller's own entry. */
  @backend({ perm: perms.RW_ })
  static async edit(id: string, message: string): Promise<Entry> {
    await ownEntry(id);
    return await env.storage.entries.update(id, {
      message: checkMessage(message),
      editedAt: Date.now(),
    });
  }

  /** Removes the caller's own entry. */
  @backend({ perm: perms.R_X })
  static async remove(id: string): Promise<void> {
    await ownEntry(id);
    await env.storage.entries.delete(id);
  }
}

/** The entry, where the caller wrote it. */
async function ownEntry(id: string): Promise<Entry> {
  const entry = await env.storage.entries.get(id);
  if (entry === null) throw new NotFoundError("This entry is not in the book any more.");
  if (entry.author !== ctx.owner) throw new ForbiddenError("Only its author may change an entry.");
  return entry;
}

function checkName(value: string): string {
  const name = value.trim().replaceAll(/\s+/gu, " ");
  if (name === "") {
    throw new ValidationError("Please write your name.", { data: { field: "name" } });
  }
  if (name.length > NAME_LIMIT) {
    throw new ValidationError(`A name has at most ${NAME_LIMIT} characters.`, {
      data: { field: "name" },
    });
  }
  return name;
}

function checkMessage(value: string): string {
  const message = value.replaceAll("\r\n", "\n").trim();
  if (message === "") {
    throw new ValidationError("Please write a message.", { data: { field: "message" } });
  }
  if (message.length > MESSAGE_LIMIT) {
    throw new ValidationError(`A message has at most ${MESSAGE_LIMIT} characters.`, {
      data: { field: "message" },
    });
  }
  return message;
}
