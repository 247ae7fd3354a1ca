/**
 * HandshakeState (Noise rev 34, section 5.3) for patterns with a known responder key.
 *
 * Messages go strictly in turn. The first failure, of whatever kind, is final: every later use throws.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { type Bytes, concat } from "../bytes.ts";
import type { CryptoProvider, DhKeyPair } from "../crypto/provider.ts";
import type { Pattern, Token } from "./patterns.ts";
import { SymmetricState } from "./symmetric_state.ts";

const DH_LENGTH = 32;

/** Who we are and what we know before the first message. */
export type HandshakeRole =
  | { readonly role: "initiator"; readonly remoteStatic: Uint8Array }
  | { readonly role: "responder"; readonly localStatic: DhKeyPair };

/** What a handshake starts from. */
export interface HandshakeOptions {
  readonly crypto: CryptoProvider;
  readonly pattern: Pattern;
  readonly prologue: Uint8Array;
  readonly party: HandshakeRole;
  /** Instead of a fresh one: for published vectors only. */
  readonly ephemeral?: DhKeyPair;
}

/** Keys and hash after the last message. */
export interface HandshakeResult {
  /** Initiator to responder. */
  readonly initiatorKey: Bytes;
  /** Responder to initiator. */
  readonly responderKey: Bytes;
  /** The final h: binds whatever is derived later to this very handshake. */
  readonly hash: Bytes;
}

/** One handshake, one side. */
export class HandshakeState {
  readonly #crypto: CryptoProvider;
  readonly #pattern: Pattern;
  readonly #party: HandshakeRole;
  readonly #symmetric: SymmetricState;
  #ephemeral: DhKeyPair | undefined;
  #remoteEphemeral: Bytes | undefined;
  #turn = 0;
  #state: "open" | "busy" | "failed" = "open";

  /** Initialize. */
  constructor(options: HandshakeOptions) {
    this.#crypto = options.crypto;
    this.#pattern = options.pattern;
    this.#party = options.party;
    this.#ephemeral = options.ephemeral;
    this.#symmetric = new SymmetricState(options.crypto, options.pattern.name);
    this.#symmetric.mixHash(options.prologue);
    const known = options.party.role === "initiator"
      ? options.party.remoteStatic
      : options.party.localStatic.publicKey;
    this.#symmetric.mixHash(known);
  }

  /** WriteMessage. */
  writeMessage(payload: Uint8Array): Promise<Bytes> {
    return this.#step("write", async (tokens) => {
      const parts: Bytes[] = [];
      for (const token of tokens) {
        if (token === "e") parts.push(await this.#writeEphemeral());
        else await this.#mixDh(token);
      }
      return concat(...parts, this.#symmetric.encryptAndHash(payload));
    });
  }

  /**
   * ReadMessage: the payload.
   *
   * @throws {KontractError} `RAY_PROTOCOL`, whatever was wrong.
   */
  readMessage(message: Uint8Array): Promise<Bytes> {
    return this.#step("read", async (tokens) => {
      let at = 0;
      for (const token of tokens) {
        if (token === "e") {
          this.#readEphemeral(message.slice(at, at + DH_LENGTH));
          at += DH_LENGTH;
        } else await this.#mixDh(token);
      }
      return this.#symmetric.decryptAndHash(message.subarray(at));
    });
  }

  /** Split; only after the last message. */
  finish(): HandshakeResult {
    if (this.#state !== "open" || this.#turn !== this.#pattern.messages.length) throw outOfTurn();
    this.#state = "failed"; // nothing may follow
    const [initiatorKey, responderKey] = this.#symmetric.split();
    return { initiatorKey, responderKey, hash: this.#symmetric.hash };
  }

  async #step(
    kind: "read" | "write",
    run: (tokens: readonly Token[]) => Promise<Bytes>,
  ): Promise<Bytes> {
    const tokens = this.#pattern.messages[this.#turn];
    const ours = (this.#turn % 2 === 0) === (this.#party.role === "initiator");
    if (this.#state !== "open" || tokens === undefined || ours !== (kind === "write")) {
      this.#state = "failed";
      throw outOfTurn();
    }
    this.#state = "busy";
    try {
      const out = await run(tokens);
      if ((this.#state as string) !== "busy") throw outOfTurn(); // used by two at once
      this.#turn++;
      this.#state = "open";
      return out;
    } catch (error) {
      this.#state = "failed";
      throw error;
    }
  }

  async #writeEphemeral(): Promise<Bytes> {
    this.#ephemeral ??= await this.#crypto.generate();
    this.#symmetric.mixHash(this.#ephemeral.publicKey);
    return this.#ephemeral.publicKey;
  }

  #readEphemeral(key: Bytes): void {
    if (key.length !== DH_LENGTH) throw new KontractError("RAY_PROTOCOL");
    this.#remoteEphemeral = key;
    this.#symmetric.mixHash(key);
  }

  async #mixDh(token: "es" | "ee"): Promise<void> {
    const party = this.#party;
    const static_ = token === "es";
    const local = static_ && party.role === "responder" ? party.localStatic : this.#ephemeral;
    const remote = static_ && party.role === "initiator"
      ? party.remoteStatic
      : this.#remoteEphemeral;
    if (local === undefined || remote === undefined) throw outOfTurn();
    this.#symmetric.mixKey(await local.agree(remote));
  }
}

function outOfTurn(): KontractError {
  return new KontractError("RAY_PROTOCOL", "The handshake was used out of turn.");
}
