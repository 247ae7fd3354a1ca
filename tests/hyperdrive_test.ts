/**
 * Storage through Hyperdrive's local binding, in real workerd: the engine here, every statement of it run by a
 * Worker over `env.HYPERDRIVE`, one connection per request as in production.
 */
import assert from "node:assert/strict";
import type { KontractError } from "../_internal/errors.ts";
import { stopBundler } from "../compiler/bundler_process.ts";
import { decodeValue, encodeValue } from "../protocol/codec/mod.ts";
import { type Database, SqlError, type SqlFailure, type SqlRow } from "../storage/database.ts";
import { storageEngine } from "../storage/engine.ts";
import { exec, query } from "../storage/exec/testing/query.ts";
import { code } from "../storage/testing/expect_code.ts";
import { ACCOUNTS, call, NOTES, number, PEOPLE, run } from "../storage/testing/tables.ts";
import { testDatabase } from "./postgres.ts";
import { startWorkerd, type Workerd } from "./workerd.ts";

const TOTAL = query({ total: number })`select sum(balance) as total from accounts`;
const tables = [ACCOUNTS, NOTES, PEOPLE];

function throughWorker(workerd: Workerd): Database {
  return {
    async execute(statement, params): Promise<readonly SqlRow[]> {
      const body = new Uint8Array(encodeValue(["database", statement, params]));
      const response = await workerd.fetch("/", { method: "POST", body });
      const answer = decodeValue(new Uint8Array(await response.arrayBuffer()));
      const [code, result, failure] = answer as [string | null, unknown, SqlFailure | undefined];
      if (failure !== undefined) throw new SqlError(failure);
      if (code !== null) throw new Error(String(result));
      return result as readonly SqlRow[];
    },
    close: () => Promise.resolve(),
  };
}

Deno.test({
  name: "storage through Hyperdrive's local binding",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(tables, {}, "shared", [TOTAL]);
    const state = await Deno.makeTempDir();
    const workerd = await startWorkerd({
      entry: "runtime/testing/ports_worker.ts",
      state,
      bindings: {
        KONTRACT_SECRET: new Uint8Array(32).fill(9).toBase64({ alphabet: "base64url" }),
        KONTRACT_DATABASE: "hyperdrive",
      },
      hyperdrives: { HYPERDRIVE: db.gatewayUrl },
    });
    const engine = storageEngine({ database: throughWorker(workerd), tables, execs: [TOTAL] });
    try {
      const session = await engine.openSession(await db.token({ owner: "alice" }));
      const ids = Array.from({ length: 6 }, (_, i) => `a${i}`);
      await run(engine, call(session), async (s) => {
        for (const id of ids) await s.accounts!.set(id, { balance: 100 });
      });

      await t.step("reads share a snapshot over connections that come and go", async () => {
        const { value } = await run(engine, call(session, { readOnly: true }), async (s) => {
          const before = await s.accounts!.get("a0");
          await run(engine, call(session), (other) => other.accounts!.update("a1", { balance: 7 }));
          return [before!.balance, (await s.accounts!.get("a1"))!.balance, await exec(s, TOTAL)];
        });
        assert.deepEqual(value, [100, 100, [{ total: 600 }]]);
        await run(engine, call(session), (s) => s.accounts!.update("a1", { balance: 100 }));
      });

      await t.step("transfers at the same time lose nothing, whatever conflicts", async () => {
        await Promise.all(
          Array.from(
            { length: 12 },
            (_, i) =>
              run(
                engine,
                call(session, { retry: 60, deadline: Date.now() + 120_000 }),
                async (s) => {
                  const [from, to] = [ids[i % 3]!, ids[3 + i % 2]!];
                  const [payer, payee] = await s.accounts!.getMany([from, to]);
                  await s.accounts!.update(from, { balance: Number(payer!.balance) - 1 });
                  await s.accounts!.update(to, { balance: Number(payee!.balance) + 1 });
                },
              ),
          ),
        );
        const { value } = await run(engine, call(session), async (s) => [
          await exec(s, TOTAL),
          (await s.accounts!.query().orderBy("id")).map((row) => row.balance),
        ]);
        assert.deepEqual(value, [[{ total: 600 }], [96, 96, 96, 106, 106, 100]]);
      });

      await t.step("a request is applied once, its bytes come back as they were", async () => {
        const options = call(session, { effect: { lane: "hyper", reqno: 2n ** 60n } });
        const answer = Uint8Array.from({ length: 256 }, (_, i) => i);
        const send = (): ReturnType<typeof engine.run> =>
          engine.run(options, async ({ storage }) => {
            await run(engine, call(session), () => Promise.resolve(null));
            await (storage as Parameters<Parameters<typeof run>[2]>[0]).notes!
              .set("once", { text: "x" });
            return answer;
          });
        assert.equal((await send()).replayed, false);
        const again = await send();
        assert.equal(again.replayed, true);
        assert.deepEqual(again.answer, answer);
      });

      await t.step("refusals are typed as everywhere", async () => {
        await assert.rejects(
          run(engine, call(session, { retry: 0 }), async (s) => {
            await s.accounts!.get("a0");
            await run(engine, call(session), (o) => o.accounts!.update("a0", { balance: 1 }));
            await s.accounts!.update("a0", { balance: 2 });
          }),
          (error: unknown) => {
            assert.ok(code("CONFLICT")(error));
            assert.deepEqual((error as KontractError).data, { table: "accounts", key: "a0" });
            return true;
          },
        );
        await assert.rejects(
          run(engine, call({ ...session, sid: "guess" }), (s) => s.accounts!.get("a0")),
          code("SESSION_REVOKED"),
        );
      });

      await t.step("the change feed goes on from where it was", async () => {
        const position = async (after: string | null): ReturnType<typeof engine.changes> =>
          await engine.changes({ session, table: "notes", after, limit: 10 });
        const start = await position(null);
        await run(engine, call(session), (s) => s.notes!.set("n", { text: "new" }));
        const { changes } = await position(start.position);
        assert.deepEqual(changes, [{ type: "insert", id: "n", data: { id: "n", text: "new" } }]);
      });
    } finally {
      await workerd.stop();
      await stopBundler();
      await Deno.remove(state, { recursive: true });
      await db.close();
    }
  },
});
