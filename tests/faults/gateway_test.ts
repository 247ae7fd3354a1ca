/**
 * A gateway process is killed under load: what it acknowledged is there, nothing is half there, and
 * whoever repeats its requests at another gateway applies none of them twice.
 *
 * @module
 */
import assert from "node:assert/strict";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { call, run } from "../../storage/testing/tables.ts";
import { testDatabase } from "../postgres.ts";
import { CHILD_TABLES, type ChildInput, LANES, request } from "./gateway_child.ts";

/** Acknowledgements that are awaited before the kill. */
const ENOUGH = 120;

Deno.test({
  name: "faults: a gateway process is killed under load",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase(CHILD_TABLES);
    const database = postgresDatabase({ url: db.gatewayUrl, max: 4 });
    const engine = storageEngine({ database, tables: CHILD_TABLES });
    try {
      const session = await engine.openSession(await db.token());
      const stored = async (): Promise<{ readonly marks: string[]; readonly sum: number }> => {
        const { value } = await run(engine, call(session, { readOnly: true }), async (s) => {
          const marks: string[] = [];
          for await (const row of s.marks!) marks.push(String(row.request));
          const counters = await s.counters!.query();
          return { marks, sum: counters.reduce((sum, row) => sum + Number(row.value), 0) };
        });
        return value;
      };
      const acknowledged = await killUnderLoad({ gatewayUrl: db.gatewayUrl, session });
      assert.ok(acknowledged.length >= ENOUGH);

      // A commit that was under way may still end in the database; repeating its request waits for it.
      const last = new Map(
        acknowledged.map((text) => text.split(" ").map(Number) as [number, number]),
      );
      for (let lane = 0; lane < LANES; lane++) {
        await request(engine, session, lane, (last.get(lane) ?? -1) + 1);
      }
      const { marks, sum } = await stored();
      assert.equal(new Set(marks).size, marks.length, "no request is applied twice");
      assert.equal(sum, marks.length, "no request is applied in half");
      assert.deepEqual(acknowledged.filter((text) => !marks.includes(text)), [], "none is lost");

      for (const text of acknowledged) {
        const [lane, reqno] = text.split(" ").map(Number);
        assert.equal(await request(engine, session, lane!, reqno!), true);
      }
      assert.deepEqual(await stored(), { marks, sum });
    } finally {
      await database.close();
      await db.close();
    }
  },
});

/** Runs the child until it has acknowledged enough, kills it, and gives back what it acknowledged. */
async function killUnderLoad(input: ChildInput): Promise<readonly string[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("gateway_child.ts", import.meta.url).href],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const giveUp = setTimeout(() => child.kill("SIGKILL"), 60_000);
  try {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(input)));
    await writer.close();
    let text = "";
    const decoder = new TextDecoder();
    let killed = false;
    for await (const bytes of child.stdout) {
      text += decoder.decode(bytes, { stream: true });
      if (killed || text.split("\n").length <= ENOUGH) continue;
      killed = true;
      child.kill("SIGKILL");
    }
    // A line without its end was never acknowledged.
    return text.split("\n").slice(0, -1);
  } finally {
    clearTimeout(giveUp);
    await child.status;
  }
}
