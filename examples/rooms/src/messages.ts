import {
  backend,
  ctx,
  env,
  ForbiddenError,
  HttpResp,
  NotFoundError,
  perms,
  ValidationError,
} from "@kontract/kontract";
import { RoomClosed } from "./errors.ts";
import { PAGE, TEXT_LIMIT } from "./limits.ts";
import { callerName } from "./people.ts";
import { roomOf } from "./rooms.ts";
import type { Message } from "./schema.ts";

export class Messages {
  /// The newest messages of a room, newest first; `before` continues where an earlier page ended.
  @backend({ perm: perms.R__, readOnly: true, egroup: "messages" })
  static async history(room: string, before?: number): Promise<Message[]> {
    await roomOf(room);
    const filter = before === undefined ? { room } : { room, sentAt: { lt: before } };
    return await env.storage.messages.query(filter).orderBy("sentAt", "desc").limit(PAGE);
  }

  /**
   * Says something in a room. Guests may, too; the middleware `calm` keeps everybody from flooding.
   *
   * @throws {RoomClosed} where an administrator has closed the room
   * @throws {ValidationError} for an empty or a long text
   * @throws {RateLimitedError} with `data.retryAfter` in milliseconds
   */
  @backend({
    egroup: "messages",
    perm: perms.RW_,
    grants: {
      "messages.room": perms.RW_,
      "messages.author": perms.RW_,
      "messages.name": perms.RW_,
      "messages.text": perms.RW_,
      "messages.sentAt": perms.RW_,
    },
  })
  static async post(room: string, text: string): Promise<Message> {
    const { closed } = await roomOf(room);
    if (closed) throw new RoomClosed(room);
    const message = await env.storage.messages.set(crypto.randomUUID(), {
      room,
      author: ctx.owner,
      name: await callerName(),
      text: checkText(text),
      sentAt: Date.now(),
    });
    return HttpResp.created(message);
  }

  /// Takes back what the caller said.
  @backend({ perm: perms.R_X, egroup: "messages" })
  static async retract(id: string): Promise<void> {
    const { author } = await messageOf(id);
    if (author !== ctx.owner) throw new ForbiddenError("Only its author may take a message back.");
    await env.storage.messages.delete(id);
    return HttpResp.noContent();
  }
}

/** The message, where the caller's company has it. */
export async function messageOf(id: string): Promise<Message> {
  const message = await env.storage.messages.get(id);
  if (message === null) throw new NotFoundError("This message is gone.", { data: { message: id } });
  return message;
}

function checkText(value: string): string {
  const text = value.replaceAll("\r\n", "\n").trim();
  if (text === "") throw new ValidationError("Say something first.", { data: { field: "text" } });
  if (text.length > TEXT_LIMIT) {
    throw new ValidationError(`A message has at most ${TEXT_LIMIT} characters.`, {
      data: { field: "text" },
    });
  }
  return text;
}
