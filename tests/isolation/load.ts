/**
 * Many clients at several gateways at once, with connections killed under them.
 *
 * A client knows one rule: where the outcome of a request is unknown, or the database was not there, it
 * sends the same request again, to any gateway, until it has an answer. A request that was refused for
 * good counts as not applied.
 *
 * @module
 */
import { Random } from "../../_internal/testing/random.ts";
import { KontractError } from "../../_internal/errors.ts";
import type { StorageEngine, StorageSession } from "../../storage/contract.ts";
import type { Database } from "../../storage/database.ts";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import type { ExecDef, TableDef } from "../../_internal/manifest.ts";
import { inCompany } from "../../storage/testing/company.ts";
import { type AnyStorage, call } from "../../storage/testing/tables.ts";
import type { TestDatabase } from "../postgres.ts";

/** What a load needs of a database. */
export type LoadedDatabase = Pick<TestDatabase, "admin" | "gatewayRole" | "gatewayUrl" | "token">;

/** What one request does. `body` may run several times; what it returns is the request's answer. */
export interface Work {
  readonly readOnly: boolean;
  readonly body: (storage: AnyStorage) => Promise<unknown>;
  /** How many gateways get this request at the same moment; 1 where missing. */
  readonly copies?: number;
}

/** How to load. */
export interface LoadOptions {
  readonly clients: number;
  readonly callsPerClient: number;
  readonly seed: number;
  /** Milliseconds between two killed connections; 0 for none. */
  readonly killEvery: number;
  /** The request `n` of a client. Random numbers come from the client's own generator. */
  readonly work: (random: Random, client: number, n: number) => Work;
}

/** A request and how it ended. */
export interface Finished {
  readonly client: number;
  readonly n: number;
  readonly readOnly: boolean;
  /** Places in one order of all beginnings and ends. */
  readonly began: number;
  readonly ended: number;
  /** The stored answer, or null where the request was refused for good. */
  readonly answer: { readonly value: unknown } | null;
  /** The code of the refusal. */
  readonly refused?: string;
}

type Answer = { readonly value: unknown } | { readonly refused: string };

/** What happened. */
export interface LoadReport {
  readonly finished: readonly Finished[];
  readonly kills: number;
  /** Requests whose outcome was unknown at least once. */
  readonly unsure: number;
  /** Requests whose answer was a stored one. */
  readonly replays: number;
  /** Runs of bodies beyond the first of a request. */
  readonly reruns: number;
}

/** Several gateways over one database, each with a pool of its own. */
export class Gateways {
  readonly engines: readonly StorageEngine[];
  readonly session: StorageSession;
  readonly #databases: readonly Database[];
  readonly #test: LoadedDatabase;

  private constructor(
    test: LoadedDatabase,
    databases: readonly Database[],
    engines: readonly StorageEngine[],
    session: StorageSession,
  ) {
    this.#test = test;
    this.#databases = databases;
    this.engines = engines;
    this.session = session;
  }

  /** Opens `count` gateways with one session that all of them use. */
  static async open(
    test: LoadedDatabase,
    tables: readonly TableDef[],
    execs: readonly ExecDef[] = [],
    count = 3,
  ): Promise<Gateways> {
    const databases = Array.from(
      { length: count },
      // Every second one has all that can be in a group in one.
      (_, n) => {
        const database = postgresDatabase({ url: test.gatewayUrl, max: 6 });
        return n % 2 === 0 ? database : inCompany(database);
      },
    );
    const engines = databases.map((database) => storageEngine({ database, tables, execs }));
    return new Gateways(
      test,
      databases,
      engines,
      await engines[0]!.openSession(await test.token()),
    );
  }

  /** Ends all pools. */
  async close(): Promise<void> {
    await Promise.all(this.#databases.map((database) => database.close()));
  }

  /** Runs a load to its end. */
  async load(options: LoadOptions): Promise<LoadReport> {
    const lanes = crypto.randomUUID();
    const counts = { kills: 0, unsure: 0, replays: 0, reruns: 0 };
    let clock = 0;
    const client = async (client: number): Promise<readonly Finished[]> => {
      const random = new Random(options.seed * 1009 + client);
      const finished: Finished[] = [];
      for (let n = 0; n < options.callsPerClient; n++) {
        const work = options.work(random, client, n);
        const began = ++clock;
        const copies = Array.from(
          { length: work.copies ?? 1 },
          () =>
            this.#request(work, { lane: `${lanes}.${client}`, reqno: BigInt(n) }, random, counts),
        );
        const [answer] = await Promise.all(copies);
        finished.push({
          client,
          n,
          readOnly: work.readOnly,
          began,
          ended: ++clock,
          ...("refused" in answer!
            ? { answer: null, refused: answer.refused }
            : { answer: answer! }),
        });
      }
      return finished;
    };
    const killing = options.killEvery > 0 ? this.#kill(options, counts) : null;
    try {
      const all = await Promise.all(Array.from({ length: options.clients }, (_, i) => client(i)));
      return { finished: all.flat(), ...counts };
    } finally {
      await killing?.stop();
    }
  }

  async #request(
    work: Work,
    effect: { readonly lane: string; readonly reqno: bigint },
    random: Random,
    counts: { unsure: number; replays: number; reruns: number },
  ): Promise<Answer> {
    const text = new TextDecoder();
    for (let attempt = 1;; attempt++) {
      const engine = random.pick(this.engines);
      const options = call(this.session, {
        readOnly: work.readOnly,
        effect: work.readOnly ? null : effect,
        retry: 100,
      });
      try {
        const outcome = await engine.run(options, async (transaction) =>
          new TextEncoder().encode(
            JSON.stringify({ value: await work.body(transaction.storage as AnyStorage) }),
          ));
        if (outcome.replayed) counts.replays++;
        counts.reruns += outcome.attempts - 1;
        return JSON.parse(text.decode(outcome.answer));
      } catch (error) {
        const code = error instanceof KontractError ? error.code : "";
        const again = code === "OUTCOME_UNKNOWN" || code === "DATABASE_UNAVAILABLE" ||
          code === "DEADLINE_EXCEEDED" || code === "OVERLOADED";
        if (code === "CONFLICT" || code === "UNIQUE_VIOLATION") return { refused: code };
        if (!again || attempt > 200) throw error;
        if (attempt === 1) counts.unsure++;
        await new Promise((resolve) => setTimeout(resolve, random.below(20)));
      }
    }
  }

  #kill(options: LoadOptions, counts: { kills: number }): { stop(): Promise<void> } {
    let stopped = false;
    const random = new Random(options.seed);
    const done = (async () => {
      while (!stopped) {
        await new Promise((resolve) => setTimeout(resolve, random.below(2 * options.killEvery)));
        const rows = await this.#test.admin`
          select pg_terminate_backend(pid) as ended from (
            select pid from pg_stat_activity
             where usename = ${this.#test.gatewayRole} and state <> 'idle'
             order by md5(pid::text || ${random.next()}::text) limit ${
          1 + random.below(2)
        }) victims`;
        counts.kills += rows.length;
      }
    })();
    return {
      async stop(): Promise<void> {
        stopped = true;
        await done;
      },
    };
  }
}
