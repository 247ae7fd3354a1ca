/** A field of type `string | undefined` that is not optional: undefined is one of its values. */
import assert from "node:assert/strict";
import type { Shape } from "../_internal/shape.ts";
import { testDatabase } from "../tests/postgres.ts";
import { storageEngine } from "./engine.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { code } from "./testing/expect_code.ts";
import { call, field, number, run, string, table } from "./testing/tables.ts";

const maybe: Shape = { kind: "nullable", inner: string, null: false, undefined: true };
const ROWS = table("rows", [field("maybe", maybe), field("n", number)]);

Deno.test({
  name: "undefined is stored where a field's type has it, and missing where it has not",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([ROWS]);
    const database = postgresDatabase({ url: db.gatewayUrl });
    const engine = storageEngine({ database, tables: [ROWS] });
    const session = await engine.openSession(await db.token({}));
    const { value } = await run(engine, call(session), async ({ rows }) => {
      await rows!.set("a", { maybe: undefined, n: 1 });
      await rows!.set("b", { maybe: "x", n: 2 });
      await rows!.update("b", { maybe: undefined });
      return await rows!.getMany(["a", "b"]);
    });
    assert.deepStrictEqual(value, [
      { id: "a", maybe: undefined, n: 1 },
      { id: "b", maybe: undefined, n: 2 },
    ]);
    await assert.rejects(
      run(engine, call(session), async ({ rows }) => await rows!.set("c", { n: undefined })),
      code("VALIDATION"),
    );
    await database.close();
    await db.close();
  },
});
