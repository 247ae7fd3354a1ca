/**
 * A database that never answers.
 *
 * @module
 */
import type { Database } from "../database.ts";

/** What was asked of it, and the alarms that whoever waits has set. */
export interface SilentDatabase {
  readonly database: Database;
  /** Names of the statements. */
  readonly sent: string[];
  readonly alarms: { readonly ms: number; readonly ring: () => void }[];
}

/** One that has been asked nothing yet. */
export function silentDatabase(): SilentDatabase {
  const sent: string[] = [];
  const alarms: SilentDatabase["alarms"] = [];
  const database: Database = {
    execute: (statement) => {
      sent.push(statement);
      return new Promise(() => {});
    },
    alarm: (ms, ring) => {
      alarms.push({ ms, ring });
      return () => {};
    },
    close: () => Promise.resolve(),
  };
  return { database, sent, alarms };
}
