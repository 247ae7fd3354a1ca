/**
 * A server without disk space or without memory for locks: each call is told so, nothing of it is there, and the
 * connections go on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { type AnyStorage, call, field, number, run, table } from "../../storage/testing/tables.ts";
import { OwnServer } from "./own_server.ts";

const TABLES = [table("cells", [field("n", number)]), table("full", [field("n", number)])];
const CALLS = 20;

Deno.test({
  name: "faults: the server has no room",
  // A file that is always full is Linux's.
  ignore: Deno.build.os !== "linux",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const server = await OwnServer.start(TABLES);
    const { admin } = server;
    const database = postgresDatabase({ url: server.gatewayUrl, max: 3 });
    const engine = storageEngine({ database, tables: TABLES });
    const session = await engine.openSession(await server.token());
    const all = (work: (s: AnyStorage, n: number) => Promise<unknown>) =>
      Promise.allSettled(
        Array.from({ length: CALLS }, (_, n) => run(engine, call(session), (s) => work(s, n))),
      );
    const write = (n: number) => all((s, at) => s.cells!.set(`k${at}`, { n }));
    const count = async (from: string): Promise<number> =>
      Number((await admin.unsafe(`select count(*) as n from ${from}`))[0]!.n);
    const connections = (): Promise<unknown> =>
      admin`select pid from pg_stat_activity where usename = ${server.gatewayRole} order by pid`
        .then((rows) => rows.map(({ pid }) => pid));
    const place = async (name: string): Promise<string> => {
      const [row] = await admin`select ptr from kontract.storage where id = ${name}`;
      return `kontract_private.${row!.ptr}`;
    };
    const refused = (outcomes: readonly PromiseSettledResult<unknown>[], message: RegExp): void => {
      assert.equal(outcomes.length, CALLS);
      for (const each of outcomes) {
        assert.ok(each.status === "rejected" && each.reason instanceof KontractError);
        assert.equal(each.reason.code, "DATABASE_UNAVAILABLE");
        assert.match(each.reason.message, message);
      }
    };
    const numbers = async (): Promise<unknown> => {
      const rows = await admin.unsafe(
        `select distinct data->>'n' as n from ${await place("cells")} where _deleted_txid is null`,
      );
      return rows.map(({ n }) => n);
    };
    try {
      await t.step("of disk space", async () => {
        const [file] = await admin.unsafe(`select current_setting('data_directory') as folder,
          pg_relation_filepath('${await place("full")}') as path`);
        await admin`checkpoint`;
        const path = join(file!.folder, file!.path);
        await Deno.remove(path);
        await Deno.symlink("/dev/full", path);
        await write(1);
        const before = await connections();
        const effects = await count("kontract_private.effects");
        refused(await all((s, n) => s.full!.set(`k${n}`, { n })), /no disk space/);
        refused(
          await all(async (s, n) => {
            await s.cells!.set(`k${n}`, { n: 2 });
            await s.full!.set(`k${n}`, { n });
          }),
          /no disk space/,
        );
        assert.deepEqual(await numbers(), ["1"]);
        assert.equal(await count("kontract_private.effects"), effects);
        for (const each of await write(3)) assert.equal(each.status, "fulfilled");
        assert.deepEqual(await numbers(), ["3"]);
        assert.deepEqual(await connections(), before);
      });

      await t.step("of memory for locks", async () => {
        const before = await connections();
        const effects = await count("kontract_private.effects");
        for (const from of [1, 2_000_000]) {
          await assert.rejects(
            admin`select pg_advisory_lock(n) from generate_series(${from}::int, 4000000) n`,
            { code: "53200" },
          );
        }
        refused(await write(4), /no memory/);
        refused(
          await all(async (s, n) => {
            await s.cells!.get(`k${n}`);
            await s.cells!.set(`k${n}`, { n: 5 });
          }),
          /no memory/,
        );
        await admin`select pg_advisory_unlock_all()`;
        assert.deepEqual(await numbers(), ["3"]);
        assert.equal(await count("kontract_private.effects"), effects);
        for (const each of await write(6)) assert.equal(each.status, "fulfilled");
        assert.deepEqual(await numbers(), ["6"]);
        assert.deepEqual(await connections(), before);
      });
    } finally {
      await database.close();
      await server.stop();
    }
  },
});
