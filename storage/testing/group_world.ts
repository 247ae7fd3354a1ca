/**
 * Three owners whose calls go together, and what of them lies in the database.
 *
 * @module
 */
import type { TableDef } from "../../_internal/manifest.ts";
import type { TestDatabase } from "../../tests/postgres.ts";
import type { CallOptions, CallOutcome, StorageEngine, StorageSession } from "../contract.ts";
import type { Database } from "../database.ts";
import { storageEngine } from "../engine.ts";
import { neverIdle } from "./company.ts";
import { type AnyStorage, run } from "./tables.ts";

/** An engine on which whatever can be in a group is in one, and who calls it. */
export interface GroupWorld {
  readonly engine: StorageEngine;
  /** The engine's port. */
  readonly grouped: Database;
  /** Names of the statements that were sent. */
  readonly sent: string[];
  readonly ada: StorageSession;
  readonly bob: StorageSession;
  readonly cy: StorageSession;
  /** Runs a call. */
  start(options: CallOptions, work: (s: AnyStorage) => Promise<unknown>): Promise<CallOutcome>;
  /** How many records of a call's effect there are. */
  effects(options: CallOptions): Promise<number>;
  /** Lets the statement go that is under way as long as this is. */
  end(): void;
}

/** The world of `test` with `tables`, over `port`. */
export async function groupWorld(
  test: TestDatabase,
  tables: readonly TableDef[],
  port: Database,
): Promise<GroupWorld> {
  const { grouped, sent, held } = neverIdle(port);
  const engine = storageEngine({ database: grouped, tables });
  const open = async (owner: string): Promise<StorageSession> =>
    await engine.openSession(await test.token({ owner, family: owner }));
  return {
    engine,
    grouped,
    sent,
    ada: await open("ada"),
    bob: await open("bob"),
    cy: await open("cy"),
    start: async (options, work) => (await run(engine, options, work)).outcome,
    effects: async ({ effect }) => {
      const [row] = await test.admin`select count(*)::int as n from kontract_private.effects
        where lane = ${effect!.lane} and reqno = ${String(effect!.reqno)}`;
      return Number(row!.n);
    },
    end: () => held.resolve([]),
  };
}
