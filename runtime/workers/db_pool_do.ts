/**
 * `DbPoolDO`: at most five connections to the database, kept open between requests. Statements come
 * by name with parameters, so an object that is reached by mistake can be told no SQL.
 *
 * @module
 */
import {
  type Database,
  SqlError,
  type SqlFailure,
  type SqlParam,
  type SqlRow,
} from "../../storage/database.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { answerCall, callObject } from "./object_call.ts";
import type { ObjectNamespace, ObjectState, WorkerEnv } from "./platform.ts";

/** Connections of one pool: PostgreSQL's are dear, and one object is one thread. */
const CONNECTIONS = 5;

/** Seconds without work after which connections are closed, so that the object can rest. */
const IDLE_SECONDS = 20;

type PoolAnswer =
  | { readonly ok: true; readonly rows: readonly SqlRow[] }
  | { readonly ok: false; readonly failure: SqlFailure };

/** One pool. */
export class DbPoolDO {
  readonly #env: WorkerEnv;
  #database: Database | null = null;

  /** Called by the platform. */
  constructor(_state: ObjectState, env: WorkerEnv) {
    this.#env = env;
  }

  /** One statement. */
  fetch(request: Request): Promise<Response> {
    return answerCall(request, {
      execute: (argument) => {
        const [statement, params] = argument as [string, readonly SqlParam[]];
        return this.#execute(statement, params);
      },
    });
  }

  async #execute(statement: string, params: readonly SqlParam[]): Promise<PoolAnswer> {
    const url = this.#env.DATABASE_URL;
    if (url === undefined) {
      return {
        ok: false,
        failure: { sqlstate: "08001", message: "DATABASE_URL is not set", notSent: true },
      };
    }
    this.#database ??= postgresDatabase({ url, max: CONNECTIONS, idleTimeout: IDLE_SECONDS });
    try {
      return { ok: true, rows: await this.#database.execute(statement, params) };
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      return { ok: false, failure: error.failure };
    }
  }
}

/** The database behind `shards` pools; each statement goes to one of them at random. */
export function pooledDatabase(pools: ObjectNamespace, shards: number): Database {
  return {
    async execute(statement, params): Promise<readonly SqlRow[]> {
      const shard = Math.floor(Math.random() * shards);
      const stub = pools.get(pools.idFromName(`pool-${shard}`));
      let answer: PoolAnswer;
      try {
        answer = await callObject(stub, "execute", [statement, params]) as PoolAnswer;
      } catch (cause) {
        throw new SqlError(
          { sqlstate: "08006", message: "the pool does not answer", notSent: false },
          cause,
        );
      }
      if (!answer.ok) throw new SqlError(answer.failure);
      return answer.rows;
    },
    close: () => Promise.resolve(),
  };
}
