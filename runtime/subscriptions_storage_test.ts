/**
 * Subscriptions on a real database: what is committed is seen, whole, in order, by who may see it.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { FieldDef, TableDef } from "../_internal/manifest.ts";
import { type ServerEvent, TopicHub } from "../events/mod.ts";
import type { StorageSession } from "../storage/contract.ts";
import { storageEngine } from "../storage/engine.ts";
import { postgresDatabase } from "../storage/postgres_database.ts";
import type { Table } from "../storage/types.ts";
import { testDatabase } from "../tests/postgres.ts";
import { Bells } from "../_internal/bell.ts";
import { until } from "../tests/until.ts";
import { createResumeSealer } from "./resume_sealer.ts";
import { openSubscription, type OpenSubscriptionOptions } from "./subscriptions.ts";

interface Note {
  id: string;
  text: string;
  topic?: string;
  hidden?: string;
}

function field(name: string, optional: boolean, perm: FieldDef["perm"] = 7): FieldDef {
  return { name, shape: { kind: "string" }, optional, perm, doc: "" };
}

function notes(name: string, rows: TableDef["rows"]): TableDef {
  return {
    name,
    className: "Note",
    primkey: "id",
    perm: 7,
    rows,
    fields: [
      field("id", false),
      field("text", false),
      field("topic", true),
      field("hidden", true, 2),
    ],
    indexes: [],
    doc: "",
    source: { file: "notes.ts", line: 1, column: 1 },
  };
}

const TABLES = [notes("notes", "all"), notes("diary", "owner")];
const HOUR = 3_600_000;

async function world() {
  const db = await testDatabase(TABLES);
  const database = postgresDatabase({ url: db.gatewayUrl, max: 4 });
  const engine = storageEngine({ database, tables: TABLES });
  const bells = new Bells();
  const sealer = createResumeSealer(db.secrets);
  return {
    engine,
    session: async (owner: string, family = owner): Promise<StorageSession> =>
      await engine.openSession(await db.token({ owner, family })),
    system: async (): Promise<StorageSession> =>
      await engine.openSession(
        await db.token({ owner: "_system", family: "_system", system: true }),
      ),
    /** One call that writes; wakes the followers unless it is another gateway's. */
    async write(
      session: StorageSession,
      work: (tables: { notes: Table<Note>; diary: Table<Note> }) => Promise<void>,
      elsewhere = false,
    ): Promise<void> {
      const { feeds } = await engine.run({
        session,
        perm: 7,
        grants: {},
        ugroup: null,
        readOnly: false,
        retry: 5,
        deadline: Date.now() + 10_000,
        effect: null,
      }, async ({ storage }) => {
        await work(storage as unknown as { notes: Table<Note>; diary: Table<Note> });
        return new Uint8Array();
      });
      if (!elsewhere) feeds.forEach((feed) => bells.ring(feed));
    },
    follow(
      session: StorageSession,
      more: Partial<OpenSubscriptionOptions> = {},
    ): AsyncGenerator<ServerEvent, void, void> {
      return openSubscription({
        engine,
        session,
        changes: {
          wake: () => assert.fail("a follower wakes nobody"),
          next: (feed, timeoutMs, signal) => bells.next(feed, timeoutMs, signal),
        },
        topics: new TopicHub(),
        mayFollow: () => Promise.resolve(Infinity),
        checkAlive: () => Promise.resolve(),
        source: "notes",
        resume: null,
        sealer,
        signal: AbortSignal.timeout(30_000),
        pollMs: HOUR,
        ...more,
      });
    },
    async close(): Promise<void> {
      await database.close();
      await db.close();
    },
  };
}

type World = Awaited<ReturnType<typeof world>>;

async function take(
  events: AsyncGenerator<ServerEvent, void, void>,
  count: number,
): Promise<ServerEvent[]> {
  const taken: ServerEvent[] = [];
  while (taken.length < count) {
    const result = await events.next();
    assert.ok(result.done !== true, `the stream ended after ${taken.length} of ${count} events`);
    taken.push(result.value);
  }
  return taken;
}

