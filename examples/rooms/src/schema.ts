import { index, perm, perms, primkey, table } from "@kontract/kontract";

/** The rooms of a company. Everybody of the company may read all of them. */
@table("rooms", { perm: perms.RWX })
export class Room {
  @primkey
  id!: string;
  /** As whoever opened it called it. */
  name!: string;
  /** The name without case, spaces and signs: two rooms cannot look alike. */
  @index({ unique: true })
  slug!: string;
  /** What is talked about; may be empty. */
  purpose!: string;
  /** Owner id of who opened it; only `openRoom` is granted to write it. */
  @perm(perms.R__)
  openedBy!: string;
  /** In milliseconds since the epoch. */
  @perm(perms.R__)
  openedAt!: number;
  /** True: it can be read, and nobody can post. Only an administrator's `closeRoom` may write it. */
  @perm(perms.R__)
  closed: boolean = false;
}

/** What was said. Who and when cannot be forged: only `post` is granted those fields. */
@table("messages", { perm: perms.RWX })
@index(["room", "sentAt"])
export class Message {
  @primkey
  id!: string;
  /** Id of the room. */
  @perm(perms.R__)
  room!: string;
  /** Owner id of who said it. */
  @perm(perms.R__)
  author!: string;
  /** What the author was called then. */
  @perm(perms.R__)
  name!: string;
  /** Plain text; line breaks are kept. */
  @perm(perms.R__)
  text!: string;
  /** In milliseconds since the epoch. */
  @perm(perms.R__)
  sentAt!: number;
}

/** What people want to be called. Who has no row here is a guest with a number. */
@table("people", { perm: perms.RWX })
export class Person {
  /** Owner id: the same before and after signing up. */
  @primkey
  id!: string;
  @perm(perms.R__)
  name!: string;
}
