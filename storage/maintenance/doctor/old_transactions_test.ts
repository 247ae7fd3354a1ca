/**
 * What holds back old rows of the whole cluster and is no connection: a prepared transaction that nobody ended,
 * and the slot of a replica that is gone. Both need settings that take a restart, so a server of the test's own.
 *
 * @module
 */
import assert from "node:assert/strict";
import { OwnServer } from "../../../tests/faults/own_server.ts";
import { until } from "../../../tests/until.ts";
import { ACCOUNTS } from "../../testing/tables.ts";
import { checkServer, checkTransactions } from "./server_checks.ts";

Deno.test({
  name: "doctor: prepared transactions and replication slots",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const server = await OwnServer.start([ACCOUNTS]);
    const look = (minutes?: number) => checkTransactions(server.admin, minutes);
    try {
      await server.admin.unsafe("alter system set max_prepared_transactions = 4");
      await server.crash();

      await t.step("room for prepared transactions is told", async () => {
        const found = await checkServer(server.admin, server.gatewayRole);
        assert.ok(
          found.some(({ level, message }) =>
            level === "warning" && message.startsWith("max_prepared_transactions is not 0")
          ),
        );
      });

      await t.step("a prepared transaction is told by its age, and its fix ends it", async () => {
        await server.admin.unsafe(
          `begin; select pg_current_xact_id(); prepare transaction 'o''clock'`,
        );
        assert.deepEqual((await look()).map(({ level }) => level), ["ok"], "it is young");
        await server.crash();
        const found = await look(0);
        assert.deepEqual(found.map(({ level }) => level), ["warning"], "a crash does not end it");
        assert.equal(
          found[0]!.message,
          "A prepared transaction of postgres in database 'postgres' has waited for 0 minutes.",
        );
        await server.admin.unsafe(/^In that database: (.*)$/.exec(found[0]!.fix!)![1]!);
        assert.deepEqual((await look(0)).map(({ level }) => level), ["ok"]);
      });

      await t.step("a slot that nobody reads is told when it keeps much of the log", async () => {
        await server.admin`select pg_create_physical_replication_slot('idle', true)`;
        await server.admin.unsafe("create table written as select generate_series(1, 10000) as n");
        assert.deepEqual((await look()).map(({ level }) => level), ["ok"], "it is little");
        const found = await checkTransactions(server.admin, 10, 1000);
        assert.match(found[0]!.message, /^Replication slot 'idle' is unused and keeps \d+ MiB of/);
        await server.admin.unsafe(/, or: (.*)$/.exec(found[0]!.fix!)![1]!);
        assert.equal((await checkTransactions(server.admin, 10, 1000))[0]!.level, "ok");
      });

      await t.step(
        "a slot whose replica is gone is told, one that is followed is not",
        async () => {
          // A replica has room for what its primary has room for, or does not start.
          await server.admin.unsafe("alter system reset max_prepared_transactions");
          await server.crash();
          await server.admin`select pg_create_physical_replication_slot('standby')`;
          const replica = await server.replicate();
          const holds = async (): Promise<{ active: boolean; holds: boolean }> => {
            const [slot] = await server.admin`
            select active, xmin is not null as holds from pg_replication_slots where slot_name = 'standby'`;
            return slot as unknown as { active: boolean; holds: boolean };
          };
          const untilActive = (active: boolean): Promise<void> =>
            until(async () => {
              const slot = await holds();
              return slot.holds && slot.active === active;
            });
          try {
            await replica.admin.unsafe("alter system set primary_slot_name = 'standby'");
            await replica.admin.unsafe("alter system set hot_standby_feedback = on");
            await replica.admin.unsafe("alter system set wal_receiver_status_interval = '1s'");
            await replica.admin.unsafe("select pg_reload_conf()");
            await untilActive(true);
            assert.deepEqual((await look()).map(({ level }) => level), ["ok"]);
          } finally {
            await replica.stop();
          }
          await untilActive(false);
          const found = await look();
          assert.deepEqual(found.map(({ level }) => level), ["warning"]);
          assert.equal(
            found[0]!.message,
            "Replication slot 'standby' (unused) holds back old rows of the whole cluster.",
          );
          await server.admin.unsafe(/, or: (.*)$/.exec(found[0]!.fix!)![1]!);
          assert.deepEqual((await look()).map(({ level }) => level), ["ok"]);
        },
      );
    } finally {
      await server.stop();
    }
  },
});
