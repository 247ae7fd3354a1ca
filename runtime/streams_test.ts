/**
 * Streams as strangers use them: readers that go away, ids that were made up, more of them than is decent.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { SessionTokens } from "../auth/contract.ts";
import { MAX_STREAMS } from "./open_streams.ts";
import { type NotesServer, readAnswer, withNotes } from "./testing/notes_server.ts";

interface Events {
  /** Id of the first event. */
  id(): Promise<string>;
  /** Types of the first `count` events. */
  first(count: number): Promise<string[]>;
  cancel(): Promise<void>;
}

async function follow(
  { send }: NotesServer,
  who: SessionTokens,
  query: string,
  lastId: string | null = null,
): Promise<Events> {
  const response = await send(`/events?${query}`, {
    headers: {
      authorization: `Bearer ${who.access}`,
      ...(lastId === null ? {} : { "last-event-id": lastId }),
    },
  });
  if (response.status !== 200) {
    const { code } = await readAnswer(response);
    throw Object.assign(new Error(`${response.status} ${code}`), { code, status: response.status });
  }
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const lines = async (field: RegExp, count: number): Promise<string[]> => {
    for (;;) {
      const found = [...text.matchAll(field)].map(([, value]) => value!);
      if (found.length >= count) return found.slice(0, count);
      const { value, done } = await reader.read();
      if (done) throw new Error(`ended after ${found}`);
      text += value;
    }
  };
  return {
    id: async () => (await lines(/^id: ?(.+)\n/gm, 1))[0]!,
    first: (count) => lines(/^event: ?(\w+)$/gm, count),
    cancel: () => reader.cancel(),
  };
}

