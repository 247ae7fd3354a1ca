/**
 * Live queries on a real database, by two gateways that wake each other's followers never: what is followed, when
 * it runs, for whom, and what it may not do. Over the sealed channel, on both hosts: `tests/e2e/live_queries_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { FieldDef, TableDef } from "../_internal/manifest.ts";
import { KontractError } from "../_internal/errors.ts";
import type { Table } from "../storage/types.ts";
import { until } from "../tests/until.ts";
import { ctx, env } from "./env.ts";
import { MAX_LIVE_ARGUMENTS } from "./live_arguments.ts";
import { liveValues, RUN_DISTANCE_MS } from "./live_query.ts";
import { rateLimit } from "./middleware/mod.ts";
import { MAX_STREAMS } from "./open_streams.ts";
import { type Followed, type LiveWorld, withLiveWorld } from "./testing/live_world.ts";
import { gates, type Note, NOTES, runs, type Spec } from "./testing/notes_app.ts";

const hidden: FieldDef = {
  name: "secret",
  shape: { kind: "string" },
  optional: true,
  perm: 0,
  doc: "",
};
const DIARY: TableDef = { ...NOTES, name: "diary", rows: "owner" };
const INBOX: TableDef = { ...NOTES, name: "inbox", perm: 2 };
const FILES: TableDef = { ...NOTES, name: "files", fields: [...NOTES.fields, hidden] };

type Row = Note & { readonly secret?: string };
const tables = () =>
  env.storage as unknown as Record<"notes" | "diary" | "files" | "inbox", Table<Row>>;
const TWICE = rateLimit({ limit: 2, windowMs: 3_600_000 });
const READ = { readOnly: true };
const GRANTED = { grants: { "files.secret": 6 as const } };

/** Read-only functions by the operation they read with; each gives something of the note 'n'. */
const FORMS: Readonly<Record<string, () => unknown>> = {
  get: async () => (await tables().notes.get("n"))?.text ?? null,
  has: async () => await tables().notes.has("n"),
  getMany: async () => (await tables().notes.getMany(["n", "m"])).map((note) => note?.text ?? null),
  query: async () => (await tables().notes.query({ id: "n" })).map(({ text }) => text),
  first: async () => (await tables().notes.first({ id: "n" }))?.text ?? null,
  total: async () => await tables().notes.count({ id: "n" }),
  walk: async () => {
    const found = [];
    for await (const { id, text } of tables().notes) if (id === "n") found.push(text);
    return found;
  },
  part: () => env.storage.transaction(async () => (await tables().notes.get("n"))?.text ?? null),
  parts: () =>
    Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        env.storage.transaction(async () =>
          n % 2 === 0
            ? (await tables().notes.get("n"))?.text ?? null
            : (await tables().files.get("f"))?.text ?? null
        )),
    ),
};

