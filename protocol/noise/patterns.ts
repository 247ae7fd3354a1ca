/**
 * Handshake patterns as data (Noise rev 34, section 7.4). Only what raystream speaks is listed.
 *
 * @module
 */

/** What one step of a message does. */
export type Token = "e" | "es" | "ee";

/** A handshake pattern. */
export interface Pattern {
  /** Full protocol name, hashed into the handshake. */
  readonly name: string;
  /** Token lists; even messages go from initiator to responder. */
  readonly messages: readonly (readonly Token[])[];
}

/**
 * NK: the initiator knows the responder's static key beforehand and stays anonymous itself.
 *
 *     <- s
 *     ...
 *     -> e, es
 *     <- e, ee
 */
export const NK: Pattern = {
  name: "Noise_NK_25519_ChaChaPoly_SHA256",
  messages: [["e", "es"], ["e", "ee"]],
};
