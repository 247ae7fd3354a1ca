/**
 * What a deployment does by the clock, once a minute: garbage collection, and about hourly the sweep of
 * auth's rows that have ended. Any number of gateways may do it side by side: the database lets one
 * collect at a time, and a sweep that is done twice finds nothing the second time.
 *
 * @module
 */
import type { KontractAuth } from "../auth/service.ts";
import type { Database } from "../storage/database.ts";
import { runScheduledGarbage } from "../storage/maintenance/schedule.ts";
import type { Clock, Log, SharedState } from "./ports.ts";
import type { SessionCache, SessionSubject } from "./session_cache.ts";
import { DEFAULT_TENANT } from "./tenants.ts";

/** What {@link Maintenance} is made from. */
export interface MaintenanceParts {
  readonly database: Database;
  readonly sessions: SessionCache;
  readonly auth: Pick<KontractAuth, "sweep">;
  readonly shared: SharedState;
  readonly clock: Clock;
  readonly log: Log;
}

const HOUR = 3_600_000;
/** A sweep looks no further back than this: what it missed for longer stays. */
const FURTHEST = 31 * 24 * HOUR - HOUR;
const SWEPT = `k:swept:${DEFAULT_TENANT}`;

/** The work of one minute. */
export class Maintenance {
  readonly #parts: MaintenanceParts;

  /** Keeps its parts. */
  constructor(parts: MaintenanceParts) {
    this.#parts = parts;
  }

  /** Does what is due. Never rejects: failures are logged, and the next minute tries again. */
  async run(): Promise<void> {
    const { log } = this.#parts;
    try {
      await this.#collect();
    } catch (error) {
      log.error("garbage_failed", { error });
    }
    try {
      await this.#sweep();
    } catch (error) {
      log.error("sweep_failed", { error });
    }
  }

  async #collect(): Promise<void> {
    const { database, sessions } = this.#parts;
    const subject: SessionSubject = { system: true, tenant: DEFAULT_TENANT };
    await runScheduledGarbage({
      database,
      session: async (renew) => {
        const session = await sessions.get(subject);
        if (!renew) return session;
        sessions.drop(subject, session);
        return await sessions.get(subject);
      },
    });
  }

  async #sweep(): Promise<void> {
    const { shared, auth, clock, log } = this.#parts;
    const now = clock.now();
    const last = Number(await shared.get(SWEPT) ?? now - 2 * HOUR);
    if (now - last < HOUR) return;
    const swept = await auth.sweep(DEFAULT_TENANT, Math.max(last, now - FURTHEST), now);
    await shared.set(SWEPT, String(now), { durable: true });
    if (swept > 0) log.info("auth_swept", { swept });
  }
}

/** A timer under way. */
interface MaintenanceTimer {
  /** Starts no further run and waits for the one under way. */
  stop(): Promise<void>;
}

/** Runs it once a minute until stopped, one run at a time. */
export function startMaintenance(run: () => Promise<void>, everyMs = 60_000): MaintenanceTimer {
  let running: Promise<void> | null = null;
  const timer = setInterval(() => {
    running ??= run().finally(() => {
      running = null;
    });
  }, everyMs);
  return {
    async stop(): Promise<void> {
      clearInterval(timer);
      await running;
    },
  };
}
