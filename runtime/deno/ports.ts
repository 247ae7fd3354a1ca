/**
 * The ports in one Deno process. With a state folder, shared state and epoch randoms lie in SQLite
 * there: they outlive the process, and several processes on one machine share them. Without one they
 * lie in memory and end with the process.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { Lazy } from "../../_internal/lazy.ts";
import { TopicHub } from "../../events/mod.ts";
import type { Database } from "../../storage/database.ts";
import { Bells } from "../../_internal/bell.ts";
import { EpochRandoms } from "../epoch_randoms.ts";
import { createLog, type LogSink } from "../log.ts";
import type { Clock, Ports } from "../ports.ts";
import { SqliteEntries } from "../shared_entries.ts";
import { SharedStateLogic, sharedStateOver } from "../shared_state.ts";
import type { OpenSqlite } from "./sqlite.ts";

/** What {@link denoPorts} is made from. */
export interface DenoPortsOptions {
  readonly database: Database;
  readonly secrets: readonly Uint8Array[];
  /** Folder for what outlives the process; in memory where missing. */
  readonly stateDir?: string;
  /** Values for `secret(name)`. */
  secret(name: string): string | undefined;
  /** Where log lines go; the console where missing. */
  readonly logSink?: LogSink;
  readonly clock?: Clock;
}

/** Ports with an end. */
export interface DenoPorts extends Ports {
  /** Waits for background work, then ends database and state. */
  close(): Promise<void>;
}

/** What lies in SQLite. */
interface State {
  readonly sqlite: OpenSqlite;
  readonly shared: SharedStateLogic;
  readonly epochs: EpochRandoms;
}

/** Opens the ports; makes the state folder where it is missing. SQLite is opened by its first use. */
export function denoPorts(options: DenoPortsOptions): DenoPorts {
  const { database, secrets, stateDir } = options;
  const clock = options.clock ?? { now: (): number => Date.now() };
  const file = stateDir === undefined ? ":memory:" : stateFile(stateDir);
  const state = new Lazy(async () => {
    const { openSqlite } = await import("./sqlite.ts");
    return () => stateIn(openSqlite(file), clock);
  });
  const log = createLog(clock, options.logSink);
  const hub = new TopicHub();
  const bells = new Bells();
  const running = new Set<Promise<void>>();
  return {
    clock,
    log,
    database,
    shared: sharedStateOver(async (operation) => (await state.get()).shared.run(operation)),
    changes: {
      wake: (feeds) => feeds.forEach((feed) => bells.ring(feed)),
      next: (feed, timeoutMs, signal) => bells.next(feed, timeoutMs, signal),
    },
    topics: {
      publish: (tenant, name, messages) => {
        for (const message of messages) hub.publish(tenant, name, message);
      },
      follow: (tenant, name) => hub.follow(tenant, name),
    },
    epochs: { random: async (epoch) => (await state.get()).epochs.random(epoch) },
    secrets,
    secret: (name) => options.secret(name),
    background(work): void {
      const watched: Promise<void> = work.then(() => {}, (error: unknown) => {
        log.error("background_failed", { error });
      }).finally(() => running.delete(watched));
      running.add(watched);
    },
    async close(): Promise<void> {
      await Promise.all(running);
      await database.close();
      state.loaded?.sqlite.close();
    },
  };
}

function stateIn(sqlite: OpenSqlite, clock: Clock): State {
  // Both kinds of entries in one place: every process sees the same ones.
  const entries = new SqliteEntries(sqlite);
  const shared = new SharedStateLogic({
    durable: entries,
    volatile: entries,
    clock,
    transaction: (body) => sqlite.transaction(body),
  });
  return { sqlite, shared, epochs: new EpochRandoms(sqlite, clock) };
}

function stateFile(folder: string): string {
  try {
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new KontractError(
      "CONFIG",
      "The folder of KONTRACT_STATE_DIR cannot be made or is none.",
      { cause },
    );
  }
  return `${folder}/state.sqlite`;
}
