/**
 * The functions of the app as its page calls them: `kontract build examples/rooms` first.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { AppError, type ClientStorage, memoryStorage } from "@kontract/kontract/client";
import { startTestApp } from "@kontract/kontract/testing";
import {
  appoint,
  beat,
  client,
  closeRoom,
  companies,
  followRoom,
  history,
  leave,
  listRooms,
  me,
  moveIn,
  moveOut,
  openRoom,
  post,
  removeMessage,
  rename,
  retract,
} from "@/client";

const folder = fileURLToPath(new URL("../", import.meta.url));
const password = "correct horse battery";

Deno.test("rooms", async (t) => {
  await using app = await startTestApp({ folder });
  const ada = memoryStorage();
  const bob = memoryStorage();
  /** From here on the client is this person's. */
  const as = (storage: ClientStorage): void => client.configure({ url: app.url, storage });

  await t.step("a guest signs up and stays who they were", async () => {
    as(ada);
    await rename("Ada");
    const before = await me();
    assert.deepEqual([before.guest, before.company], [true, "main"]);
    await client.auth.link({ email: "ada@example.com", password });
    assert.deepEqual(await me(), { ...before, guest: false });
  });

  await t.step("only people with an account open rooms, and no two of one name", async () => {
    as(bob);
    await assert.rejects(openRoom("Bobs", ""), { code: "UNAUTHORIZED" });
    as(ada);
    await assert.rejects(openRoom("  ", ""), { code: "VALIDATION", data: { field: "name" } });
    await assert.rejects(openRoom("!?", ""), { code: "VALIDATION", data: { field: "name" } });
    const room = await openRoom("Tea  Kitchen", " Cups ");
    assert.deepEqual([room.name, room.slug, room.purpose, room.closed], [
      "Tea Kitchen",
      "tea-kitchen",
      "Cups",
      false,
    ]);
    await assert.rejects(openRoom("tea kitchen!", ""), (error) => {
      assert.ok(error instanceof AppError);
      assert.deepEqual([error.code, error.data], ["ROOM_TAKEN", { room: room.id }]);
      return true;
    });
    const opened = await Promise.allSettled(
      ["Twin", "twin", "TWIN"].map((name) => openRoom(name, "")),
    );
    assert.equal(opened.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal((await listRooms()).length, 2);
  });

  const [room] = await listRooms();

  await t.step("what was said has an author whom nobody else may speak for", async () => {
    as(ada);
    const hello = await post(room!.id, "  Hello\r\nthere ");
    assert.deepEqual([hello.text, hello.name, hello.author], [
      "Hello\nthere",
      "Ada",
      (await me()).owner,
    ]);
    as(bob);
    assert.match((await post(room!.id, "Hi")).name, /^Guest .{4}$/);
    assert.deepEqual((await history(room!.id)).map(({ text }) => text), ["Hi", "Hello\nthere"]);
    await assert.rejects(retract(hello.id), { code: "FORBIDDEN" });
    const refused = [
      () => removeMessage(hello.id),
      () => closeRoom(room!.id, true),
      () => appoint("ada@example.com"),
      () => moveIn("acme"),
      () => moveOut("acme"),
      companies,
    ];
    for (const call of refused) await assert.rejects(call(), { code: "FORBIDDEN" });
    as(ada);
    await retract(hello.id);
    assert.deepEqual((await history(room!.id)).map(({ text }) => text), ["Hi"]);
    await assert.rejects(retract(hello.id), { code: "NOT_FOUND" });
    await assert.rejects(post(room!.id, " \n "), { code: "VALIDATION" });
    await assert.rejects(post(room!.id, "x".repeat(1001)), { code: "VALIDATION" });
  });

  await t.step("a room that does not exist has no history and nobody in it", async () => {
    for (const work of [history, beatQuietly, leave, followRoom]) {
      await assert.rejects(work("nowhere"), { code: "NOT_FOUND" });
    }
  });

  await t.step("who floods a room is told how long to wait", async () => {
    as(bob);
    const sent = await Promise.allSettled(
      Array.from({ length: 12 }, (_, index) => post(room!.id, `flood ${index}`)),
    );
    const refused = sent.filter(({ status }) => status === "rejected");
    assert.ok(refused.length >= 5, `${refused.length} of 12 were refused`);
    for (const { reason } of refused as PromiseRejectedResult[]) {
      assert.equal(reason.code, "RATE_LIMITED");
      assert.ok(reason.data.retryAfter > 0);
    }
    as(ada);
    await post(room!.id, "Others may go on.");
  });

  await t.step("people are seen to come, to write and to go, also without a word", async () => {
    as(ada);
    assert.deepEqual((await beat(room!.id, false)).map(({ name }) => name), ["Ada"]);
    as(bob);
    await rename("Bob");
    const both = await beat(room!.id, true);
    assert.deepEqual(both.map(({ name, typing }) => [name, typing]), [["Ada", false], [
      "Bob",
      true,
    ]]);
    assert.ok(both.every(({ left }) => left > 0 && left <= 12_000));
    as(ada);
    const news = client.subscribe<{ name: string; here: boolean }>(() => followRoom(room!.id));
    for await (const event of news) {
      if (event.type === "ready") void sayGoodbye();
      if (event.type !== "message") continue;
      assert.deepEqual([event.data?.name, event.data?.here], ["Ada", false]);
      break;
    }
    const seen = async (): Promise<string[]> => {
      return (await beat(room!.id, false)).map(({ name }) => name);
    };
    // Bob says nothing any more.
    while ((await seen()).includes("Bob")) await new Promise((done) => setTimeout(done, 500));
    assert.deepEqual(await seen(), ["Ada"]);
  });

  await t.step("plain HTTP has a status, a header and the time it took", async () => {
    const answer = await fetch(`${app.url}/auth/anonymous`, { method: "POST" });
    const { access } = await answer.json();
    const said = await fetch(`${app.url}/rpc/post`, {
      method: "POST",
      headers: { authorization: `Bearer ${access}`, "content-type": "application/json" },
      body: JSON.stringify([room!.id, "By hand"]),
    });
    assert.equal(said.status, 201);
    assert.match(said.headers.get("server-timing") ?? "", /^rooms;dur=/);
    const { result } = await said.json();
    const gone = await fetch(`${app.url}/rpc/retract`, {
      method: "POST",
      headers: { authorization: `Bearer ${access}`, "content-type": "application/json" },
      body: JSON.stringify([result.id]),
    });
    assert.equal(gone.status, 204);
  });

  function beatQuietly(id: string): Promise<unknown> {
    return beat(id, false);
  }

  async function sayGoodbye(): Promise<void> {
    await leave(room!.id);
  }
});
