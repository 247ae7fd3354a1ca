/**
 * A gateway on a test's database that tells which statements it sent.
 *
 * @module
 */
import type { Database, SqlRow } from "../../storage/database.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import type { TestDatabase } from "../../tests/postgres.ts";
import type { AppDefinition } from "../app.ts";
import { denoPorts } from "../deno/ports.ts";
import { createGateway, type Gateway } from "../gateway.ts";

/** The gateway, and what it sent. */
export interface CountedGateway {
  readonly gateway: Gateway;
  /** Names of the statements since they were last asked for, without what follows the colon. */
  trips(): string[];
  close(): Promise<void>;
}

/** Makes one with memory and connections of its own; `now` is its clock, `answer` alters what the database says. */
export function countedGateway(
  app: AppDefinition,
  test: TestDatabase,
  now: () => number = Date.now,
  answer: (statement: string, rows: readonly SqlRow[]) => readonly SqlRow[] = (_name, rows) => rows,
): CountedGateway {
  const statements: string[] = [];
  const inner = postgresDatabase({ url: test.gatewayUrl, max: 4 });
  const database: Database = {
    execute: async (statement, params) => {
      statements.push(statement.split(":")[0] ?? "");
      return answer(statement, await inner.execute(statement, params));
    },
    close: () => inner.close(),
  };
  const ports = denoPorts({
    database,
    secrets: test.secrets,
    secret: () => undefined,
    logSink: () => {},
  });
  return {
    gateway: createGateway(app, { ...ports, clock: { now } }),
    trips: () => statements.splice(0),
    close: () => ports.close(),
  };
}
