/**
 * A hostile tenant: what somebody in `globex` gets with everything that belongs to `acme` in hand. First past
 * the gateway, with the runtime role's own connection; then through it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import type { SessionTokens } from "../../auth/contract.ts";
import { readAnswer, withNotes } from "../../runtime/testing/notes_server.ts";
import type { StorageSession } from "../../storage/contract.ts";
import type { SqlParam } from "../../storage/database.ts";
import { SqlError } from "../../storage/database.ts";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { tableKey } from "../../storage/table_key.ts";
import { ACCOUNTS, call, NOTES, PEOPLE, run } from "../../storage/testing/tables.ts";
import postgres from "postgres";
import { enterTenant, testDatabase } from "../postgres.ts";

const SECRET = "a secret of acme";

/** Every session is of one owner with one family, so that nothing but the tenant tells them apart. */
async function storageWorld() {
  const tables = [ACCOUNTS, NOTES, PEOPLE];
  const db = await testDatabase(tables);
  const database = postgresDatabase({ url: db.gatewayUrl, max: 4 });
  const engine = storageEngine({ database, tables });
  const enter = async (tenant: string): Promise<StorageSession> => {
    const inside = await enterTenant(db, tenant);
    return await engine.openSession(await inside.token({ owner: "same", family: "same" }));
  };
  const [main, acme, globex] = [await enter("main"), await enter("acme"), await enter("globex")];
  await run(engine, call(acme), async (s) => {
    await s.accounts!.set("a", { balance: 1, email: "ceo@acme.test", city: SECRET });
    await s.notes!.set("n", { text: SECRET });
    await s.people!.set("p", { name: SECRET });
  });
  return { db, database, engine, main, acme, globex };
}

