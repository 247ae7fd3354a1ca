import { backend, env, HttpResp, NotFoundError, perms } from "@kontract/kontract";
import { messageOf } from "./messages.ts";
import { roomOf } from "./rooms.ts";
import type { Room } from "./schema.ts";

/**
 * What a company's administrators may do. The group is checked by the database in the transaction that
 * applies the change: somebody removed from it a moment ago changes nothing any more.
 */
export class Moderation {
  /// Removes anybody's message; it goes from every page at once.
  @backend({ ugroup: "admin", perm: perms.R_X, egroup: "moderation" })
  static async removeMessage(id: string): Promise<void> {
    await messageOf(id);
    await env.storage.messages.delete(id);
    return HttpResp.noContent();
  }

  /// Closes a room, or opens it again: `closed` says which.
  @backend({
    ugroup: "admin",
    perm: perms.RW_,
    grants: { "rooms.closed": perms.RW_ },
    egroup: "moderation",
  })
  static async closeRoom(id: string, closed: boolean): Promise<Room> {
    await roomOf(id);
    return await env.storage.rooms.update(id, { closed });
  }

  /**
   * Makes somebody an administrator, by the address they signed up with. The first one is made from
   * the command line: `kontract users groups <email> admin`.
   *
   * @returns the groups they are in now
   */
  @backend({ ugroup: "admin", perm: perms.R__, egroup: "moderation" })
  static async appoint(email: string): Promise<readonly string[]> {
    const owner = await env.auth.ownerOf(email);
    if (owner === null) throw new NotFoundError("Nobody here signed up with this address.");
    const groups = new Set([...await env.auth.groupsOf(owner), "admin"]);
    return await env.auth.setGroups(owner, [...groups]);
  }
}
