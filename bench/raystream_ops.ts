/**
 * What client and server of the raystream bench call.
 *
 * @module
 */

/** Answers with the value it was given. */
export const ECHO = 1001;

/** Answers with how many bytes it was given. */
export const UPLOAD = 1002;
