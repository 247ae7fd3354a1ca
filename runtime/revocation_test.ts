/**
 * What one gateway ends or changes, another one knows: two gateways on one database, each with memory of
 * its own. The clock of both is the test's, so that "at once" means without any time passing.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { SessionTokens } from "../auth/contract.ts";
import { AUTH_TABLES } from "../auth/tables.ts";
import { testDatabase } from "../tests/postgres.ts";
import { until } from "../tests/until.ts";
import type { Gateway } from "./gateway.ts";
import { TRUST_MS } from "./session_cache.ts";
import { countedGateway } from "./testing/counted_gateway.ts";
import { gates, NOTES, NOTES_APP, runs } from "./testing/notes_app.ts";
import { type Answer, readAnswer } from "./testing/notes_server.ts";

interface Side {
  readonly gateway: Gateway;
  /** Statements since they were last looked at. */
  readonly trips: () => string[];
  readonly post: (path: string, body: unknown, who?: SessionTokens) => Promise<Response>;
  readonly call: (who: SessionTokens, name: string, ...args: unknown[]) => Promise<Answer>;
}

interface World {
  readonly a: Side;
  readonly b: Side;
  readonly pass: (ms: number) => void;
  /** Ends all database sessions by age. */
  readonly expire: () => Promise<unknown>;
  /** A visitor whom both gateways know. */
  readonly visitor: () => Promise<SessionTokens>;
}

async function withTwo(body: (world: World) => Promise<void>): Promise<void> {
  const database = await testDatabase([...AUTH_TABLES, NOTES]);
  const closing: (() => Promise<void>)[] = [];
  let passed = 0;
  const side = (): Side => {
    const now = (): number => Date.now() + passed;
    const { gateway, trips, close } = countedGateway(NOTES_APP, database, now);
    closing.push(close);
    const post: Side["post"] = (path, json, who) =>
      gateway.fetch(
        new Request(`http://app.test${path}`, {
          method: "POST",
          body: JSON.stringify(json),
          headers: who === undefined ? {} : { authorization: `Bearer ${who.access}` },
        }),
      );
    return {
      gateway,
      trips,
      post,
      call: async (who, name, ...args) => await readAnswer(await post(`/rpc/${name}`, args, who)),
    };
  };
  const [a, b] = [side(), side()];
  try {
    await body({
      a,
      b,
      pass: (ms) => passed += ms,
      expire: () => database.admin`update kontract.trxs set expires_at = now()`,
      visitor: async () => {
        const who: SessionTokens = await (await a.post("/auth/anonymous", null)).json();
        for (const { call } of [a, b]) assert.equal((await call(who, "who")).status, 200);
        a.trips();
        b.trips();
        return who;
      },
    });
  } finally {
    for (const close of closing) await close();
    await database.close();
  }
}