function brief(events: readonly ServerEvent[]): string[] {
  return events.map(({ type, key, data }) =>
    `${type} ${key}${data === null ? "" : ` ${(data as Note).text}`}`
  );
}

/** One database for all steps; each step has its own rows and sessions. */
Deno.test({
  name: "subscriptions over PostgreSQL",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const w = await world();
    const step = async (name: string, work: (w: World) => Promise<void>): Promise<void> => {
      assert.ok(
        await t.step({
          name,
          fn: () => work(w),
          sanitizeOps: false,
          sanitizeResources: false,
        }),
        name,
      );
    };
    try {
      await step("an event exists if and only if its transaction committed", committedOnly);
      await step("a commit of another gateway is found without a wake", foundByPolling);
      await step("a commit wakes who follows its rows, and nobody else", onlyItsFollowers);
      await step("a stream cut at every event resumes with nothing missing", cutEverywhere);
      await step("fields, rows and filters are respected", rightsRespected);
      await step("what may not be followed is refused with its code", refusals);
      await step("the stream of a revoked session ends", revoked);
    } finally {
      await w.close();
    }
  },
});

async function committedOnly(w: World): Promise<void> {
  const [alice, bob] = [await w.session("alice"), await w.session("bob")];
  const events = w.follow(bob);
  assert.equal((await take(events, 1))[0]?.type, "ready");
  await w.write(alice, async ({ notes }) => {
    await notes.set("a", { text: "one" });
    await notes.set("b", { text: "two" });
  });
  await assert.rejects(
    w.write(alice, async ({ notes }) => {
      await notes.set("never", { text: "never" });
      throw new Error("the call fails");
    }),
    /the call fails/,
  );
  await w.write(alice, async ({ notes }) => {
    await notes.update("a", { text: "changed" });
  });
  await w.write(alice, async ({ notes }) => {
    await notes.delete("b");
  });
  assert.deepEqual(brief(await take(events, 4)), [
    "insert a one",
    "insert b two",
    "update a changed",
    "delete b",
  ]);
  await events.return();
}

async function onlyItsFollowers(w: World): Promise<void> {
  const [alice, bob] = [await w.session("alice"), await w.session("bob")];
  const reads: string[] = [];
  const followed = async (session: StorageSession, source: "notes" | "diary") => {
    const engine: Pick<typeof w.engine, "changes"> = {
      changes: (options) => {
        reads.push(`${session.owner} ${source}`);
        return w.engine.changes(options);
      },
    };
    const events = w.follow(session, { source, engine });
    await take(events, 1);
    return { next: take(events, 1), events };
  };
  const all = [
    await followed(alice, "diary"),
    await followed(bob, "diary"),
    await followed(alice, "notes"),
    await followed(bob, "notes"),
  ];
  // Each reads once more when it begins to wait.
  await until(() => reads.length >= 8);
  reads.length = 0;
  await w.write(alice, async ({ diary }) => {
    await diary.set("mine", { text: "hers" });
  });
  assert.deepEqual(brief(await all[0]!.next), ["insert mine hers"]);
  assert.deepEqual(reads, ["alice diary"]);
  reads.length = 0;
  await w.write(bob, async ({ notes }) => {
    await notes.set("woken", { text: "all" });
  });
  for (const at of [2, 3]) assert.deepEqual(brief(await all[at]!.next), ["insert woken all"]);
  assert.deepEqual(reads.toSorted(), ["alice notes", "bob notes"]);
  await w.write(bob, async ({ notes, diary }) => {
    await diary.set("his", { text: "his" });
    await notes.delete("woken");
  });
  assert.deepEqual(brief(await all[1]!.next), ["insert his his"]);
  await Promise.all(all.map(({ events }) => events.return()));
}