Deno.test({
  name: "a hostile tenant at the database",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const { db, database, engine, main, acme, globex } = await storageWorld();
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    /** Runs a statement of the gateway's; gives the text of its answer or its refusal. */
    const attempt = async (name: string, params: readonly SqlParam[]): Promise<string> => {
      try {
        return JSON.stringify(await database.execute(name, params));
      } catch (error) {
        assert.ok(error instanceof SqlError, String(error));
        return `refused ${error.failure.sqlstate}`;
      }
    };
    const read = (session: StorageSession): readonly SqlParam[] => [
      session.sid,
      7,
      null,
      null,
      null,
      null,
      null,
      null,
    ];
    const [place] = await db.admin`
      select ptr from kontract.storage where owner = 'acme' and id = 'accounts'`;
    const ptr = String(place!.ptr);
    try {
      await test("equal keys, owners and families meet nothing of another tenant", async () => {
        for (const session of [globex, main]) {
          const { value } = await run(engine, call(session), async (s) => [
            await s.accounts!.get("a"),
            await s.accounts!.has("a"),
            await s.accounts!.getMany(["a"]),
            await s.accounts!.query({ city: SECRET }),
            await s.accounts!.query().count(),
            await Array.fromAsync(s.accounts!),
            await s.notes!.get("n"),
            await s.people!.query().first(),
          ]);
          assert.deepEqual(value, [null, false, [null], [], 0, [], null, null]);
        }
      });

      await test("a unique value says nothing about another tenant's rows", async () => {
        await run(
          engine,
          call(globex),
          (s) => s.accounts!.set("mine", { balance: 2, email: "ceo@acme.test" }),
        );
        await run(engine, call(globex), (s) => s.accounts!.delete("mine"));
      });

      await test("the physical name of another's table is no table, wherever it is put", async () => {
        for (
          const name of [ptr, `kontract_private.${ptr}`, `"${ptr}"`, "acme.accounts", `accounts"`]
        ) {
          const answers = [
            await attempt("tenant:get", [...read(globex), name, "a"]),
            await attempt("tenant:get_many", [...read(globex), name, '["a"]']),
            await attempt("query", [...read(globex), name, `{"where":[],"order":[],"limit":9}`]),
            await attempt("changes", [globex.sid, name, "[]", null, 9]),
            await attempt("commit", [
              ...[globex.sid, "globex", "same", 7, null, null, null, null, null, null],
              JSON.stringify([{ t: name, g: null, r: [], q: [], w: [["a", null]] }]),
            ]),
          ];
          assert.deepEqual(answers, answers.map(() => "refused 42P01"), name);
        }
      });

      await test("a session reads in its own tenant, whatever tenant a commit is said to be for", async () => {
        const ops = JSON.stringify([{ t: "accounts", g: null, r: [], q: [], w: [["a", null]] }]);
        for (
          const [session, tenant] of [[globex, "acme"], [globex, "main"], [acme, "main"]] as const
        ) {
          const params = [session.sid, tenant, "same", 7, null, null, null, null, null, null, ops];
          assert.equal(await attempt("commit", params), "refused 42P01", tenant);
        }
      });

      await test("main's own functions serve no other tenant", async () => {
        const key = tableKey("accounts");
        const head = [globex.sid, "same", 7, null, null, null, null, null, null, null];
        const row = `{"id":"x","balance":1,"city":"x"}`;
        const answers = [
          await attempt(`get:${key}`, [...read(globex), "a"]),
          await attempt(`get_many:${key}`, [...read(globex), '["a"]']),
          await attempt(`put:${key}`, [...head, "x", false, null, row]),
          await attempt(`put_many:${key}`, [
            ...[globex.sid, "same", 7, null, null, null, null, null, null],
            ...[["x"], null, [row], null, null, null],
          ]),
        ];
        for (const answer of answers) assert.match(answer, /^refused (72000|42P01|42883)$/);
        const { value } = await run(engine, call(main), (s) => s.accounts!.query().count());
        assert.equal(value, 0);
      });

      await test("a snapshot of another tenant's call shows one's own rows and no other", async () => {
        const first = (await database.execute("tenant:get", [...read(acme), "accounts", "a"]))[0]!;
        const [snap, known, epoch] = String(first.r).split("|");
        const params = [...read(globex)];
        params[4] = snap!;
        params[5] = `${known}.${epoch}`;
        const answer = await attempt("tenant:get", [...params, "accounts", "a"]);
        assert.ok(!answer.includes(SECRET) && !answer.includes("balance"), answer);
      });

      await test("a position in another tenant's changes shows none of them", async () => {
        const options = { session: acme, table: "accounts", limit: 100 };
        const { position } = await engine.changes({ ...options, after: null });
        await run(engine, call(acme), (s) => s.accounts!.set("b", { balance: 2, city: SECRET }));
        const own = await engine.changes({ ...options, after: position });
        assert.deepEqual(own.changes.map(({ id }) => id), ["b"]);
        const theirs = await engine.changes({ ...options, session: globex, after: position });
        assert.deepEqual(theirs.changes, []);
      });

      await test("a page's cursor of another tenant leads to one's own rows only", async () => {
        await run(engine, call(acme), async (s) => {
          for (let i = 0; i < 4; i++) await s.accounts!.set(`c${i}`, { balance: i, city: "Ulm" });
        });
        const page = (session: StorageSession, cursor: string | null) =>
          run(
            engine,
            call(session),
            (s) =>
              s.accounts!.query({ city: "Ulm" }).orderBy("balance").limit(2).after(cursor).page(),
          );
        const { value } = await page(acme, null);
        assert.equal(value.rows.length, 2);
        assert.deepEqual((await page(globex, value.cursor)).value.rows, []);
      });

      await test("the stored answer of another tenant's request is not given", async () => {
        const effect = { lane: "same", reqno: 7n };
        const answerOf = async (session: StorageSession, text: string) =>
          await engine.run(call(session, { effect }), async ({ storage }) => {
            const { accounts } = storage as Record<
              string,
              { set(id: string, row: object): unknown }
            >;
            await accounts!.set("e", { balance: 1 });
            return new TextEncoder().encode(text);
          });
        const first = await answerOf(acme, SECRET);
        const other = await answerOf(globex, "mine");
        assert.deepEqual([first.replayed, other.replayed], [false, false]);
        assert.equal(new TextDecoder().decode(other.answer), "mine");
        const again = await answerOf(acme, "not run");
        assert.equal(new TextDecoder().decode(again.answer), SECRET);
        assert.equal(again.replayed, true);
      });

      await test("ending a family of one's own tenant ends none of another", async () => {
        const inside = await enterTenant(db, "globex");
        const system = await engine.openSession(
          await inside.token({ owner: "system", family: "system", system: true }),
        );
        const fresh = await engine.openSession(
          await (await enterTenant(db, "acme")).token({ owner: "same", family: "shared-name" }),
        );
        await engine.revokeFamily(system, "shared-name", Date.now() + 60_000);
        const { value } = await run(engine, call(fresh), (s) => s.accounts!.get("a"));
        assert.equal(value!.balance, 1);
      });

      await test("the role's own look at the two tables shows its session's tenant", async () => {
        const sql = postgres(db.gatewayUrl, { max: 1, onnotice: () => {} });
        try {
          const seen = await sql.begin(async (tx) => {
            await tx`select set_config('kontract.sid', ${globex.sid}, true)`;
            return [
              await tx`select distinct owner from kontract.storage`,
              await tx`select distinct tenant from kontract.trxs`,
            ];
          });
          assert.deepEqual(seen.map((rows) => rows.map((row) => Object.values(row)[0])), [
            ["globex"],
            ["globex"],
          ]);
          const names = await sql`
            select count(*)::int as n from (
              select relname::text as t from pg_class union all
              select proname::text || prosrc from pg_proc union all
              select pg_get_triggerdef(oid) from pg_trigger union all
              select pg_get_constraintdef(oid) from pg_constraint) x
             where t like '%acme%' or t like '%globex%'`;
          assert.equal(names[0]!.n, 0, "no catalog names a tenant");
        } finally {
          await sql.end();
        }
      });
    } finally {
      await database.close();
      await db.close();
    }
  },
});

