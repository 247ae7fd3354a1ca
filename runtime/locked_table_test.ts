import assert from "node:assert/strict";
import { KontractError } from "../_internal/errors.ts";
import { SqlError } from "../storage/database.ts";
import { pastLocks } from "./locked_table.ts";

const locked = (): KontractError =>
  new KontractError("CONFLICT", undefined, {
    cause: new SqlError({ sqlstate: "55P03", message: "lock timeout", notSent: false }),
  });

/** Reads that fail with these errors, one after the other, and then succeed. */
function reading(...errors: readonly Error[]): { read(): Promise<string>; reads(): number } {
  let reads = 0;
  return {
    read: () => {
      const error = errors[reads++];
      return error === undefined ? Promise.resolve("rows") : Promise.reject(error);
    },
    reads: () => reads,
  };
}

const forever = new AbortController().signal;

Deno.test("a follower reads again for as long as a migration holds its table", async () => {
  const { read, reads } = reading(locked(), locked(), locked());
  assert.equal(await pastLocks(read, forever), "rows");
  assert.equal(reads(), 4);
});

Deno.test("a follower is told of every other failure at once, a CONFLICT of the function's own too", async () => {
  const sql = new SqlError({ sqlstate: "55P03", message: "lock timeout", notSent: false });
  const others = [
    new KontractError("CONFLICT"),
    new KontractError("CONFLICT", undefined, { cause: new Error("the function's") }),
    new KontractError("SNAPSHOT_TOO_OLD", undefined, { cause: sql }),
    sql,
  ];
  for (const error of others) {
    const { read, reads } = reading(error);
    await assert.rejects(pastLocks(read, forever), (thrown) => thrown === error);
    assert.equal(reads(), 1);
  }
});

Deno.test("a follower that has left waits for no lock", async () => {
  const left = new AbortController();
  const error = locked();
  const read = (): Promise<never> => (left.abort(), Promise.reject(error));
  await assert.rejects(pastLocks(read, left.signal), (thrown) => thrown === error);
});
