/**
 * What PostgreSQL can hold of the texts of JavaScript.
 *
 * @module
 */

/** True for text without a NUL and without half of a surrogate pair. */
export function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}
