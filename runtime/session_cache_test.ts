import assert from "node:assert/strict";
import { AUTH_TABLES } from "../auth/tables.ts";
import { testDatabase } from "../tests/postgres.ts";
import { countedGateway } from "./testing/counted_gateway.ts";
import { NOTES, NOTES_APP } from "./testing/notes_app.ts";

Deno.test("a database session is left for a call that may take longer than it lasts", async () => {
  const database = await testDatabase([...AUTH_TABLES, NOTES]);
  let left = 60_000;
  const { gateway, trips, close } = countedGateway(
    NOTES_APP,
    database,
    Date.now,
    (statement, rows) =>
      statement === "open_session"
        ? rows.map((row) => ({ ...row, expires_ms: Date.now() + left }))
        : rows,
  );
  try {
    const post = (path: string, body: unknown, access?: string): Promise<Response> =>
      gateway.fetch(
        new Request(`http://app.test${path}`, {
          method: "POST",
          body: JSON.stringify(body),
          ...(access === undefined ? {} : { headers: { authorization: `Bearer ${access}` } }),
        }),
      );
    const { access } = await (await post("/auth/anonymous", null)).json();
    const opened = async (name: string, ...args: readonly unknown[]): Promise<number> => {
      trips();
      const response = await post(`/rpc/${name}`, args, access);
      await response.body?.cancel();
      return trips().filter((trip) => trip === "open_session").length;
    };
    // It may take ten seconds, and a stream of ticks five minutes.
    assert.equal(await opened("read", "none"), 1);
    assert.equal(await opened("read", "none"), 0);
    left = 600_000;
    assert.equal(await opened("ticks", crypto.randomUUID()), 1);
    assert.equal(await opened("ticks", crypto.randomUUID()), 0);
    assert.equal(await opened("read", "none"), 0);
    // The database's own have room for the longest of calls.
    const [row] = await database.admin`
      select min(extract(epoch from expires_at - now())) > 900 + 60 as longer from kontract.trxs`;
    assert.equal(row!.longer, true);
  } finally {
    await close();
    await database.close();
  }
});