Deno.test({
  name: "a hostile tenant at the gateway",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    await withNotes(async ({ server, send, call }) => {
      const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
      await server.tenants.create("acme");
      await server.tenants.create("globex");
      const at = (tenant: string) => ({ "kontract-tenant": tenant });
      const post = async (path: string, tenant: string, json: unknown, bearer?: SessionTokens) =>
        await send(path, {
          json,
          headers: {
            ...at(tenant),
            ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer.access}` }),
          },
        });
      const account = { email: "ann@example.com", password: "correct horse battery" };
      const register = async (tenant: string): Promise<SessionTokens> =>
        await (await post("/auth/register", tenant, account)).json();
      const ann = await register("acme");
      let eve = await register("globex");
      await call(ann, "add", "n1", SECRET);

      await test("one e-mail is two people in two tenants, each with a password of their own", async () => {
        assert.notEqual(ann.owner, eve.owner);
        const next = { current: account.password, password: "another horse battery" };
        const changed = await post("/auth/change-password", "globex", next, eve);
        assert.equal(changed.status, 200, await changed.clone().text());
        eve = await changed.json();
        assert.equal((await readAnswer(await post("/auth/login", "globex", account))).status, 401);
        const inAcme = await post("/auth/login", "acme", account);
        assert.equal(inAcme.status, 200);
        assert.equal((await inAcme.json()).owner, ann.owner);
      });

      await test("a token is good in its own tenant only", async () => {
        const moved = await post("/rpc/read", "acme", ["n1"], eve);
        assert.equal((await readAnswer(moved)).code, "NOT_FOUND", "no header moves a session");
        const me = await send("/auth/me", {
          headers: { ...at("globex"), authorization: `Bearer ${ann.access}` },
        });
        assert.equal((await readAnswer(me)).code, "FORBIDDEN");
        const refreshed = await post("/auth/refresh", "globex", { refresh: ann.refresh });
        assert.equal((await readAnswer(refreshed)).code, "UNAUTHORIZED");
        assert.equal((await call(eve, "read", "n1")).code, "NOT_FOUND");
        assert.equal((await call(ann, "read", "n1")).status, 200);
      });

      await test("an administrator of one is nobody in the other, nor in main", async () => {
        await server.auth.setGroups("globex", eve.owner, ["admin"]);
        assert.equal((await call(eve, "adminOnly")).status, 200);
        assert.equal((await call(ann, "adminOnly")).code, "FORBIDDEN");
        assert.equal((await call(eve, "setGroups", ann.owner, "admin")).code, "NOT_FOUND");
        assert.equal((await call(eve, "ownerOf", "ann@example.com")).result, eve.owner);
        assert.equal((await call(eve, "endSessions", ann.owner)).result, 0);
        assert.equal((await call(ann, "read", "n1")).status, 200);
        for (const work of ["moveIn", "moveOut"]) {
          assert.equal((await call(eve, work, "acme")).code, "FORBIDDEN", work);
        }
        assert.equal((await call(eve, "tenants")).code, "FORBIDDEN");
      });

      await test("events, their ids and grants of topics stay where they are from", async () => {
        const follow = async (who: SessionTokens, source: string, last?: string) =>
          await Stream.open(send, `/events?source=${encodeURIComponent(source)}`, {
            authorization: `Bearer ${who.access}`,
            ...(last === undefined ? {} : { "last-event-id": last }),
          });
        const [acme, globex] = [await follow(ann, "notes"), await follow(eve, "notes")];
        await acme.until("ready");
        await globex.until("ready");
        await call(ann, "add", "n2", SECRET);
        await call(eve, "add", "n3", "of globex");
        const seen = await acme.until("insert");
        assert.ok(seen.includes(SECRET));
        assert.ok((await globex.until("insert")).includes("of globex"));
        assert.ok(!globex.text.includes(SECRET), globex.text);
        const id = [...acme.text.matchAll(/^id: ?(.+)$/gm)].at(-1)![1]!;
        const stolen = await follow(eve, "notes", id);
        await stolen.until("reset");
        assert.ok(!stolen.text.includes(SECRET), stolen.text);
        const grant = String((await call(ann, "grantNews")).result);
        const news = await send(`/events?source=${encodeURIComponent(grant)}`, {
          headers: { authorization: `Bearer ${eve.access}` },
        });
        assert.equal((await readAnswer(news)).code, "PERMISSION_DENIED");
        for (const stream of [acme, globex, stolen]) await stream.close();
      });

      await test("a tenant that is dropped takes its people along and nobody else", async () => {
        assert.equal(await server.tenants.drop("acme"), true);
        assert.equal((await call(ann, "read", "n1")).code, "SESSION_REVOKED");
        const refreshed = await post("/auth/refresh", "acme", { refresh: ann.refresh });
        assert.equal((await readAnswer(refreshed)).code, "NOT_FOUND");
        assert.equal((await call(eve, "read", "n3")).status, 200);
        await server.tenants.create("acme");
        assert.equal((await call(ann, "read", "n1")).code, "SESSION_REVOKED");
        assert.equal((await readAnswer(await post("/auth/login", "acme", account))).status, 401);
        assert.equal((await post("/auth/register", "acme", account)).status, 200);
      });
    });
  },
});

/** A stream of server-sent events, as text. */
class Stream {
  text = "";
  readonly #reader: ReadableStreamDefaultReader<string>;

  private constructor(reader: ReadableStreamDefaultReader<string>) {
    this.#reader = reader;
  }

  static async open(
    send: (path: string, init: RequestInit) => Promise<Response>,
    path: string,
    headers: Record<string, string>,
  ): Promise<Stream> {
    const response = await send(path, { headers });
    assert.equal(response.status, 200);
    return new Stream(response.body!.pipeThrough(new TextDecoderStream()).getReader());
  }

  /** Reads until an event of this type is whole; gives all that was read. */
  async until(type: string): Promise<string> {
    while (!new RegExp(`event: ?${type}\\n[\\s\\S]*?\\n\\n`).test(this.text)) {
      const { done, value } = await this.#reader.read();
      if (done) throw new KontractError("NETWORK", `ended before '${type}': ${this.text}`);
      this.text += value;
    }
    return this.text;
  }

  async close(): Promise<void> {
    await this.#reader.cancel();
  }
}
