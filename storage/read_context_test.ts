import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { testDatabase } from "../tests/postgres.ts";
import { storageEngine } from "./engine.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { ReadContext } from "./read_context.ts";
import { call, field, string, table } from "./testing/tables.ts";

const THINGS = table("things", [field("text", string)]);
const ALL = '{"where":[],"order":[],"after":null,"exclude":[],"limit":9,"backward":false}';

Deno.test("what a call has read and let go is not kept until its end", async () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const db = await testDatabase([THINGS]);
  const database = postgresDatabase({ url: db.gatewayUrl });
  try {
    const engine = storageEngine({ database, tables: [THINGS] });
    const session = await engine.openSession(await db.token());
    const deadline = Date.now() + 600_000;
    const reads = new ReadContext(
      database,
      call(session, { readOnly: true, deadline }),
      Date.now,
    );
    const page = async (): Promise<WeakRef<object>> =>
      new WeakRef(await reads.read("query", null, ["things", ALL]));
    const passed = await page();
    await page();
    await new Promise((resolve) => setTimeout(resolve)); // a new reference holds until then
    collect();
    assert.equal(passed.deref(), undefined);
    reads.end();
  } finally {
    await database.close();
    await db.close();
  }
});
