import assert from "node:assert/strict";
import postgres from "postgres";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { createTenant } from "../../storage/tenants.ts";
import { code } from "../../storage/testing/expect_code.ts";
import { ACCOUNTS, type AnyStorage, call, NOTES, run } from "../../storage/testing/tables.ts";
import { OwnServer } from "./own_server.ts";

Deno.test({
  name: "a standby is refused; once it is promoted, old snapshots are and nothing is lost",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const tables = [ACCOUNTS, NOTES];
    const server = await OwnServer.start(tables);
    const replica = await server.replicate();
    const primary = postgresDatabase({ url: server.gatewayUrl, max: 2 });
    const standby = postgresDatabase({ url: replica.gatewayUrl(server.gatewayUrl), max: 2 });
    const before = storageEngine({ database: primary, tables });
    const after = storageEngine({ database: standby, tables });
    try {
      const session = await before.openSession(await server.token({ owner: "alice" }));
      const effect = { lane: "once", reqno: 1n };
      const system = await before.openSession(await server.token({ owner: "s", system: true }));
      await createTenant(primary, { session: system, actor: null }, "acme");
      const inAcme = await before.openSession(await server.token({ tenant: "acme" }));
      for (const each of [session, inAcme]) {
        await run(before, call(each, { effect }), (s) => s.accounts!.set("a", { balance: 1 }));
      }
      await replica.caughtUp(server.admin);

      await t.step("every operation on a standby is refused: its snapshots lie", async () => {
        const operations: Readonly<Record<string, (s: AnyStorage) => PromiseLike<unknown>>> = {
          get: (s) => s.accounts!.get("a"),
          getMany: (s) => s.accounts!.getMany(["a", "b"]),
          query: (s) => s.accounts!.query(),
          count: (s) => s.accounts!.count(),
        };
        for (const each of [session, inAcme]) {
          const readOnly = call(each, { readOnly: true });
          for (const [name, work] of Object.entries(operations)) {
            await assert.rejects(
              run(after, readOnly, async (s) => await work(s)),
              code("DATABASE_UNAVAILABLE"),
              name,
            );
          }
          await assert.rejects(
            run(after, call(each, { retry: 0 }), (s) => s.accounts!.set("b", { balance: 1 })),
            code("DATABASE_UNAVAILABLE"),
          );
          await assert.rejects(
            after.changes({ session: each, table: "accounts", after: null, limit: 10 }),
            code("DATABASE_UNAVAILABLE"),
          );
          await assert.rejects(after.checkSession(each), code("DATABASE_UNAVAILABLE"));
        }
        await assert.rejects(
          createTenant(standby, { session: system, actor: null }, "globex"),
          code("DATABASE_UNAVAILABLE"),
        );
        await assert.rejects(
          after.openSession(await server.token({ owner: "alice" })),
          code("DATABASE_UNAVAILABLE"),
        );
      });

      await t.step("so is whatever function the gateway may call, whoever calls it", async () => {
        const functions = await server.admin`
          select p.proname as name, format('select kontract.%I(%s)', p.proname, string_agg(
                   case when a.name = 'p_sid' then quote_literal(${system.sid}::text) else 'null' end
                     || '::' || format_type(a.type, null), ', ' order by a.n)) as text
            from pg_proc p
                 cross join lateral unnest(p.proargtypes, p.proargnames) with ordinality a(type, name, n)
           where p.pronamespace = 'kontract'::regnamespace and a.type is not null
             and has_function_privilege(${server.gatewayRole}, p.oid, 'execute')
           group by p.oid, p.proname`;
        const names = functions.map(({ name }) => String(name).replace(/_[0-9a-f]{16}$/, ""));
        for (const name of ["get", "put", "get_group", "put_group", "commit", "collect"]) {
          assert.ok(names.includes(name), `${name} is not among ${names}`);
        }
        const there = postgres(replica.gatewayUrl(server.gatewayUrl), { max: 1, prepare: false });
        try {
          for (const { name, text } of functions) {
            if (name === "exec") continue; // looks for its query first: there is none
            await assert.rejects(there.unsafe(text), (error: { code?: string }) => {
              assert.match(String(error.code), /^(25006|0A000)$/, `${name}: ${error}`);
              return true;
            });
          }
        } finally {
          await there.end();
        }
      });

      await t.step(
        "a snapshot of the primary is no snapshot of the server that took its place",
        async () => {
          const { position } = await before.changes({
            session,
            table: "accounts",
            after: null,
            limit: 10,
          });
          let moved = false;
          const statements: string[] = [];
          // One call whose database changes under it, as behind a name that now points elsewhere.
          const both = storageEngine({
            database: {
              execute: (statement, params) => {
                statements.push(statement.split(":")[0]!);
                return (moved ? standby : primary).execute(statement, params);
              },
              close: () => Promise.resolve(),
            },
            tables,
          });
          await assert.rejects(
            run(both, call(session, { retry: 0 }), async (s) => {
              await s.accounts!.get("a");
              if (!moved) {
                await replica.caughtUp(server.admin);
                await replica.promote();
                moved = true;
              }
              // A blind write, so that the commit is what judges the snapshot.
              await s.accounts!.set("a", { balance: 100 });
            }),
            code("SNAPSHOT_TOO_OLD"),
          );
          assert.deepEqual(statements, ["get", "put"]);
          const feed = await after.changes({
            session,
            table: "accounts",
            after: position,
            limit: 10,
          });
          assert.equal(feed.reset, true, "a follower starts again from a fresh read");
        },
      );

      await t.step("sessions, rows and effects have come along; work goes on", async () => {
        for (const each of [session, inAcme]) {
          const again = await run(
            after,
            call(each, { effect }),
            (s) => s.accounts!.set("a", { balance: 2 }),
          );
          assert.equal(again.outcome.replayed, true);
          const { value } = await run(after, call(each), async (s) => {
            const row = await s.accounts!.get("a");
            await s.accounts!.update("a", { balance: Number(row!.balance) + 1 });
            return await s.accounts!.get("a");
          });
          assert.deepEqual(value, { id: "a", balance: 2, city: "Ulm" });
        }
      });

      await t.step("the old primary's own calls, if it still runs, stay there", async () => {
        await run(before, call(session), (s) => s.accounts!.set("split", { balance: 1 }));
        const { value } = await run(after, call(session), (s) => s.accounts!.get("split"));
        assert.equal(value, null);
      });
    } finally {
      await primary.close();
      await standby.close();
      await replica.stop();
      await server.stop();
    }
  },
});
