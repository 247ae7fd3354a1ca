/**
 * raystream at the gateway: the encrypted, authenticated channel between client code and gateway code.
 * Clients import `client.ts`, which pulls in nothing of the server.
 *
 * @module
 */
export {
  createRaystreamServer,
  type PersistSocket,
  RAY_CONTENT_TYPE,
  type RaystreamServer,
  type RaystreamServerOptions,
} from "./server.ts";
export { type SavedSocket, SocketSession } from "./socket_session.ts";
export { CloseCode } from "./close_code.ts";
export type { RaySocket } from "./socket_link.ts";
export { generateRoot, type KeySet, type KeySetRoot, signKeySet, verifyKeySet } from "./key_set.ts";
export { deriveServerKeys, type ServerKey, type ServerKeys } from "./server_keys.ts";
export { EPOCH_MS, type EpochStore, type TicketClock } from "./tickets.ts";
export { KEY_SET_PATH, RAY_PATH } from "./paths.ts";
export { PeerWatch } from "./peer_watch.ts";
export { DEFAULT_LIMITS, MAX_MESSAGE, type RayLimits } from "./limits.ts";
export type { CryptoProvider, DhKeyPair, DiffieHellman, Symmetric } from "./crypto/provider.ts";
export { loadProvider } from "./crypto/select.ts";
export * from "./rpc.ts";
export { RemoteError } from "./wire_error.ts";
