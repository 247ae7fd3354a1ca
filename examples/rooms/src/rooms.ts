import {
  backend,
  ctx,
  env,
  HttpResp,
  NotFoundError,
  perms,
  ValidationError,
} from "@kontract/kontract";
import { checkLine, RoomTaken } from "./errors.ts";
import { NAME_LIMIT, PURPOSE_LIMIT, slugOf } from "./limits.ts";
import type { Room } from "./schema.ts";

export class Rooms {
  /// All rooms of the caller's company, oldest first.
  @backend({ perm: perms.R__, readOnly: true, egroup: "rooms" })
  static async listRooms(): Promise<Room[]> {
    return await env.storage.rooms.query().limit(200);
  }

  /**
   * Opens a room. For people with an account.
   *
   * @param name as it is shown; another room must not have it
   * @param purpose what is talked about; may be empty
   * @throws {RoomTaken} with the id of the room that has the name
   */
  @backend({
    egroup: "members",
    perm: perms.RW_,
    grants: { "rooms.openedBy": perms.RW_, "rooms.openedAt": perms.RW_ },
    rateLimit: { limit: 20, windowMs: 60_000 },
  })
  static async openRoom(name: string, purpose: string): Promise<Room> {
    const shown = checkLine(name, "name", NAME_LIMIT);
    const slug = slugOf(shown);
    if (slug === "") {
      throw new ValidationError("A name needs a letter or a digit.", { data: { field: "name" } });
    }
    if (purpose.length > PURPOSE_LIMIT) {
      throw new ValidationError(`A purpose has at most ${PURPOSE_LIMIT} characters.`, {
        data: { field: "purpose" },
      });
    }
    // Read and write are one serializable transaction: of two at once, one is run again and sees this.
    const other = await env.storage.rooms.first({ slug });
    if (other !== null) throw new RoomTaken(other.id, other.name);
    const room = await env.storage.rooms.set(crypto.randomUUID(), {
      name: shown,
      slug,
      purpose: purpose.trim(),
      openedBy: ctx.owner,
      openedAt: Date.now(),
    });
    return HttpResp.created(room, { headers: { "x-room": room.id } });
  }
}

/** The room. A room of another company does not exist here. */
export async function roomOf(id: string): Promise<Room> {
  const room = await env.storage.rooms.get(id);
  if (room === null) throw new NotFoundError("There is no such room.", { data: { room: id } });
  return room;
}
