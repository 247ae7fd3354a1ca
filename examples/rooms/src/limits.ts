/** Bounds that the server decides by and the page helps with. No server code: the page imports this. */

/** Longest message, in characters. */
export const TEXT_LIMIT = 1_000;

/** Longest name of a person or a room. */
export const NAME_LIMIT = 40;

/** Longest purpose of a room. */
export const PURPOSE_LIMIT = 120;

/** Messages in one page of a room's history. */
export const PAGE = 50;

/** How often a page that is looked at says so, in milliseconds. */
export const BEAT_MS = 5_000;

/** After how long without a word somebody is away. */
export const AWAY_MS = 12_000;

/** A room's name as it is compared: case, spaces and signs do not count. */
export function slugOf(name: string): string {
  return name.normalize("NFKC").toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "-")
    .replaceAll(/^-|-$/g, "");
}
