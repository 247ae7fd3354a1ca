/**
 * Why a WebSocket was closed; a file of its own, since a Worker's start needs no more of the protocol.
 *
 * @module
 */

/** WebSocket close codes. The reason is always empty: it would travel in clear. */
export const CloseCode = {
  NORMAL: 1000,
  /** Whatever broke the protocol, authentication included. */
  PROTOCOL: 4400,
  /** The session is as old as it may get: connect again. */
  RENEW: 4401,
  TOO_LARGE: 4413,
  /** The peer does not read what it asked for, or there are too many. */
  OVERLOADED: 4503,
} as const;
