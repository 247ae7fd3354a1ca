/**
 * What happens under those who follow: tables are rebuilt and locked, migrations and garbage collection run, tenants and
 * sessions end.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { TableDef } from "../_internal/manifest.ts";
import type { SessionTokens } from "../auth/contract.ts";
import { AUTH_TABLES } from "../auth/tables.ts";
import { migrateUp } from "../storage/migrate/mod.ts";
import type { Table } from "../storage/types.ts";
import { ctx, env } from "./env.ts";
import { type LiveWorld, withLiveWorld } from "./testing/live_world.ts";
import { type Note, NOTES, type Spec } from "./testing/notes_app.ts";

const MANY = Array.from({ length: 40 }, (_, n): TableDef => ({ ...NOTES, name: `many${n}` }));
const TABLES = [NOTES, ...MANY];
const tables = () => env.storage as unknown as Record<string, Table<Note>>;

const SPECS: Readonly<Record<string, Spec>> = {
  read: {
    meta: { readOnly: true },
    types: ["string"],
    body: async (id: string) => (await tables().notes!.get(id))?.text ?? null,
  },
  all: {
    meta: { readOnly: true },
    types: [],
    body: async () => {
      let found = 0;
      for (const { name } of MANY) found += await tables()[name]!.count();
      return found;
    },
  },
  write: {
    types: ["string", "string", "string"],
    body: async (table: string, id: string, text: string) =>
      void await tables()[table]!.set(id, { id, text, author: ctx.owner }),
  },
};

/** Migrates to the same tables, with new copies of the rows of the notes. */
async function rebuild({ database }: LiveWorld, name: string): Promise<void> {
  const { steps } = await migrateUp({
    adminUrl: database.adminUrl,
    tables: [...AUTH_TABLES, ...TABLES],
    secrets: database.secrets,
    gatewayRole: database.gatewayRole,
    migrations: [{
      name,
      hash: name,
      load: () =>
        Promise.resolve({
          up: (m) => m.transform("notes", (row) => ({ ...row, text: `${row.text} ${name}` })),
        }),
    }],
  });
  assert.ok(steps.length > 0);
}

Deno.test("what happens under those who follow", {
  sanitizeOps: false,
  sanitizeResources: false,
}, async (t) => {
  await withLiveWorld(SPECS, TABLES, async (world) => {
    const { a, b, visitor, database } = world;
    const step = (name: string, fn: () => Promise<void>): Promise<boolean> =>
      t.step({ name, fn, sanitizeOps: false, sanitizeResources: false });
    const ann = await visitor();
    const bob = await visitor();
    await a.call(bob, "write", "notes", "n", "one");

    await step(
      "a table that is rebuilt is read again; an event's follower is told to",
      async () => {
        const live = await a.follow(ann, "read", ["n"]);
        const events = await a.events(ann, "notes");
        assert.equal(await live.value(), "one");
        assert.equal((await events.next()).event, "ready");
        await rebuild(world, "0001_anew");
        assert.equal(await live.value(), "one 0001_anew");
        assert.deepEqual([(await events.next()).event, (await events.next()).event], [
          "reset",
          "ready",
        ]);
        await b.call(bob, "write", "notes", "n", "two");
        assert.equal(await live.value(), "two");
        assert.equal((await events.next()).event, "update");
        for (const each of [live, events]) await each.cancel();
      },
    );

    await step("a run of forty tables is followed in each of them", async () => {
      const live = await a.follow(ann, "all");
      assert.equal(await live.value(), 0);
      for (const [n, at] of [0, 39, 17].entries()) {
        await a.call(bob, "write", `many${at}`, "x", "x");
        assert.equal(await live.value(), n + 1);
      }
      await live.cancel();
    });

    await step("a tenant that is dropped ends what is followed in it", async () => {
      await a.gateway.tenants.create("acme");
      const stranger = await visitor("acme");
      await a.call(stranger, "write", "notes", "n", "there");
      const [live, events] = [
        await a.follow(stranger, "read", ["n"]),
        await a.events(stranger, "notes"),
      ];
      assert.equal(await live.value(), "there");
      await events.next();
      await b.gateway.tenants.drop("acme");
      assert.deepEqual([await live.end(), await events.end()], Array(2).fill("SESSION_REVOKED"));
    });

    await step("another password ends what other sign-ins follow, and not one's own", async () => {
      const post = async (
        path: string,
        body: unknown,
        who?: SessionTokens,
      ): Promise<SessionTokens> => {
        const headers = { authorization: `Bearer ${who?.access}` };
        const init = {
          method: "POST",
          body: JSON.stringify(body),
          headers: who === undefined ? {} : headers,
        };
        const response = await a.gateway.fetch(new Request(`http://app.test${path}`, init));
        assert.equal(response.status, 200, path);
        const { session, ...tokens } = await response.json();
        return session ?? tokens;
      };
      const [email, current] = ["kim@example.com", "nine quiet rivers"];
      const password = "eleven quiet rivers";
      const body = { email, password: current };
      const here = await post("/auth/link", body, await visitor());
      const there = await post("/auth/login", body);
      const [own, other] = [
        await a.follow(here, "read", ["n"]),
        await a.follow(there, "read", ["n"]),
      ];
      for (const live of [own, other]) await live.value();
      const next = await post("/auth/change-password", { current, password }, here);
      await b.call(next, "write", "notes", "n", "after");
      assert.equal(await other.end(), "SESSION_REVOKED");
      assert.equal(await own.value(), "after");
      await own.cancel();
    });

    await step("who comes back after what is kept is told to read again", async () => {
      const events = await a.events(ann, "notes");
      const { id } = await events.next();
      await events.cancel();
      await b.call(bob, "write", "notes", "n", "three");
      // As garbage collection does, an hour later.
      await database
        .admin`update kontract.storage set horizon = pg_snapshot_xmax(pg_current_snapshot())
        where id = 'notes' and owner = 'main'`;
      await b.call(bob, "write", "notes", "n", "four");
      const again = await a.events(ann, "notes", id);
      assert.deepEqual([(await again.next()).event, (await again.next()).event], [
        "reset",
        "ready",
      ]);
      await again.cancel();
    });

    await step("a function is run again where its position is collected meanwhile", async () => {
      const live = await a.follow(ann, "read", ["n"]);
      assert.equal(await live.value(), "four");
      await b.call(bob, "write", "notes", "n", "five");
      await database
        .admin`update kontract.storage set horizon = pg_snapshot_xmax(pg_current_snapshot())
        where id = 'notes' and owner = 'main'`;
      assert.equal(await live.value(), "five");
      await live.cancel();
    });

    await step("a table that a migration holds longer than a lock is waited for", async () => {
      const live = await a.follow(ann, "read", ["n"]);
      const events = await a.events(ann, "notes");
      await live.value();
      await events.next();
      const place = await database.place("notes");
      const heard = [live.next(), events.next()];
      await database.admin.begin(async (sql) => {
        await sql.unsafe(`lock table ${place} in access exclusive mode`);
        await b.call(bob, "write", "many0", "lock", "x"); // so that there is something to look for
        await new Promise((resolve) => setTimeout(resolve, 6_000));
      });
      await b.call(bob, "write", "notes", "n", "six");
      const [value, event] = await Promise.all(heard);
      assert.deepEqual([value!.event, value!.result], ["value", "six"]);
      assert.equal(event!.event, "update");
      for (const each of [live, events]) await each.cancel();
    });
  });
});
