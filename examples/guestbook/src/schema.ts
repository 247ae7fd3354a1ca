import { index, perm, perms, primkey, table } from "@kontract/kontract";

/** What visitors have written into the book. Everybody may read all of it. */
@table("entries", { perm: perms.RWX })
export class Entry {
  @primkey
  id!: string;
  /** Owner id of who signed. A session may read it but not write it: only `sign` is granted that. */
  @perm(perms.R__)
  author!: string;
  /** As the visitor wants to be called. */
  name!: string;
  /** Plain text; line breaks are kept. */
  message!: string;
  /** When it was signed, in milliseconds since the epoch; written by `sign` only. */
  @index()
  @perm(perms.R__)
  createdAt!: number;
  /** When the author changed it last. */
  editedAt?: number;
}

/** Who keeps the book and may remove any entry. A session can read it, only `claim` adds to it. */
@table("keepers", { perm: perms.RWX })
export class Keeper {
  /** Owner id of the keeper. */
  @primkey
  id!: string;
  @perm(perms.R__)
  since!: number;
}
