/**
 * The ports over a Worker's bindings. Made once per isolate; whatever belongs to a request is found in
 * its scope.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import type { FeedBatch, FollowedFeed } from "../../events/mod.ts";
import type { Database } from "../../storage/database.ts";
import { groupedFeeds } from "../../storage/feed_groups.ts";
import { groupedDatabase } from "../../storage/groups.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { createLog } from "../log.ts";
import { pause } from "../../_internal/pause.ts";
import type { ChangeHub, Log, Ports, Topics } from "../ports.ts";
import { type SharedAnswer, sharedStateOver } from "../shared_state.ts";
import { pooledDatabase } from "./db_pool_do.ts";
import { callObject } from "./object_call.ts";
import type { ObjectNamespace, ObjectStub, WorkerEnv } from "./platform.ts";
import { currentScope, scopedDatabase } from "./request_scope.ts";

/** Shards of the shared state: keys are spread over them, each key always on the same one. */
const KVC_SHARDS = 16;

/** Names that `secret()` never gives out: they are Kontract's own. */
const OWN: ReadonlySet<string> = new Set(["KONTRACT_SECRET", "DATABASE_URL"]);

/** @throws {KontractError} `CONFIG` where a binding or setting is missing or unusable */
export function workerPorts(env: WorkerEnv): Ports {
  const clock = { now: (): number => Date.now() };
  const log = createLog(clock);
  for (const name of ["SESSION", "KVC", "CHANGE_HUB"] as const) {
    if (env[name] === undefined) {
      throw new KontractError("CONFIG", `The Durable Object binding '${name}' is missing.`);
    }
  }
  const shard = (key: string): ObjectStub => named(env.KVC, `kvc-${hash(key) % KVC_SHARDS}`);
  return {
    clock,
    log,
    database: chooseDatabase(env),
    shared: sharedStateOver(async (operation) =>
      await callObject(shard(operation.key), "shared", operation) as SharedAnswer
    ),
    changes: changeHub(env.CHANGE_HUB),
    topics: objectTopics(env.CHANGE_HUB, log),
    epochs: {
      random: async (epoch) =>
        await callObject(named(env.KVC, "epochs"), "epoch", epoch) as Uint8Array | null,
    },
    secrets: parseSecrets(env.KONTRACT_SECRET),
    secret(name): string | undefined {
      const value = OWN.has(name) ? undefined : env[name];
      return typeof value === "string" ? value : undefined;
    },
    background: (work) => currentScope()?.background(work.catch(() => {})),
  };
}

function chooseDatabase(env: WorkerEnv): Database {
  const { HYPERDRIVE, DB_POOL, DATABASE_URL } = env;
  const form = env.KONTRACT_DATABASE ??
    (HYPERDRIVE !== undefined ? "hyperdrive" : DB_POOL !== undefined ? "pool" : "direct");
  if (form === "hyperdrive" && HYPERDRIVE !== undefined) {
    return perRequest(HYPERDRIVE.connectionString);
  }
  if (DATABASE_URL === undefined || DATABASE_URL === "") {
    throw new KontractError(
      "CONFIG",
      "No database: bind HYPERDRIVE, or set the secret DATABASE_URL to the gateway role's connection string.",
    );
  }
  if (form === "pool" && DB_POOL !== undefined) {
    return askingTogether(pooledDatabase(DB_POOL, parseShards(env.KONTRACT_POOL_SHARDS)));
  }
  if (form === "direct") return perRequest(DATABASE_URL);
  throw new KontractError(
    "CONFIG",
    `KONTRACT_DATABASE is '${form}': it must be hyperdrive, pool or direct, and its binding must exist.`,
  );
}

/** A connection belongs to the request that opened it. */
function perRequest(url: string): Database {
  return scopedDatabase(() => postgresDatabase({ url, max: 1 }));
}

/** Calls and followers of one socket or request ask the pool together: each question is a call of an object. */
function askingTogether(pool: Database): Database {
  return {
    execute: (statement, params) =>
      (currentScope()?.database(() => groupedDatabase(groupedFeeds(pool))) ?? pool).execute(
        statement,
        params,
      ),
    close: () => pool.close(),
  };
}

function parseShards(text: string | undefined): number {
  const shards = Number(text ?? 1);
  if (!Number.isInteger(shards) || shards < 1 || shards > 64) {
    throw new KontractError("CONFIG", "KONTRACT_POOL_SHARDS is a number from 1 to 64.");
  }
  return shards;
}

function changeHub(hubs: ObjectNamespace): ChangeHub {
  const stub = (feed: string): ObjectStub => named(hubs, `feed:${feed}`);
  return {
    wake(feeds): void {
      for (const feed of feeds) {
        currentScope()?.background(callObject(stub(feed), "wake", null).catch(() => {}));
      }
    },
    next(feed, timeoutMs, signal): Promise<void> {
      const ask = async (known: number | null, end: AbortSignal): Promise<number | null> => {
        try {
          return Number(await callObject(stub(feed), "wakes", [known, timeoutMs], end));
        } catch {
          // Out of reach or aborted: whoever follows polls anyway, but not in a tight loop.
          await pause(Math.min(timeoutMs, 1_000), end);
          return null;
        }
      };
      return currentScope()?.wakes.next(feed, ask, signal) ?? ask(null, signal).then(() => {});
    },
  };
}

function objectTopics(hubs: ObjectNamespace, log: Log): Topics {
  // Another name than a feed's, and no two topics share one.
  const stub = (tenant: string, name: string): ObjectStub =>
    named(hubs, `topic:${JSON.stringify([tenant, name])}`);
  return {
    publish(tenant, name, messages): void {
      const work = callObject(stub(tenant, name), "publish", [tenant, name, messages])
        .catch((error: unknown) => log.error("topic_lost", { topic: name, error }));
      currentScope()?.background(work);
    },
    follow(tenant, name): FollowedFeed {
      let position: string | null = null;
      return {
        async changes({ after, limit }): Promise<FeedBatch> {
          const batch = await callObject(stub(tenant, name), "read", [tenant, name, after, limit]);
          position = (batch as FeedBatch).position;
          return batch as FeedBatch;
        },
        async next(timeoutMs, signal): Promise<void> {
          const ask = [tenant, name, position, timeoutMs];
          await callObject(stub(tenant, name), "follow", ask, signal)
            .catch(() => pause(Math.min(timeoutMs, 1_000), signal));
        },
      };
    },
  };
}

function named(namespace: ObjectNamespace, name: string): ObjectStub {
  return namespace.get(namespace.idFromName(name));
}

/** FNV-1a: spreads keys; no secret depends on it. */
function hash(key: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    value = Math.imul(value ^ key.charCodeAt(i), 0x01000193);
  }
  return value >>> 0;
}
