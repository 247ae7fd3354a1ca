/**
 * Dates as text that sorts as the dates do, since indexes and filters compare text: ISO 8601 for the years
 * 0 to 9999, which is nearly always. ISO writes the others with a sign, in an order of its own; here
 * later years begin with `~`, which comes after every digit, and earlier ones with `-` and the
 * distance from a million years before, so that more is later.
 *
 * @module
 */

const FAR = 1_000_000;

/** The text of a valid date. */
export function encodeDate(date: Date): string {
  const iso = date.toISOString();
  if (iso.startsWith("+")) return `~${iso.slice(1)}`;
  return iso.startsWith("-") ? mirrored(iso) : iso;
}

/** The date of a text. */
export function decodeDate(text: string): Date {
  if (text.startsWith("~")) return new Date(`+${text.slice(1)}`);
  return new Date(text.startsWith("-") ? mirrored(text) : text);
}

/** `-YYYYYY…` with the year counted from the other end; its own inverse. */
function mirrored(text: string): string {
  return `-${String(FAR - Number(text.slice(1, 7))).padStart(6, "0")}${text.slice(7)}`;
}
