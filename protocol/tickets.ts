/**
 * Tickets: what a stateless gateway must remember of a handshake, sealed and handed to the client.
 *
 * `01 ‖ kid[8] ‖ epoch u32 ‖ salt[16] ‖ AEAD(key, nonce 0, ad = all before, rms[32] ‖ sid[16] ‖
 * iat u64 ‖ exp u64 ‖ auth_epoch u32)`, 113 bytes. `key = HMAC(epoch key, salt)` is used for one ticket
 * only. The epoch key is derived from `KONTRACT_SECRET` **and** the epoch's stored random: once that is
 * deleted, nobody can open the epoch's tickets, not even with the secret. With a store that answers zeros
 * there is no forward secrecy, and a deployment must not claim it.
 *
 * A ticket carries no authority. Every failure to open is the same null.
 *
 * @module
 */
import { deriveKey, KEY_LABELS } from "../_internal/keys.ts";
import { type Bytes, concat, randomBytes, TAG_LENGTH, utf8, viewOf } from "./bytes.ts";
import type { Symmetric } from "./crypto/provider.ts";

/** Per-epoch randoms; see the port of the same name in `runtime/ports.ts`. */
export interface EpochStore {
  /** 32 bytes for `epoch`, made on first use for the current epoch; null where it is gone or never was. */
  random(epoch: number): Promise<Uint8Array | null>;
}

/** Time source, milliseconds since 1970. */
export interface TicketClock {
  now(): number;
}

/** Length of an epoch in milliseconds; number = floor(now / length). */
export const EPOCH_MS = 3_600_000;

/** What a ticket seals. */
export interface TicketContents {
  readonly rms: Bytes;
  /** 16 bytes, random per handshake; for logs and accounting only. */
  readonly sid: Bytes;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly authEpoch: number;
}

/** What tickets are made with. */
export interface TicketOptions {
  readonly crypto: Symmetric;
  /** Newest first, each with the kid of its static key. */
  readonly secrets: readonly { readonly kid: string; readonly secret: Uint8Array }[];
  readonly epochs: EpochStore;
  readonly clock: TicketClock;
  /** Milliseconds a ticket lives, at most one epoch. */
  readonly lifetime: number;
  /** Tickets from before this number are refused: raise it to end all channels at once. */
  readonly authEpoch: number;
}

const VERSION = 1;
const HEAD = 29;
const CONTENTS = 68;
const LENGTH = HEAD + CONTENTS + TAG_LENGTH;
const ZERO_NONCE = new Uint8Array(12);
// How far the clocks of two gateways may lie apart.
const SKEW = 60_000;
// An epoch's random is asked for again after this long, so that deleting it takes effect.
const CACHE_MS = 30_000;

// Opened tickets kept at hand: 1,024 of them are about 300 KiB.
const MAX_OPENED = 1024;

interface CachedKey {
  readonly key: Bytes;
  readonly until: number;
}

interface OpenedTicket {
  readonly contents: TicketContents;
  /** No longer than its epoch key is trusted. */
  readonly until: number;
}

/** Makes and opens tickets. */
export class TicketBox {
  readonly #options: TicketOptions;
  // Values, never pending promises: in Workers no request may wait for another's.
  readonly #keys = new Map<string, CachedKey>();
  readonly #opened = new Map<string, OpenedTicket>();

  /** Nothing is read before the first ticket. */
  constructor(options: TicketOptions) {
    this.#options = options;
  }

  /** A ticket for `rms` and the milliseconds it is good for; null where the store has no epoch now. */
  async seal(rms: Uint8Array): Promise<{ ticket: Bytes; lifetime: number } | null> {
    const { clock, secrets, lifetime, crypto, authEpoch } = this.#options;
    const newest = secrets[0];
    if (newest === undefined) return null;
    const now = clock.now();
    const epoch = Math.floor(now / EPOCH_MS);
    const cached = await this.#epochKey(newest.kid, epoch);
    if (cached === null) return null;
    const epochKey = cached.key;
    const salt = randomBytes(16);
    const head = new Uint8Array(HEAD);
    head[0] = VERSION;
    head.set(utf8(newest.kid), 1);
    viewOf(head).setUint32(9, epoch, true);
    head.set(salt, 13);
    const contents = concat(rms, randomBytes(16), new Uint8Array(20));
    const view = viewOf(contents);
    view.setBigUint64(48, BigInt(now), true);
    view.setBigUint64(56, BigInt(now + lifetime), true);
    view.setUint32(64, authEpoch, true);
    const sealed = crypto.seal(crypto.hmac(epochKey, salt), ZERO_NONCE, head, contents);
    return { ticket: concat(head, sealed), lifetime };
  }

