/** Times as people say them: "just now", "5 minutes ago", a date once that says more. */

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long ago, seen from `now`. A clock that is a little behind never says "in the future". */
export function ago(time: number, now: number): string {
  const past = Math.max(0, now - time);
  if (past < MINUTE) return "just now";
  if (past < HOUR) return relative.format(-Math.floor(past / MINUTE), "minute");
  if (past < DAY) return relative.format(-Math.floor(past / HOUR), "hour");
  if (past < 14 * DAY) return relative.format(-Math.floor(past / DAY), "day");
  return day.format(time);
}

/** Date and time in full. */
export function exactly(time: number): string {
  return absolute.format(time);
}
