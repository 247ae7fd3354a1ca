/**
 * What a bench was to reach.
 *
 * @module
 */

/** A figure beside its goal, which is the most it may be. */
export function goal(title: string, value: number, most: number, unit: string): string {
  const outcome = Number.isNaN(value) ? "not known" : value <= most ? "met" : "missed";
  return `${title} ${
    value.toFixed(unit === "x" ? 2 : 0)
  } ${unit}, goal ${most} ${unit}: ${outcome}`;
}