Deno.test("streams", { sanitizeOps: false, sanitizeResources: false }, async (t) => {
  await withNotes(async (notes) => {
    const who = await notes.visitor();

    await t.step(
      "an EventSource with a forged, foreign or ancient id starts anew, and is told",
      async () => {
        const forged = ["x", "null", "0", "-1", "a".repeat(4096), "..", "%00", "{}", "é".repeat(9)];
        for (const id of forged.map((text) => encodeURIComponent(text))) {
          const events = await follow(notes, who, "source=notes", id);
          assert.deepEqual(await events.first(2), ["reset", "ready"], id);
          await events.cancel();
        }
      },
    );

    await t.step("an id goes on for its owner, source and filter alone, and as it is", async () => {
      const other = await notes.visitor();
      const query = "source=notes";
      const filtered = `${query}&filter=${encodeURIComponent('{"author":"a"}')}`;
      const started = await follow(notes, who, query);
      const id = await started.id();
      await started.cancel();
      const begins = async (whose: SessionTokens, query: string, id: string): Promise<string> => {
        const events = await follow(notes, whose, query, id);
        const [type] = await events.first(1);
        await events.cancel();
        return type!;
      };
      assert.equal(await begins(who, query, id), "ready");
      assert.equal(await begins(other, query, id), "reset", "another owner");
      assert.equal(await begins(who, filtered, id), "reset", "another filter");
      assert.equal(await begins(other, filtered, id), "reset", "another owner and filter");
      for (let at = 0; at < id.length; at += 7) {
        const turned = id[at] === "A" ? "B" : "A";
        const changed = id.slice(0, at) + turned + id.slice(at + 1);
        assert.equal(await begins(who, query, changed), "reset", `character ${at}`);
        assert.equal(await begins(who, query, id.slice(0, at) + "."), "reset", `cut at ${at}`);
      }
      assert.equal(await begins(who, query, id + id), "reset", "twice");
    });

    await t.step(
      "a polyfill's lastEventId goes on as the header does, and is none where it is empty",
      async () => {
        const first = await follow(notes, who, "source=notes");
        const id = encodeURIComponent(await first.id());
        await first.cancel();
        for (
          const [query, types] of [
            [`source=notes&lastEventId=${id}`, ["ready"]],
            [`source=notes&resume=${id}`, ["ready"]],
            ["source=notes&lastEventId=", ["ready"]],
            ["source=notes&lastEventId=x", ["reset", "ready"]],
          ] as const
        ) {
          const events = await follow(notes, who, query);
          assert.deepEqual(await events.first(types.length), types, query);
          await events.cancel();
        }
      },
    );

    await t.step("an id of any bytes that a header may have, and of any length", async () => {
      const bytes = Array.from({ length: 256 }, (_, byte) => byte)
        .filter((byte) => byte === 9 || byte >= 32 && byte !== 127);
      const ids = bytes.map((byte) => `x${String.fromCharCode(byte)}y`);
      ids.push(String.fromCharCode(...bytes.slice(2)), "z".repeat(8192));
      for (const id of ids) {
        const events = await follow(notes, who, "source=notes", id);
        assert.deepEqual(await events.first(2), ["reset", "ready"], JSON.stringify(id));
        await events.cancel();
      }
      for (const length of [8193, 1 << 20]) {
        const refused = follow(notes, who, "source=notes", "z".repeat(length));
        await assert.rejects(refused, { code: "VALIDATION", status: 400 });
      }
    });

    await t.step(
      "a source that is no table, or not the caller's to follow, is refused by name",
      async () => {
        for (
          const [query, code] of [
            ["source=nothing", "NOT_FOUND"],
            ["source=_users", "VALIDATION"],
            ["source=_sessions", "VALIDATION"],
            ["source=topic:news", "PERMISSION_DENIED"],
            ["source=topic:", "VALIDATION"],
            ["source=", "VALIDATION"],
            ["", "VALIDATION"],
            ["source=notes&call=list", "VALIDATION"],
            ["source=notes&filter={", "VALIDATION"],
            ["source=notes&filter=[]", "VALIDATION"],
            [`source=${"n".repeat(5000)}`, "VALIDATION"],
            ["source=notes&filter=%7B%22nothing%22%3A1%7D", "VALIDATION"],
            ["source=notes&fliter=%7B%22id%22%3A%22a%22%7D", "VALIDATION"],
            ["source=notes&arguments=[]", "VALIDATION"],
            ["source=notes&filter=%7B%7D&filter=%7B%22id%22%3A%22a%22%7D", "VALIDATION"],
            ["call=read&filter=%7B%7D", "VALIDATION"],
          ] as const
        ) {
          await assert.rejects(follow(notes, who, query), { code }, query.slice(0, 60));
        }
        for (
          const [query, why] of [
            ["call=read&arguments={}", /BAD_REQUEST.*'arguments' must be a JSON array/],
            ["call=read&arguments=x", /BAD_REQUEST.*'arguments' cannot be read as JSON/],
            ["call=read&arguments=[", /BAD_REQUEST.*'arguments' cannot be read as JSON/],
            ["source=notes&fliter={}", /VALIDATION.*'fliter' is no parameter here.*source, filter/],
          ] as const
        ) {
          const refused = await notes.send(`/events?${query}`, {
            headers: { authorization: `Bearer ${who.access}` },
          });
          assert.match(await refused.text(), why);
        }
        const post = await notes.send("/events?source=notes", { json: null });
        assert.equal((await readAnswer(post)).code, "METHOD_NOT_ALLOWED");
        const nobody = await notes.send("/events?source=notes");
        assert.equal((await readAnswer(nobody)).code, "UNAUTHORIZED");
      },
    );

    await t.step("a session has a limited number of them; who leaves makes room", async () => {
      const who = await notes.visitor();
      const open: Response[] = [];
      const ticks = async (): Promise<Response> =>
        await notes.send("/rpc/ticks", {
          json: ["limit"],
          headers: { authorization: `Bearer ${who.access}` },
        });
      // A reader's leaving reaches the gateway a little later.
      const whenRoom = async (): Promise<Response> => {
        for (;;) {
          const response = await ticks();
          if (response.status === 200) return response;
          assert.equal((await readAnswer(response)).code, "RATE_LIMITED");
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      };
      while (open.length < MAX_STREAMS - 1) open.push(await ticks());
      assert.ok(open.every(({ status }) => status === 200));
      const events = await follow(notes, who, "source=notes");
      assert.deepEqual(await events.first(1), ["ready"]);

      const refused = await ticks();
      assert.ok(Number(refused.headers.get("retry-after")) > 0);
      assert.equal((await readAnswer(refused)).code, "RATE_LIMITED");
      await assert.rejects(follow(notes, who, "source=notes"), { code: "RATE_LIMITED" });
      const other = await follow(notes, await notes.visitor(), "source=notes");
      assert.deepEqual(await other.first(1), ["ready"], "another session's room is its own");
      await other.cancel();
      assert.equal((await notes.call(who, "who")).status, 200, "calls are no streams");

      await events.cancel();
      open.push(await whenRoom());
      for (const response of open.splice(0)) await response.body!.cancel();
      for (let i = 0; i < MAX_STREAMS; i++) open.push(await whenRoom());
      assert.equal((await readAnswer(await ticks())).code, "RATE_LIMITED");
      for (const response of open) await response.body!.cancel();
    });
  });
});