Deno.test("two gateways", async (t) => {
  await withTwo(async ({ a, b, pass, expire, visitor }) => {
    const admin = await visitor();
    const setGroups = (who: SessionTokens, ...groups: string[]) =>
      a.gateway.auth.setGroups("main", who.owner, groups);
    const logout = async (who: SessionTokens): Promise<void> => {
      assert.equal((await a.post("/auth/logout", null, who)).status, 200);
    };
    const members = async (): Promise<SessionTokens> => {
      const who: SessionTokens = await (await a.post("/auth/register", {
        email: `${crypto.randomUUID()}@example.com`,
        password: "correct horse battery",
      })).json();
      assert.equal((await b.call(who, "who")).status, 200);
      return who;
    };

    await t.step("a session that one ended reaches no table through the other", async () => {
      const who = await visitor();
      await logout(who);
      for (const [name, ...args] of [["read", "n"], ["add", "n", "x"], ["append", "n", "x"]]) {
        assert.equal((await b.call(who, name!, ...args)).code, "SESSION_REVOKED", name);
      }
    });

    await t.step(
      "nor anything that asks who is calling: ugroup, requireAuth, requireGroup",
      async () => {
        const who = await members();
        await setGroups(who, "admin");
        for (const name of ["adminOnly", "members", "staff"]) {
          assert.equal((await b.call(who, name)).status, 200, name);
        }
        await logout(who);
        const before = runs.get("adminOnly");
        for (const name of ["adminOnly", "members", "staff"]) {
          assert.equal((await b.call(who, name)).code, "SESSION_REVOKED", name);
        }
        assert.equal(runs.get("adminOnly"), before, "the function did not begin");
      },
    );

    await t.step("a group given or taken by one counts in the next call of the other", async () => {
      const who = await visitor();
      const answers = async (): Promise<unknown[]> => {
        const names = [["adminOnly"], ["adminRead", "none"], ["staff"]] as const;
        const found = [];
        for (const [name, ...args] of names) found.push((await b.call(who, name, ...args)).status);
        return found;
      };
      assert.deepEqual(await answers(), [403, 403, 403]);
      await setGroups(who, "admin");
      assert.deepEqual(await answers(), [200, 200, 200]);
      assert.deepEqual((await b.call(who, "groups")).result, ["admin"]);
      await setGroups(who);
      const before = runs.get("adminOnly");
      assert.deepEqual(await answers(), [403, 403, 403]);
      assert.equal(runs.get("adminOnly"), before, "the function did not begin");
    });

    await t.step(
      "what asks nothing of the database believes a session for five seconds",
      async () => {
        const who = await visitor();
        await logout(who);
        pass(TRUST_MS + 1);
        assert.equal((await b.call(who, "who")).code, "SESSION_REVOKED");
      },
    );

    await t.step("and a group for as long", async () => {
      const who = await visitor();
      await setGroups(who, "staff");
      pass(TRUST_MS + 1);
      assert.deepEqual((await b.call(who, "groups")).result, ["staff"]);
    });

    await t.step("and no longer, however busy the session is", async () => {
      const who = await visitor();
      await setGroups(who, "staff");
      assert.equal((await b.call(who, "staff")).status, 200); // asks
      await setGroups(who);
      for (const half of [1, 2]) {
        pass(TRUST_MS / 2 + 1);
        await b.call(who, "add", `busy${half}`, "x");
        await b.call(who, "read", `busy${half}`);
      }
      assert.deepEqual((await b.call(who, "groups")).result, []);
    });

    await t.step("a stream that reaches no table ends with its session", async () => {
      const who = await visitor();
      const gate = crypto.randomUUID();
      const response = await b.post("/rpc/ticks", [gate], who);
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      assert.equal((await reader.read()).value, '{"element":1}\n');
      await logout(who);
      pass(TRUST_MS + 1);
      await until(() => gates.has(gate));
      gates.get(gate)!();
      const rest = (await reader.read()).value ?? "";
      assert.match(rest, /"code":"SESSION_REVOKED"/);
    });

    await t.step("ending all sessions of somebody ends them everywhere", async () => {
      const who = await members();
      await a.gateway.auth.endSessions("main", who.owner);
      assert.equal((await b.call(who, "members")).code, "SESSION_REVOKED");
      const answer = await readAnswer(await b.post("/auth/refresh", { refresh: who.refresh }));
      assert.equal(answer.code, "UNAUTHORIZED");
    });

    await t.step("the check is one round trip, and none where the session is opened", async () => {
      await setGroups(admin, "admin");
      b.trips();
      assert.equal((await b.call(admin, "adminOnly")).status, 200);
      assert.deepEqual(b.trips(), ["check_session"]);
      await b.call(admin, "adminRead", "none");
      assert.deepEqual(b.trips(), ["check_session", "get"]);
      await b.call(admin, "staff");
      assert.deepEqual(b.trips(), ["check_session"]);
      pass(TRUST_MS + 1);
      await b.call(admin, "read", "none");
      assert.deepEqual(b.trips(), ["check_session", "get"]);
      await b.call(admin, "who");
      assert.deepEqual(b.trips(), [], "asked less than five seconds ago");
      const fresh: SessionTokens = await (await a.post("/auth/anonymous", null)).json();
      await setGroups(fresh, "admin");
      b.trips();
      await b.call(fresh, "adminRead", "none");
      assert.deepEqual(b.trips(), ["open_session", "get"]);
    });

    await t.step("a database session that ran out is opened anew, whatever asks", async () => {
      for (const name of ["adminOnly", "adminRead", "staff", "read"]) {
        await expire();
        const { code } = await b.call(admin, name, ...(/read/i.test(name) ? ["none"] : []));
        assert.ok(code === null || code === "NOT_FOUND", `${name}: ${code}`);
      }
    });

    await t.step("a stream for a group ends with who is in it", async () => {
      const who = await visitor();
      await setGroups(who, "admin", "staff");
      const gate = crypto.randomUUID();
      const response = await b.post("/rpc/adminTicks", [gate], who);
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      const next = async (): Promise<string> => {
        await until(() => gates.has(gate));
        gates.get(gate)!();
        gates.delete(gate);
        return (await reader.read()).value ?? "";
      };
      assert.equal((await reader.read()).value, '{"element":1}\n');
      await setGroups(who, "admin");
      pass(TRUST_MS + 1);
      assert.equal(await next(), '{"element":2}\n');
      await setGroups(who, "staff");
      pass(TRUST_MS + 1);
      assert.match(await next(), /"code":"FORBIDDEN"/);
    });
  });
});
