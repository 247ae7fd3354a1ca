/**
 * Randoms of ticket epochs (raystream.md, "HTTP"): made once for the current epoch, deleted when no
 * ticket sealed under them can be valid any more. That deletion is what makes tickets forward secret.
 *
 * @module
 */
import type { Clock } from "./ports.ts";
import type { Sqlite } from "./sqlite.ts";

/** Length of an epoch in milliseconds. */
const EPOCH_MS = 3_600_000;
/** How far another gateway's clock may be ahead. */
const SKEW_MS = 60_000;

const TABLE = "create table if not exists epochs (epoch integer primary key, random blob not null)";
const FORGET = "delete from epochs where epoch < ?";
const READ = "select random from epochs where epoch = ?";
const MAKE = "insert into epochs (epoch, random) values (?, ?) on conflict (epoch) do nothing";

/** The randoms, in SQLite. */
export class EpochRandoms {
  readonly #sqlite: Sqlite;
  readonly #clock: Clock;

  /** Makes the table where it is missing. */
  constructor(sqlite: Sqlite, clock: Clock) {
    this.#sqlite = sqlite;
    this.#clock = clock;
    sqlite.all(TABLE);
  }

  /** 32 bytes, or null where the epoch is gone or never was. */
  random(epoch: number): Uint8Array | null {
    const now = this.#clock.now();
    const current = Math.floor(now / EPOCH_MS);
    return this.#sqlite.transaction(() => {
      // A ticket lives at most one epoch: the one before is still needed, older ones are not.
      this.#sqlite.all(FORGET, current - 1);
      if (epoch === current || epoch === Math.floor((now + SKEW_MS) / EPOCH_MS)) {
        this.#sqlite.all(MAKE, epoch, crypto.getRandomValues(new Uint8Array(32)));
      }
      const row = this.#sqlite.all(READ, epoch)[0];
      const random = row?.random;
      if (random instanceof Uint8Array) return random.slice();
      return random instanceof ArrayBuffer ? new Uint8Array(random.slice(0)) : null;
    });
  }
}