const SPECS: Readonly<Record<string, Spec>> = {
  ...Object.fromEntries(
    Object.entries(FORMS).map(([name, body]) => [name, { meta: READ, types: [], body }]),
  ),
  add: {
    types: ["string", "string"],
    body: async (id: string, text: string) =>
      void await tables().notes.set(id, { id, text, author: ctx.owner }),
  },
  drop: { types: ["string"], body: (id: string) => tables().notes.delete(id) },
  by: {
    meta: READ,
    types: ["string"],
    body: async (start: string) =>
      (await tables().notes.query().orderBy("id")).filter(({ id }) => id.startsWith(start))
        .map(({ text }) => text).join(),
  },
  late: {
    meta: READ,
    types: [],
    body: async () => {
      const found = await tables().notes.get("late");
      if (!gates.has("passed")) await new Promise<void>((resolve) => gates.set("late", resolve));
      return found?.text ?? null;
    },
  },
  must: {
    meta: READ,
    types: ["string"],
    body: async (id: string) => {
      const note = await tables().notes.get(id);
      if (note === null) throw new KontractError("NOT_FOUND", "It has gone.");
      return note.text;
    },
  },
  write: {
    types: ["string"],
    body: async (text: string) =>
      void await tables().diary.set(ctx.owner, { id: ctx.owner, text, author: ctx.owner }),
  },
  mine: { meta: READ, types: [], body: async () => (await tables().diary.query()).length },
  hide: {
    meta: GRANTED,
    types: ["string"],
    body: async (secret: string) =>
      void await tables().files.set("f", { id: "f", text: "", author: "", secret }),
  },
  shown: {
    meta: { ...READ, ...GRANTED },
    types: [],
    body: async () => (await tables().files.get("f"))?.secret ?? null,
  },
  inbox: {
    meta: READ,
    types: [],
    body: async () => [
      await tables().inbox.count().catch(() => "closed"),
      (await tables().notes.get("n"))?.text ?? null,
    ],
  },
  staff: {
    meta: { ...READ, ugroup: "staff" },
    types: [],
    body: async () => await tables().notes.count(),
  },
  few: {
    meta: { ...READ, rateLimit: { limit: 1, windowMs: 3_600_000 } },
    types: [],
    body: async () => await tables().notes.count(),
  },
  twice: {
    meta: READ,
    types: [],
    body: () => TWICE(async () => await tables().notes.count()),
  },
  who: { meta: READ, types: [], body: () => ctx.owner },
  tell: { meta: READ, types: [], body: () => env.events.emit("news", 1) },
  share: { meta: READ, types: [], body: () => env.shared.set("key", 1) },
  bump: { meta: READ, types: [], body: () => env.shared.increment("key") },
  shared: { meta: READ, types: [], body: () => env.shared.get("key") },
  numbers: {
    meta: READ,
    types: [],
    stream: true,
    body: async function* () {
      yield await Promise.resolve(1);
    },
  },
};

const withTwo = (body: (world: LiveWorld) => Promise<void>): Promise<void> =>
  withLiveWorld(SPECS, [NOTES, DIARY, FILES, INBOX], body);

Deno.test("a clock that is set back holds no run up", async () => {
  let runs = 0;
  const values = liveValues({
    run: (reading) => {
      reading.table("notes", "feed");
      reading.snapshot("position");
      return Promise.resolve(Uint8Array.of(++runs));
    },
    unchanged: () => Promise.resolve(null),
    checkAlive: () => Promise.resolve(),
    next: () => Promise.resolve(),
    signal: AbortSignal.timeout(30_000),
    now: () => runs === 0 ? 3_600_000 : 0,
  });
  const seen = [(await values.next()).value!.bytes, (await values.next()).value!.bytes];
  assert.deepEqual(seen, [Uint8Array.of(1), Uint8Array.of(2)]);
  await values.return();
});

Deno.test("what has been given is held for nobody: its bytes are free to be others", async () => {
  const bytes = new Uint8Array(1);
  const ending = new AbortController();
  const values = liveValues({
    run: (reading) => {
      reading.table("notes", "feed");
      reading.snapshot("position");
      if (++bytes[0]! === 5) ending.abort();
      return Promise.resolve(bytes);
    },
    unchanged: () => Promise.resolve(null),
    checkAlive: () => Promise.resolve(),
    next: () => Promise.resolve(),
    signal: ending.signal,
    now: () => 0,
  });
  const seen: number[] = [];
  for await (const { bytes: [byte] } of values) if (seen.push(byte!) === 2) break;
  assert.deepEqual(seen, [1, 2]);
});

