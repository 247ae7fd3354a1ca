import { backend, env, perms } from "@kontract/kontract";

/** What the book's cover says. */
export interface BookStats {
  /** Entries in the book. */
  entries: number;
  /** When the first one was signed, in milliseconds since the epoch; null for an empty book. */
  since: number | null;
}

/** Figures about the book; a module of its own, so a chunk of its own that loads on first use. */
export class Stats {
  /** How many entries the book holds, and since when. */
  @backend({ perm: perms.R__, readOnly: true, http: { method: "GET", path: "/api/stats" } })
  static async stats(): Promise<BookStats> {
    const [stats] = await env.storage.exec<BookStats>`
      select count(*) as entries, min("createdAt") as since from entries`;
    return stats!;
  }
}
