/**
 * Many alarms, one timer. Nearly every alarm is put off again long before it would ring, and setting and
 * clearing a timer for each costs more than all else that a call does while it waits. They ring up to
 * {@link TICK_MS} late. The timer runs only while there are alarms and for one tick after.
 *
 * @module
 */

/** How late an alarm may ring. */
const TICK_MS = 50;

interface Alarm {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly ring: () => void;
}

/** Sets an alarm in so many milliseconds; what it gives puts it off. */
export type SetAlarm = (ms: number, ring: () => void) => () => void;

/** An alarm with a timer of its own. */
export const setPreciseAlarm: SetAlarm = (ms, ring) => {
  const timer = setTimeout(ring, Math.min(ms, 2_147_483_647));
  return () => clearTimeout(timer);
};

/** Alarms that share a timer. */
export class Alarms {
  readonly #alarms = new Set<Alarm>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** Sets one. */
  readonly set: SetAlarm = (ms, ring) => {
    const alarm = { at: Date.now() + ms, ring };
    this.#alarms.add(alarm);
    this.#timer ??= setTimeout(this.#tick, TICK_MS);
    return () => this.#alarms.delete(alarm);
  };

  /** None rings any more, and the timer ends. */
  clear(): void {
    this.#alarms.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  readonly #tick = (): void => {
    this.#timer = this.#alarms.size > 0 ? setTimeout(this.#tick, TICK_MS) : null;
    const now = Date.now();
    for (const alarm of this.#alarms) {
      if (alarm.at > now) continue;
      this.#alarms.delete(alarm);
      alarm.ring();
    }
  };
}
