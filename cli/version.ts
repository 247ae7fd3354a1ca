/**
 * The package's version, as `deno.json` has it; a test holds the two together.
 *
 * @module
 */

/** Version of this package. */
export const VERSION = "0.1.0";
