import assert from "node:assert/strict";
import { AUTH_TABLES } from "../auth/tables.ts";
import { testDatabase } from "../tests/postgres.ts";
import { countedGateway } from "./testing/counted_gateway.ts";
import { NOTES, NOTES_APP } from "./testing/notes_app.ts";

Deno.test("a read is one round trip, a write is one, and opening a session is one", async () => {
  const database = await testDatabase([...AUTH_TABLES, NOTES]);
  const counted = countedGateway(NOTES_APP, database);
  const post = async (path: string, body: unknown, token = ""): Promise<unknown> => {
    const response = await counted.gateway.fetch(
      new Request(`http://app.test${path}`, {
        method: "POST",
        body: JSON.stringify(body),
        headers: token === "" ? {} : { authorization: `Bearer ${token}` },
      }),
    );
    return await response.json();
  };
  const trips = async (work: () => Promise<unknown>): Promise<string[]> => {
    counted.trips();
    await work();
    return counted.trips();
  };
  try {
    const { access } = await post("/auth/anonymous", null) as { access: string };
    assert.deepEqual(
      await trips(() => post("/rpc/add", ["n1", "x"], access)),
      ["open_session", "put"],
    );
    assert.deepEqual(await trips(() => post("/rpc/read", ["n1"], access)), ["get"]);
    assert.deepEqual(await trips(() => post("/rpc/add", ["n2", "x"], access)), ["put"]);
    assert.deepEqual(
      await trips(() => post("/rpc/append", ["n1", "y"], access)),
      ["get", "put"],
    );
    assert.deepEqual(await trips(() => post("/rpc/who", [], access)), []);
    const parallel = await trips(async () => {
      const { access: other } = await post("/auth/anonymous", null) as { access: string };
      counted.trips();
      await Promise.all(Array.from({ length: 5 }, () => post("/rpc/read", ["n1"], other)));
    });
    assert.equal(parallel.filter((name) => name === "open_session").length, 1);
  } finally {
    await counted.close();
    await database.close();
  }
});