Deno.test("live queries", { sanitizeOps: false, sanitizeResources: false }, async (t) => {
  await withTwo(async ({ a, b, visitor, pass }) => {
    const step = (name: string, fn: () => Promise<void>): Promise<boolean> =>
      t.step({ name, fn, sanitizeOps: false, sanitizeResources: false });
    const ann = await visitor();
    const bob = await visitor();

    for (const name of Object.keys(FORMS)) {
      await step(`what a function reads by '${name}' is followed`, async () => {
        await a.call(bob, "drop", "n");
        const live = await a.follow(ann, name);
        const seen = [await live.value()];
        await a.call(bob, "add", "n", "one");
        seen.push(await live.value());
        await a.call(bob, "drop", "n");
        seen.push(await live.value());
        assert.deepEqual(seen[2], seen[0]);
        assert.notDeepEqual(seen[1], seen[0]);
        await live.cancel();
      });
    }

    await step("a commit that leaves the result as it was gives no value", async () => {
      const live = await a.follow(ann, "by", ["same/"]);
      assert.equal(await live.value(), "");
      const before = runs.get("by")!;
      await a.call(bob, "add", "other/1", "x");
      await until(() => runs.get("by") !== before);
      await a.call(bob, "add", "same/1", "x");
      assert.equal(await live.value(), "x");
      await live.cancel();
    });

    await step("without a change nothing runs; one change is one run", async () => {
      await a.call(bob, "add", "c", "0");
      const live = await a.follow(ann, "must", ["c"]);
      assert.equal(await live.value(), "0");
      const before = runs.get("must")!;
      a.trips();
      const looks: string[] = [];
      // Over a wait for a wake.
      while (looks.length < 2) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        looks.push(...a.trips());
      }
      assert.deepEqual([...new Set(looks)], ["changes"], "a look is one statement, and no run");
      assert.equal(runs.get("must"), before);
      for (let change = 1; change <= 5; change++) {
        await a.call(bob, "add", "c", `${change}`);
        assert.equal(await live.value(), `${change}`);
        assert.equal(runs.get("must"), before + change);
        // The session of a call is looked up every five seconds.
        const besides = ["changes", "check_session"];
        const statements = a.trips().filter((name) => !besides.includes(name));
        assert.deepEqual(statements, ["put", "get"], "the write, and one run of one read");
      }
      await live.cancel();
    });

    await step("many transactions of a run are one look at each table", async () => {
      a.trips();
      const live = await a.follow(ann, "parts");
      await live.value();
      const looks: string[] = [];
      while (looks.length < 4) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        looks.push(...a.trips().filter((name) => name === "changes"));
      }
      assert.ok(looks.length <= 6, `${looks.length} statements of two looks`);
      await live.cancel();
    });

    await step("a commit between the first read and the following is seen", async () => {
      const following = a.follow(ann, "late");
      await until(() => gates.has("late"));
      // Nobody listens yet, so this wakes nobody.
      await a.call(bob, "add", "late", "meanwhile");
      gates.set("passed", () => {});
      gates.get("late")!();
      const live = await following;
      assert.deepEqual([await live.value(), await live.value()], [null, "meanwhile"]);
      await live.cancel();
    });

    await step("a commit through a gateway that wakes nobody here is seen", async () => {
      const live = await a.follow(ann, "get");
      const before = await live.value();
      await b.call(bob, "add", "n", "from elsewhere");
      assert.deepEqual([before, await live.value()], [null, "from elsewhere"]);
      await b.call(bob, "drop", "n");
      assert.equal(await live.value(), null);
      await live.cancel();
    });

    await step("so is a change of nothing but a field that the route alone may read", async () => {
      await a.call(bob, "hide", "one");
      const live = await a.follow(ann, "shown");
      assert.equal(await live.value(), "one");
      await b.call(bob, "hide", "two");
      assert.equal(await live.value(), "two");
      await live.cancel();
    });

    await step(
      "a table that may not be read, and whose refusal the function bears, ends nothing",
      async () => {
        const live = await a.follow(ann, "inbox");
        assert.deepEqual(await live.value(), ["closed", null]);
        await b.call(bob, "add", "n", "x");
        assert.deepEqual(await live.value(), ["closed", "x"]);
        await b.call(bob, "drop", "n");
        await live.cancel();
      },
    );

    await step("rows of other owners and of other tenants neither show nor run", async () => {
      await a.gateway.tenants.create("acme");
      const stranger = await visitor("acme");
      const live = await a.follow(ann, "mine");
      const ours = await a.follow(ann, "by", ["t/"]);
      assert.deepEqual([await live.value(), await ours.value()], [0, ""]);
      const before = [runs.get("mine")!, runs.get("by")!];
      assert.equal((await a.call(bob, "write", "x")).status, 200);
      assert.equal((await a.call(stranger, "add", "t/1", "x")).status, 200);
      assert.equal((await a.call(stranger, "write", "x")).status, 200);
      await a.call(ann, "write", "x");
      await a.call(ann, "add", "t/1", "own");
      assert.deepEqual([await live.value(), await ours.value()], [1, "own"]);
      assert.deepEqual([runs.get("mine"), runs.get("by")], before.map((count) => count + 1));
      const theirs = await a.follow(stranger, "by", ["t/"]);
      assert.equal(await theirs.value(), "x");
      for (const each of [live, ours, theirs]) await each.cancel();
    });

    await step("a session that is ended ends what it follows, tables or none", async () => {
      const carol = await visitor();
      const lives = [await a.follow(carol, "get"), await a.follow(carol, "who")];
      for (const live of lives) await live.value();
      await b.gateway.auth.endSessions("main", carol.owner);
      pass(6_000);
      for (const live of lives) assert.equal(await live.end(), "SESSION_REVOKED");
    });

    await step("a token that runs out ends it: the follower comes back with another", async () => {
      const carol = await visitor();
      const live = await a.follow(carol, "who");
      assert.equal(await live.value(), carol.owner);
      pass(carol.expiresAt - Date.now());
      assert.equal(await live.end(), "SESSION_EXPIRED");
      pass(Date.now() - carol.expiresAt - 6_000);
    });

    await step("a group that is taken away ends it, with a change or without", async () => {
      const carol = await visitor();
      await assert.rejects(a.follow(carol, "staff"), { code: "FORBIDDEN", status: 403 });
      await a.gateway.auth.setGroups("main", carol.owner, ["staff"]);
      const live = await a.follow(carol, "staff");
      await live.value();
      await b.gateway.auth.setGroups("main", carol.owner, []);
      await a.call(bob, "add", "group/1", "x");
      assert.equal(await live.end(), "FORBIDDEN");
      await a.gateway.auth.setGroups("main", carol.owner, ["staff"]);
      const quiet = await a.follow(carol, "staff");
      await quiet.value();
      // Beside it, one that looks at a table all the time vouches for no membership.
      const other = await a.follow(carol, "get");
      await other.value();
      await b.gateway.auth.setGroups("main", carol.owner, []);
      pass(6_000);
      assert.equal(await quiet.end(), "FORBIDDEN");
      await other.cancel();
    });

    await step(
      "a route's limit counts who asks, not the runs; middleware counts each",
      async () => {
        const carol = await visitor();
        const live = await a.follow(carol, "few");
        let count = await live.value() as number;
        await assert.rejects(a.follow(carol, "few"), { code: "RATE_LIMITED", status: 429 });
        for (const id of ["limit/1", "limit/2", "limit/3"]) {
          await a.call(bob, "add", id, "x");
          assert.equal(await live.value(), ++count);
        }
        const strict = await a.follow(carol, "twice");
        await strict.value();
        await a.call(bob, "add", "limit/4", "x");
        await strict.value();
        await a.call(bob, "add", "limit/5", "x");
        assert.equal(await strict.end(), "RATE_LIMITED");
        await live.cancel();
      },
    );

    await step("what writes, streams or has effects is refused", async () => {
      for (const name of ["add", "numbers"]) {
        await assert.rejects(a.follow(ann, name, name === "add" ? ["x", "y"] : []), {
          code: "BAD_REQUEST",
          status: 400,
        });
      }
      for (const name of ["tell", "share", "bump"]) {
        await assert.rejects(a.follow(ann, name), { code: "PERMISSION_DENIED", status: 403 }, name);
      }
      const live = await a.follow(ann, "shared");
      assert.equal(await live.value(), null, "and had none");
      await live.cancel();
      await assert.rejects(a.follow(ann, "nothing"), { code: "ROUTE_NOT_FOUND" });
      await assert.rejects(a.follow(ann, "by", [7]), { code: "VALIDATION" });
      const long = "x".repeat(MAX_LIVE_ARGUMENTS);
      await assert.rejects(a.follow(ann, "by", [long]), { code: "TOO_LARGE", status: 413 });
      const nobody = { ...ann, access: "" };
      await assert.rejects(a.follow(nobody, "get"), { code: "UNAUTHORIZED", status: 401 });
    });

    await step("an error of the function ends it, as itself", async () => {
      await assert.rejects(a.follow(ann, "must", ["e"]), { code: "NOT_FOUND", status: 404 });
      await a.call(bob, "add", "e", "here");
      const live = await a.follow(ann, "must", ["e"]);
      assert.equal(await live.value(), "here");
      await a.call(bob, "drop", "e");
      assert.equal(await live.end(), "NOT_FOUND");
    });

    await step("who comes back with the newest value is not given it again", async () => {
      await a.call(bob, "add", "r", "one");
      const first = await a.follow(ann, "must", ["r"]);
      const { id, result } = await first.next();
      assert.equal(result, "one");
      await first.cancel();
      const again = await a.follow(ann, "must", ["r"], id);
      assert.equal((await again.next()).event, "ready");
      await a.call(bob, "add", "r", "two");
      assert.equal(await again.value(), "two");
      await again.cancel();
      const later = await a.follow(ann, "must", ["r"], id);
      assert.equal(await later.value(), "two");
      await later.cancel();
    });

    await step(
      "a thousand commits are a bounded number of runs, and the last one is seen",
      async () => {
        const live = await a.follow(ann, "by", ["burst/"]);
        assert.equal(await live.value(), "");
        const before = runs.get("by")!;
        const began = performance.now();
        for (let i = 0; i < 1000; i += 20) {
          const some = Array.from(
            { length: 20 },
            (_, n) => a.call(bob, "add", `burst/${i + n}`, "x"),
          );
          for (const { status } of await Promise.all(some)) {
            assert.equal(status, 200);
          }
        }
        let seen = 0;
        while (seen < 1000) {
          const now = (await live.value() as string).split(",").length;
          assert.ok(now > seen, "never an older one");
          seen = now;
        }
        const most = (performance.now() - began) / RUN_DISTANCE_MS + 2;
        assert.ok(runs.get("by")! - before <= most, `${runs.get("by")! - before} runs`);
        await live.cancel();
      },
    );

    await step("nothing runs for who does not read, who then gets the newest", async () => {
      await a.call(bob, "add", "slow", "0");
      const live = await a.follow(ann, "must", ["slow"]);
      const before = runs.get("must")!;
      for (let i = 1; i <= 30; i++) await a.call(bob, "add", "slow", `${i}`);
      let frames = 0;
      while (await live.value() !== "30") frames++;
      assert.ok(frames <= 3, `${frames} older ones`);
      assert.ok(runs.get("must")! - before <= 4);
      await live.cancel();
    });

    await step("they count among the session's streams", async () => {
      const carol = await visitor();
      const open: Followed[] = [];
      while (open.length < MAX_STREAMS) open.push(await a.follow(carol, "who"));
      await assert.rejects(a.follow(carol, "who"), { code: "RATE_LIMITED", status: 429 });
      for (const live of open) await live.cancel();
    });
  });
});
