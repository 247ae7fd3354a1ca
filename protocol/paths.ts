/**
 * Where a gateway answers; apart from what answers there, which is loaded by the first who asks.
 *
 * @module
 */

/** Path of the sealed channel. */
export const RAY_PATH = "/raystream";

/** Where a gateway gives its key set. */
export const KEY_SET_PATH = "/raystream/keys";