  /** What `ticket` seals, or null: foreign, changed, expired, from a gone epoch or secret, revoked. */
  async open(ticket: Uint8Array): Promise<TicketContents | null> {
    if (ticket.length !== LENGTH || ticket[0] !== VERSION) return null;
    const { clock, crypto, authEpoch, lifetime } = this.#options;
    const name = String.fromCharCode(...ticket);
    const known = this.#known(name);
    if (known !== null) return known;
    const head = ticket.subarray(0, HEAD);
    const epoch = viewOf(ticket).getUint32(9, true);
    const now = clock.now();
    const current = Math.floor((now + SKEW) / EPOCH_MS);
    // Checked before the store is asked, so a stranger cannot make it look up arbitrary numbers.
    if (epoch > current || (epoch + 1) * EPOCH_MS + lifetime + SKEW < now) return null;
    const kid = String.fromCharCode(...ticket.subarray(1, 9));
    const epochKey = await this.#epochKey(kid, epoch);
    if (epochKey === null) return null;
    const key = crypto.hmac(epochKey.key, ticket.subarray(13, HEAD));
    const contents = crypto.open(key, ZERO_NONCE, head, ticket.subarray(HEAD));
    if (contents === null) return null;
    const view = viewOf(contents);
    const opened: TicketContents = {
      rms: contents.slice(0, 32),
      sid: contents.slice(32, 48),
      issuedAt: Number(view.getBigUint64(48, true)),
      expiresAt: Number(view.getBigUint64(56, true)),
      authEpoch: view.getUint32(64, true),
    };
    const alive = opened.expiresAt > now && opened.issuedAt <= now + SKEW &&
      opened.authEpoch >= authEpoch;
    if (!alive) return null;
    if (this.#opened.size >= MAX_OPENED) {
      for (const oldest of this.#opened.keys()) {
        this.#opened.delete(oldest);
        break;
      }
    }
    this.#opened.set(name, { contents: opened, until: epochKey.until });
    return opened;
  }

  // Of the bytes of a ticket, as they were opened before; the one used last goes to the end.
  #known(name: string): TicketContents | null {
    const known = this.#opened.get(name);
    if (known === undefined) return null;
    this.#opened.delete(name);
    const now = this.#options.clock.now();
    const { contents, until } = known;
    if (contents.expiresAt <= now || contents.issuedAt > now + SKEW || !isFresh(until, now)) {
      return null;
    }
    this.#opened.set(name, known);
    return contents;
  }

  async #epochKey(kid: string, epoch: number): Promise<CachedKey | null> {
    const secret = this.#options.secrets.find((each) => each.kid === kid)?.secret;
    if (secret === undefined) return null;
    const now = this.#options.clock.now();
    const name = `${kid}.${epoch}`;
    const cached = this.#keys.get(name);
    if (cached !== undefined && isFresh(cached.until, now)) return cached;
    for (const cache of [this.#keys, this.#opened]) {
      for (const [each, { until }] of cache) {
        if (!isFresh(until, now)) cache.delete(each);
      }
    }
    const key = await this.#deriveEpochKey(secret, epoch);
    if (key === null) return null;
    const fresh = { key, until: now + CACHE_MS };
    this.#keys.set(name, fresh);
    return fresh;
  }

  async #deriveEpochKey(secret: Uint8Array, epoch: number): Promise<Bytes | null> {
    const random = await this.#options.epochs.random(epoch);
    if (random === null || random.length !== 32) return null;
    const number = new Uint8Array(4);
    viewOf(number).setUint32(0, epoch, true);
    return await deriveKey(secret, KEY_LABELS.ticket, concat(number, random));
  }
}

// A clock that went back must not make a cache live longer.
function isFresh(until: number, now: number): boolean {
  return until > now && until <= now + CACHE_MS;
}
