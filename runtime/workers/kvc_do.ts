/**
 * `KvcDO`: a shard of the shared state, and the randoms of ticket epochs.
 *
 * @module
 */
import { EpochRandoms } from "../epoch_randoms.ts";
import { MemoryEntries, SqliteEntries } from "../shared_entries.ts";
import { type SharedOperation, SharedStateLogic } from "../shared_state.ts";
import { answerCall, type ObjectMethods } from "./object_call.ts";
import { objectSqlite } from "./object_sqlite.ts";
import type { ObjectState } from "./platform.ts";

/** One shard. Entries that are not durable live in memory and end with it. */
export class KvcDO {
  readonly #methods: ObjectMethods;

  /** Called by the platform. */
  constructor(state: ObjectState) {
    const sqlite = objectSqlite(state.storage);
    const clock = { now: (): number => Date.now() };
    const logic = new SharedStateLogic({
      durable: new SqliteEntries(sqlite),
      volatile: new MemoryEntries(),
      clock,
      transaction: (body) => sqlite.transaction(body),
    });
    const epochs = new EpochRandoms(sqlite, clock);
    this.#methods = {
      shared: (operation) => logic.run(operation as SharedOperation),
      epoch: (epoch) => epochs.random(Number(epoch)),
    };
  }

  /** One operation. */
  fetch(request: Request): Promise<Response> {
    return answerCall(request, this.#methods);
  }
}
