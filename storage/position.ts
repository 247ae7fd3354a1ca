/**
 * Positions of the change feed: `incarnation|snapshot`, a snapshot being PostgreSQL's `xmin:xmax:xip,…`
 * (`migrate/changes.sql.ts`).
 *
 * @module
 */

/** The position of what comes after a call's snapshot. */
export function positionOf(incarnation: string, snapshot: string): string {
  return `${incarnation}|${snapshot}`;
}

/**
 * The earlier of two snapshots' positions: everything after the later one comes after it, too. One server's snapshots
 * each show all that an earlier one did, so the one that began first, or waits for more, is the earlier.
 */
export function earlierPosition(a: string, b: string): string {
  const [one, other] = [reach(a), reach(b)];
  if (one.next !== other.next) return one.next < other.next ? a : b;
  return one.running >= other.running ? a : b;
}

/** First transaction that a snapshot does not know, and how many before it were still running. */
function reach(position: string): { readonly next: bigint; readonly running: number } {
  const [, next = "0", running = ""] = position.slice(position.indexOf("|") + 1).split(":");
  return { next: BigInt(next), running: running === "" ? 0 : running.split(",").length };
}
