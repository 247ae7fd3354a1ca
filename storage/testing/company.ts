/**
 * A database port whose statements never go alone: beside each that can go with others it sends one of a stranger
 * without a session, of another row, and so makes a group of the two. The stranger is refused every time, which
 * must not concern the other.
 *
 * @module
 */
import type { Database, SqlParam, SqlRow } from "../database.ts";
import { groupedDatabase } from "../groups.ts";

/** The port, and what was sent by it. */
export interface Company extends Database {
  /** Names of the statements, without what follows the colon, in order. */
  readonly sent: string[];
}

/** Where the stranger's statement differs: its session's id and its request's, and the rows it names. */
const STRANGERS: Readonly<Record<string, (params: readonly SqlParam[]) => readonly SqlParam[]>> = {
  get: (params) => params.with(0, "nobody"),
  get_many: (params) => params.with(0, "nobody"),
  put: (params) => request(params.with(0, "nobody").with(10, "a stranger's"), 7),
  put_many: (params) => {
    const [keys] = params.slice(9) as [readonly string[] | null];
    const others = keys?.map((key) => `${key} of a stranger`) ?? null;
    return request(params.with(0, "nobody").with(9, others), 6);
  },
};

/** `params` with the stranger's lane, where they have one. */
function request(params: readonly SqlParam[], at: number): readonly SqlParam[] {
  return params[at] === null ? params : params.with(at, "stranger");
}

/** `database`, so that whatever can go with others does. */
export function inCompany(database: Database): Company {
  const { held, grouped, sent } = neverIdle(database);
  return {
    ...grouped,
    sent,
    execute(statement, params): Promise<readonly SqlRow[]> {
      const stranger = STRANGERS[statement.split(":")[0]!]?.(params);
      if (stranger !== undefined) grouped.execute(statement, stranger).catch(() => {});
      return grouped.execute(statement, params);
    },
    close(): Promise<void> {
      held.resolve([]);
      return database.close();
    },
  };
}

/** `database` with groups, on which a statement is under way until it is closed: what comes waits for the turn's end. */
export function neverIdle(database: Database): {
  readonly grouped: Database;
  readonly sent: string[];
  readonly held: PromiseWithResolvers<readonly SqlRow[]>;
} {
  const held = Promise.withResolvers<readonly SqlRow[]>();
  const sent: string[] = [];
  const grouped = groupedDatabase({
    close: () => database.close(),
    execute(statement, params) {
      if (statement === "ping") return held.promise;
      sent.push(statement.split(":")[0]!);
      return database.execute(statement, params);
    },
  });
  void grouped.execute("ping", []);
  return { grouped, sent, held };
}