async function foundByPolling(w: World): Promise<void> {
  const alice = await w.session("alice");
  const events = w.follow(alice, { pollMs: 20 });
  await take(events, 1);
  const waiting = take(events, 1);
  await w.write(alice, async ({ notes }) => {
    await notes.set("c", { text: "from elsewhere" });
  }, true);
  assert.deepEqual(brief(await waiting), ["insert c from elsewhere"]);
  await events.return();
}

async function cutEverywhere(w: World): Promise<void> {
  const alice = await w.session("alice");
  let events = w.follow(alice);
  let [last] = await take(events, 1);
  const seen: string[] = [];
  for (let n = 0; n < 4; n += 1) {
    await w.write(alice, async ({ notes }) => {
      for (const part of ["x", "y", "z"]) await notes.set(`cut-${n}-${part}`, { text: "t" });
    });
  }
  while (!seen.includes("cut-3-z")) {
    const [event] = await take(events, 1);
    assert.notEqual(event!.type, "reset");
    if (event!.type === "insert") seen.push(event!.key!);
    last = event;
    await events.return(); // the connection breaks after every single event
    events = w.follow(alice, { resume: last!.id });
    assert.deepEqual((await take(events, 1))[0]?.data, { resumed: true });
    if (event!.type !== "insert") continue;
    // One event per connection would repeat a transaction's start for ever: read on to its end.
    while (seen.length < 12) {
      const [next] = await take(events, 1);
      seen.push(next!.key!);
      const complete = next!.id !== last!.id;
      last = next;
      if (complete && next!.key!.endsWith("z")) break;
    }
  }
  await events.return();
  const expected = [0, 1, 2, 3].flatMap((n) => ["x", "y", "z"].map((part) => `cut-${n}-${part}`));
  assert.deepEqual([...new Set(seen)], expected);
}

async function rightsRespected(w: World): Promise<void> {
  const [alice, bob] = [await w.session("alice"), await w.session("bob")];
  const all = w.follow(bob);
  const filtered = w.follow(bob, { filter: { topic: "deno" } });
  const diary = w.follow(bob, { source: "diary" });
  for (const events of [all, filtered, diary]) await take(events, 1);
  await w.write(alice, async ({ notes, diary: own }) => {
    await notes.set("d1", { text: "other topic", topic: "node", hidden: "secret" });
    await notes.set("d2", { text: "right topic", topic: "deno", hidden: "secret" });
    await own.set("private", { text: "alice's own" });
  });
  await w.write(bob, async ({ diary: own }) => {
    await own.set("mine", { text: "bob's own" });
  });
  const [first] = await take(all, 1);
  assert.deepEqual(first?.data, { id: "d1", text: "other topic", topic: "node" });
  assert.deepEqual(brief(await take(filtered, 1)), ["insert d2 right topic"]);
  assert.deepEqual(brief(await take(diary, 1)), ["insert mine bob's own"]);
  for (const events of [all, filtered, diary]) await events.return();
}

async function refusals(w: World): Promise<void> {
  const bob = await w.session("bob");
  const code = async (more: Partial<OpenSubscriptionOptions>): Promise<unknown> => {
    const events = w.follow(bob, more);
    return await events.next().then(
      () => "no error",
      (error: unknown) => (error as { code?: unknown }).code,
    );
  };
  assert.equal(await code({ filter: { hidden: "secret" } }), "PERMISSION_DENIED");
  assert.equal(await code({ filter: { nothing: 1 } }), "VALIDATION");
  for (const source of ["missing", "storage", "trxs"]) {
    assert.equal(await code({ source }), "NOT_FOUND");
  }
  assert.throws(() => w.follow(bob, { source: "_users" }), { code: "NOT_FOUND" });
}

async function revoked(w: World): Promise<void> {
  const carol = await w.session("carol", "carol's sign-in");
  const events = w.follow(carol, { pollMs: 20 });
  await take(events, 1);
  await w.engine.revokeFamily(await w.system(), "carol's sign-in", Date.now() + HOUR);
  await assert.rejects(take(events, 1), { code: "SESSION_REVOKED" });
}
