import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { deriveKey, KEY_LABELS, keyId } from "../_internal/keys.ts";
import { databaseToken, enterTenant, signToken, testDatabase } from "../tests/postgres.ts";
import { SqlError, type SqlParam } from "./database.ts";
import { storageEngine } from "./engine.ts";
import { query } from "./exec/testing/query.ts";
import { tableLock } from "./migrate/lock_keys.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { tableKey } from "./table_key.ts";
import { readAnswer } from "./text_answer.ts";
import { ACCOUNTS, call, field, NOTES, PEOPLE, run, string, table } from "./testing/tables.ts";

const USERS = table("_users", [field("ugroups", { kind: "array", element: string })]);
const tables = [ACCOUNTS, NOTES, PEOPLE, USERS];
const GROUPED = [NOTES.name, USERS.name];
const NAMES = query({ name: string })`select name from people`;
const db = await testDatabase(tables, {}, "shared", [NAMES]);
const database = postgresDatabase({ url: db.gatewayUrl });
const engine = storageEngine({ database, tables });
/** A thief with the runtime's connection string. */
const thief = postgres(db.gatewayUrl, { max: 1, onnotice: () => {}, fetch_types: false });

function state(...expected: string[]): (error: unknown) => boolean {
  return (error) => {
    const found = error instanceof SqlError
      ? error.failure.sqlstate
      : (error as { code?: string }).code;
    assert.ok(expected.includes(String(found)), `${found}: ${(error as Error).message}`);
    return true;
  };
}

Deno.test({
  name: "what PostgreSQL itself refuses the gateway",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    try {
      const alice = await engine.openSession(await db.token({ owner: "alice" }));
      const tenant = await enterTenant(db, "acme");
      const hers = await engine.openSession(await tenant.token({ owner: "alice" }));
      /** Removes a row in the tenant, as a statement. */
      const remove = (sid: string): string =>
        `select kontract.commit('${sid}', 'acme', 'alice', 7, null, null, null, null, null, null,
           '[{"t":"people","g":null,"r":[],"q":[],"w":[["p",null]]}]')`;
      const put = (sid: string): string =>
        `select kontract.tenant_put('${sid}', 'acme', 'alice', 7, null, null, null, null, null, null,
           'notes', 'n', false, null, '{"id":"n","text":"hers"}')`;
      await run(engine, call(alice), async (s) => {
        await s.people!.set("p", { name: "P" });
        await s.notes!.set("n", { text: "mine" });
      });

      await test("the gateway role has privileges on exactly two tables", async () => {
        const rows = await db.admin`
          select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
             and c.relkind in ('r', 'v', 'm', 'p', 'f', 'S')
             and (has_table_privilege(${db.gatewayRole}, c.oid, 'select,insert,update,delete,truncate,references,trigger')
               or has_any_column_privilege(${db.gatewayRole}, c.oid, 'select,insert,update,references'))
           order by 1`;
        assert.deepEqual(rows.map((row) => row.name), ["kontract.storage", "kontract.trxs"]);
        const [flags] = await db.admin`
          select rolsuper or rolinherit or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as any,
                 has_database_privilege(${db.gatewayRole}, current_database(), 'temp') as temp,
                 has_database_privilege(${db.gatewayRole}, current_database(), 'create') as make,
                 has_schema_privilege(${db.gatewayRole}, 'kontract', 'create') as inside,
                 has_schema_privilege(${db.gatewayRole}, 'kontract_private', 'usage') as private,
                 has_schema_privilege(${db.gatewayRole}, 'public', 'usage') as public,
                 pg_has_role(${db.gatewayRole}, 'kontract_owner', 'member') as member
            from pg_roles where rolname = ${db.gatewayRole}`;
        assert.deepEqual(Object.values(flags!), Array(7).fill(false));
      });

      await test("EXECUTE is given one by one, never to PUBLIC, never on a helper", async () => {
        const rows = await db.admin`
          select p.proname as name, n.nspname as schema,
                 has_function_privilege(${db.gatewayRole}, p.oid, 'execute') as may,
                 coalesce(array_to_string(p.proacl, ','), 'default') as acl, p.prosecdef as definer,
                 pg_get_userbyid(p.proowner) as owner, array_to_string(p.proconfig, ',') as config
            from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname like 'kontract%'`;
        const may = rows.filter((row) => row.may).map((row) => String(row.name)).sort();
        const perTable = tables.flatMap(({ name }) => [
          `get_${tableKey(name)}`,
          `get_many_${tableKey(name)}`,
          `put_${tableKey(name)}`,
          `put_many_${tableKey(name)}`,
        ]);
        // Of tables without rights of fields and unique indexes.
        const inGroups = GROUPED.flatMap((name) => [
          `get_group_${tableKey(name)}`,
          `put_group_${tableKey(name)}`,
        ]);
        assert.deepEqual(
          may,
          [
            "changes",
            "changes_group",
            "check_session",
            "collect",
            "commit",
            "count",
            "create_tenant",
            "cur",
            "drop_tenant",
            "exec",
            "list_tenants",
            "open_session",
            "query",
            "revoke_family",
            "tenant_get",
            "tenant_get_many",
            "tenant_put",
            "tenant_put_many",
            ...perTable,
            ...inGroups,
          ].sort(),
        );
        for (const row of rows) {
          assert.ok(
            !/(^|,)=/.test(String(row.acl)) && row.acl !== "default",
            `${row.name}: ${row.acl}`,
          );
          const runs = row.schema === "kontract_exec";
          assert.equal(row.owner, runs ? "kontract_exec" : "kontract_owner");
          assert.match(String(row.config), /search_path=pg_catalog, (?:kontract|pg_temp)/);
          assert.equal(
            row.definer,
            row.schema === "kontract" || runs || row.name === "exec_owner",
            `${row.name}`,
          );
        }
      });

      await test("the role that queries run as reads a view of each table that a query names, and nothing else", async () => {
        const [role] = await db.admin`
          select rolcanlogin or rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as any,
                 pg_has_role(${db.gatewayRole}, oid, 'member') as gateway,
                 pg_has_role('kontract_owner', oid, 'member') as owner,
                 (select count(*)::int from pg_auth_members m where m.member = oid) as of
            from pg_roles r where rolname = 'kontract_exec'`;
        assert.deepEqual({ ...role }, { any: false, gateway: false, owner: false, of: 0 });
        const rights = "select,insert,update,delete,truncate,references,trigger";
        const relations = await db.admin`
          select c.relkind as kind, n.nspname as schema, c.relname as name,
                 has_table_privilege('kontract_exec', c.oid, ${
          rights.replace("select,", "")
        }) as writes
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
             and c.relkind in ('r', 'v', 'm', 'p', 'f', 'S')
             and has_table_privilege('kontract_exec', c.oid, ${rights})`;
        const places = await db
          .admin`select ptr from kontract.storage where id = 'people'`;
        assert.deepEqual(
          relations.map(({ name }) => name).sort(),
          places.map(({ ptr }) => ptr).sort(),
        );
        for (const { kind, schema, writes } of relations) {
          assert.deepEqual([kind, schema, writes], ["v", "kontract_exec", false]);
        }
        const [row] = await db.admin`
          select array_to_json(array(select n.nspname from pg_namespace n where n.nspname like 'kontract%'
                   and has_schema_privilege('kontract_exec', n.oid, 'usage'))) as uses,
                 array_to_json(array(select n.nspname from pg_namespace n
                   where has_schema_privilege('kontract_exec', n.oid, 'create'))) as creates,
                 array_to_json(array(select p.proname from pg_proc p
                   join pg_namespace n on n.oid = p.pronamespace where n.nspname like 'kontract%'
                    and has_function_privilege('kontract_exec', p.oid, 'execute')
                    -- Stored queries, its own.
                    and p.proname !~ '^(small|large)_[0-9a-f]{16}_[0-9a-f]{16}$' order by 1)) as calls`;
        assert.deepEqual({ ...row }, {
          uses: ["kontract_exec"],
          creates: [],
          calls: ["exec_owner", "run"],
        });
      });

      await test("it reads no data table, no key, no effect and no row of the two tables", async () => {
        const rows = await db.admin`
          select c.oid::regclass::text as name from pg_class c where c.relkind = 'r'
             and c.relnamespace in ('kontract_private'::regnamespace)`;
        assert.ok(rows.length > 8);
        for (const { name } of rows) {
          await assert.rejects(thief.unsafe(`select * from ${name}`), state("42501"));
        }
        await assert.rejects(thief`select * from kontract.storage`, state("42501"));
        await assert.rejects(thief`select sid from kontract.trxs`, state("42501"));
        assert.equal((await thief`select id, owner, permissions from kontract.storage`).length, 0);
        assert.equal((await thief`select owner, tenant from kontract.trxs`).length, 0);
        await assert.rejects(thief`create temp table x (a int)`, state("42501"));
        await assert.rejects(thief`set role kontract_owner`, state("42501"));
        await assert.rejects(thief`select lo_create(0)`, state("42501"));
      });

      await test("without a session id no function answers", async () => {
        for (const sid of ["", "x", null, randomBytes(32).toString("base64url")]) {
          const head: SqlParam[] = [sid, 7, null, null, null, null, null, null];
          await assert.rejects(
            database.execute(`get:${tableKey("people")}`, [...head, "p"]),
            state("28000"),
          );
          await assert.rejects(
            database.execute("query", [...head, "people", `{"where":[],"order":[],"limit":9}`]),
            state("28000"),
          );
          await assert.rejects(
            database.execute("changes", [sid, "people", "[]", null, 5]),
            state("28000"),
          );
          await assert.rejects(
            database.execute("changes_group", [[sid], "people", "[]", null, 5]),
            state("28000"),
          );
          await assert.rejects(
            database.execute("commit", [
              ...[sid, "main", "alice", 7, null, null, null, "l", 1, new Uint8Array()],
              "[]",
            ]),
            state("28000"),
          );
          await assert.rejects(
            database.execute(`put:${tableKey("people")}`, [
              ...[sid, "alice", 7, null, null, null, null, "l", 1, new Uint8Array()],
              ...["p", false, null, `{"id":"p","name":"stolen"}`],
            ]),
            state("28000"),
          );
          await assert.rejects(database.execute("revoke_family", [sid, "f", 0]), state("28000"));
        }
      });

      await test("a forged, stretched, foreign or repeated token opens nothing", async () => {
        const secret = db.secrets[0]!;
        const key = await deriveKey(secret, KEY_LABELS.databaseToken);
        const kid = await keyId(key);
        const header = `{"alg":"HS256","kid":"${kid}"}`;
        const now = Math.floor(Date.now() / 1000);
        const claims = {
          iss: "kontract",
          aud: "kontract-db",
          sub: "eve",
          ten: "main",
          fam: "f",
          iat: now,
          exp: now + 30,
        };
        const jti = (): string => randomBytes(16).toString("hex");
        const good = await db.token();
        const [h, p, s] = good.split(".") as [string, string, string];
        const changed = (over: Record<string, unknown>): string =>
          signToken(key, header, { ...claims, jti: jti(), ...over });
        const bad: (string | null)[] = [
          null,
          "",
          ".",
          "..",
          good.slice(0, -1),
          `${h}.${p}.`,
          `${h}.${p}.${s}A`,
          `${h}.${p}.${s}.${s}`,
          `${h}.${p}.${"A".repeat(43)}`,
          `${h}.${p}e.${s}`,
          "x".repeat(5000),
          signToken(new Uint8Array(32), header, { ...claims, jti: jti() }),
          signToken(new Uint8Array(0), header, { ...claims, jti: jti() }),
          signToken(key, `{"alg":"none","kid":"${kid}"}`, { ...claims, jti: jti() }),
          signToken(key, `{"kid":"${kid}","alg":"HS256"}`, { ...claims, jti: jti() }),
          signToken(key, `{"alg":"HS256","kid":""}`, { ...claims, jti: jti() }),
          signToken(key, header, "text"),
          signToken(key, header, null),
          signToken(key, header, []),
          changed({ aud: "kontract" }),
          changed({ iss: "x" }),
          changed({ exp: now - 1 }),
          changed({ exp: now + 3600 }),
          changed({ exp: String(now + 30) }),
          changed({ exp: null }),
          changed({ iat: undefined }),
          changed({ iat: now + 3600, exp: now + 3630 }),
          changed({ sub: 5 }),
          changed({ sub: undefined }),
          changed({ ten: null }),
          changed({ jti: "short" }),
          changed({ jti: undefined }),
          changed({ nbf: now + 600 }),
          changed({ nbf: "0" }),
          changed({ sys: "true" }),
          changed({ exp: 1e400 }),
          await databaseToken(new Uint8Array(randomBytes(32))),
        ];
        for (const token of bad) {
          await assert.rejects(database.execute("open_session", [token]), (error) => {
            state("28000")(error);
            assert.equal((error as SqlError).failure.message, "token", String(token));
            return true;
          });
        }
        await database.execute("open_session", [good]);
        await assert.rejects(database.execute("open_session", [good]), state("28000"));
      });

      await test("debug settings print neither key nor expected signature", async () => {
        const notices: string[] = [];
        const loud = postgres(db.gatewayUrl, {
          max: 1,
          fetch_types: false,
          onnotice: (notice) => notices.push(JSON.stringify(notice)),
        });
        await loud.unsafe(`set client_min_messages = debug5; set debug_print_plan = on;
          set debug_print_parse = on; set debug_print_rewritten = on`);
        await assert.rejects(
          loud`select * from kontract.open_session(${(await db.token()).slice(0, -2) + "AA"})`,
          state("28000"),
        );
        await loud.unsafe(remove(hers.sid));
        await loud.end({ timeout: 2 });
        const [stored] = await db.admin`
          select encode(k.ipad, 'hex') as ipad, m.value as salt
            from kontract_private.keys k, kontract_private.meta m where m.name = 'lock salt'`;
        // A plan is printed with its constants as bytes, and in lines that end anywhere.
        const printed = notices.join().replaceAll(/\\n|\s/g, "");
        for (const secret of [stored!.ipad, stored!.salt]) {
          const bytes = [...new TextEncoder().encode(String(secret))].join("");
          assert.ok(!printed.includes(String(secret)) && !printed.includes(bytes));
        }
      });

      await test("settings of the thief's make no read or write fail, nor print what is inside", async () => {
        const notices: string[] = [];
        const loud = postgres(db.gatewayUrl, {
          max: 1,
          fetch_types: false,
          onnotice: (notice) => notices.push(JSON.stringify(notice)),
        });
        await loud.unsafe(`set client_min_messages = debug5; set debug_print_plan = on;
          set debug_print_parse = on; set debug_print_rewritten = on;
          set plpgsql.print_strict_params = on; set row_security = off;
          set plan_cache_mode = force_custom_plan`);
        const key = tableKey("notes");
        const head = [alice.sid, "alice", 7] as const;
        const writing =
          `select kontract.put_${key}($1, $2, $3, null, null, null, null, null, null, null,
          'loud', false, null, '{"id":"loud","text":"t"}') as r`;
        assert.deepEqual([...await loud.unsafe(writing, [...head])], [{ r: "" }]);
        const reads = [
          [`get_${key}`, "loud"],
          [`get_many_${key}`, '["loud"]'],
        ].map(([name, ids]) =>
          `select kontract.${name}($1, $2, null, null, null, null, null, null, '${ids}') as r`
        );
        for (const reading of reads) {
          const [row] = await loud.unsafe(reading, [alice.sid, 7]);
          assert.match(String(row!.r), /"text": ?"t"/);
          await assert.rejects(loud.unsafe(reading, ["nobody", 7]), state("28000"));
        }
        await loud.end({ timeout: 2 });
        const printed = notices.join();
        assert.match(printed, /get_many_/); // the thief's own statement
        assert.ok(!/incarnation|trxs|_deleted_txid/.test(printed));
        const [found] = await db.admin`
          select count(*) filter (where c.relforcerowsecurity)::int as forced,
                 (select array_agg(p.proname::text) from pg_proc p
                   where p.pronamespace::regnamespace::text like 'kontract%'
                     and p.prosrc ~* 'into\\s+strict|strict\\s+into') as strict
            from pg_class c where c.relnamespace::regnamespace::text like 'kontract%'`;
        // It is only called by functions that set `print_strict_params` themselves.
        assert.deepEqual(found, { forced: 0, strict: ["lock_salt"] });
      });

      await test("the locks that everybody sees confirm no guess of a tenant", async () => {
        const token = await tenant.token({ owner: "alice" });
        for (
          const text of [
            remove(hers.sid),
            put(hers.sid),
            `select kontract.open_session('${token}')`,
          ]
        ) {
          const locks = await thief.begin(async (tx) => {
            await tx.unsafe(text);
            return await tx`
              select (classid::bigint << 32 | objid::bigint)::text as key from pg_locks
               where locktype = 'advisory' and pid = pg_backend_pid()`;
          });
          assert.ok(locks.length > 0, text);
          const guesses = await thief`
            select hashtextextended(array_to_string(g, chr(10)), seed)::text as key
              from (values (array['acme', 'people', 'p']), (array['acme', 'people']),
                           (array['acme', 'alice']), (array['acme'])) v(g), generate_series(0, 20) seed`;
          const seen = new Set(locks.map(({ key }) => key));
          assert.deepEqual(guesses.filter(({ key }) => seen.has(key)), []);
        }
        await assert.rejects(thief`select kontract_private.lock_salt()`, state("42501"));
      });

      await test("who has no session waits for nobody's lock, so no guess is confirmed that way", async () => {
        await db.admin.begin(async (tx) => {
          for (const name of ["'people'", "'notes'"]) {
            await tx.unsafe(`select pg_advisory_xact_lock(${tableLock("'acme'", name)})`);
          }
          for (const text of [remove("guess"), put("guess")]) {
            await assert.rejects(thief.unsafe(text), state("28000"));
          }
        });
      });

      await test("a commit without the secret of its locks fails", async () => {
        const [kept] = await db.admin`
          delete from kontract_private.meta where name = 'lock salt' returning value`;
        const fresh = postgres(db.gatewayUrl, { max: 1, onnotice: () => {} });
        try {
          for (const text of [remove(hers.sid), put(hers.sid)]) {
            await assert.rejects(fresh.unsafe(text), state("P0002"));
          }
        } finally {
          await fresh.end({ timeout: 2 });
          await db.admin`insert into kontract_private.meta values ('lock salt', ${kept!.value})`;
        }
      });

      await test("ending a family waits for a session that is just being opened, and ends it", async () => {
        const system = await engine.openSession(await db.token({ owner: "k", system: true }));
        const opener = postgres(db.gatewayUrl, { max: 1, onnotice: () => {} });
        const opened = Promise.withResolvers<string>();
        const revoking = Promise.withResolvers<void>();
        const opening = opener.begin(async (tx) => {
          const [row] = await tx`select sid from kontract.open_session(${await db.token({
            owner: "late",
            family: "going",
          })})`;
          opened.resolve(String(row!.sid));
          await revoking.promise;
        });
        const sid = await opened.promise;
        const ended = engine.revokeFamily(system, "going", Date.now() + 60_000);
        for (;;) {
          const [waiting] = await db.admin`select 1 from pg_stat_activity
            where usename = ${db.gatewayRole} and wait_event_type = 'Lock'`;
          if (waiting !== undefined) break;
        }
        revoking.resolve();
        await opening;
        await ended;
        await opener.end({ timeout: 2 });
        await assert.rejects(
          database.execute(`get:${tableKey("people")}`, [
            sid,
            7,
            null,
            null,
            null,
            null,
            null,
            null,
            "p",
          ]),
          state("28000"),
        );
        await assert.rejects(engine.openSession(await db.token({ family: "going" })), {
          code: "SESSION_REVOKED",
        });
      });

      await test("a session ends by the clock, in a transaction that is kept open too", async () => {
        const long = await engine.openSession(await db.token({ owner: "long" }));
        const get = `select kontract.get_${tableKey("people")}('${long.sid}', 7, null, null, null,
          null, null, null, 'p')`;
        await assert.rejects(
          thief.begin(async (tx) => {
            await tx.unsafe(get);
            await db
              .admin`update kontract.trxs set expires_at = clock_timestamp() where owner = 'long'`;
            await tx.unsafe(get);
          }),
          state("28000"),
        );
      });

      await test("a token stays spent for as long as it is good, in a transaction of any age", async () => {
        const token = await db.token({ owner: "late" });
        const { jti } = JSON.parse(atob(token.split(".")[1]!));
        const began = await thief.begin(async (tx) => {
          const [row] = await tx`select now()::text as began, pg_sleep(0.05)`;
          await tx`select sid from kontract.open_session(${token})`;
          return String(row!.began);
        });
        const [spent] = await db
          .admin`select expires_at - ${began}::text::timestamptz > interval '5 minutes' as longer
          from kontract_private.token_ids where jti = ${jti}`;
        assert.equal(spent!.longer, true);
      });

      await test("a session without sys reaches no system table, by any function", async () => {
        const head: SqlParam[] = [alice.sid, 7, null, null, null, null, null, null];
        await assert.rejects(
          database.execute(`get:${tableKey("_users")}`, [...head, "alice"]),
          state("42501"),
        );
        await assert.rejects(
          database.execute("query", [...head, "_users", `{"where":[],"order":[],"limit":9}`]),
          state("42501"),
        );
        await assert.rejects(
          database.execute("changes", [alice.sid, "_users", "[]", null, 5]),
          state("42501"),
        );
        await assert.rejects(
          database.execute("changes_group", [[alice.sid], "_users", "[]", null, 5]),
          state("42501"),
        );
        const ops = [{
          t: "_users",
          g: null,
          r: [],
          q: [],
          w: [["alice", { id: "alice", ugroups: ["admin"] }]],
        }];
        await assert.rejects(
          database.execute("commit", [
            ...[alice.sid, "main", "alice", 7, null, null, null, null, null, null],
            JSON.stringify(ops),
          ]),
          state("42501"),
        );
      });

      await test("a required group is found in the database, and changes at once", async () => {
        const system = await engine.openSession(await db.token({ owner: "k", system: true }));
        const admin = call(alice, { ugroup: "admin" });
        const read = (): Promise<unknown> =>
          run(engine, { ...admin, effect: null }, (s) => s.people!.get("p"));
        await assert.rejects(read(), { code: "FORBIDDEN" });
        await run(
          engine,
          call(system),
          (s) => s._users!.set("alice", { ugroups: ["admin", 'a "b", c'] }),
        );
        await read();
        const again = await engine.openSession(await db.token({ owner: "alice" }));
        assert.deepEqual(again.ugroups, ["admin", 'a "b", c']);
        await run(engine, call(system), (s) => s._users!.update("alice", { ugroups: [] }));
        await assert.rejects(read(), { code: "FORBIDDEN" });
        await assert.rejects(
          run(engine, admin, (s) => s.people!.set("q", { name: "Q" })),
          { code: "FORBIDDEN" },
        );
        await run(engine, call(system), (s) => s._users!.set("alice", { ugroups: ["admin"] }));
        await read();
        await run(engine, call(system), (s) => s._users!.delete("alice"));
        await assert.rejects(read(), { code: "FORBIDDEN" });
      });

      await test("the database itself refuses hidden fields and protected writes", async () => {
        const head: SqlParam[] = [alice.sid, 7, null, null, null, null, null, null];
        const query = (
          where: unknown,
          order: unknown = [],
          after: unknown = null,
        ): Promise<unknown> =>
          database.execute("query", [
            ...head,
            "people",
            JSON.stringify({ where, order, after, limit: 9 }),
          ]);
        await assert.rejects(query([[["pin"], "eq", "text", "0000"]]), state("42501"));
        await assert.rejects(query([[["pin"], "prefix", "text", "0"]]), state("42501"));
        await assert.rejects(query([], [[["hash"], "asc", "text"]]), state("42501"));
        await assert.rejects(query([[["pin", "x"], "eq", "text", "0"]]), state("42501"));
        await assert.rejects(query([[["nope"], "eq", "text", "0"]]), state("22023"));
        await assert.rejects(query([[["name"], "= any", "text", "0"]]), state("22023"));
        await assert.rejects(query([[["name"], "eq", "text) or true --", "0"]]), state("22023"));
        await assert.rejects(query([[["name"], "gt", "number", "x"]]), state("22P02"));
        await assert.rejects(query([], [], ["x", 1, 2]), state("22023"));
        const commit = (data: unknown, grants: unknown = null): Promise<unknown> =>
          database.execute("commit", [
            ...[alice.sid, "main", "alice", 7, null, null, null, null, null, null],
            JSON.stringify([{ t: "people", g: grants, r: [], q: [], w: [["p", data]] }]),
          ]);
        const row = { id: "p", name: "P" };
        const put = (data: unknown, grants: string | null = null): Promise<unknown> =>
          database.execute(`put:${tableKey("people")}`, [
            ...[alice.sid, "alice", 7, null, grants, null, null, null, null, null],
            ...["p", false, null, JSON.stringify(data)],
          ]);
        await assert.rejects(put({ ...row, role: "admin" }), state("42501"));
        await assert.rejects(put({ ...row, hash: "h" }), state("42501"));
        await assert.rejects(put({ ...row, extra: 1 }), state("23514"));
        await assert.rejects(put({ id: "other", name: "P" }), state("23514"));
        await assert.rejects(put(null), state("23514"));
        await put({ ...row, role: "admin" }, `{"role":6}`);
        await put({ ...row, role: "member" }, `{"role":6}`);
        await assert.rejects(commit({ ...row, role: "admin" }), state("42501"));
        await assert.rejects(commit({ ...row, hash: "h" }), state("42501"));
        await assert.rejects(commit({ ...row, extra: 1 }), state("23514"));
        await assert.rejects(commit({ id: "other", name: "P" }), state("23514"));
        await commit({ ...row, role: "member", pin: "9" });
        await commit({ ...row, role: "admin" }, { role: 6 });
        await commit(row);
        const [seen] = await database.execute(`get:${tableKey("people")}`, [...head, "p"]);
        assert.deepEqual(readAnswer(seen!).data, { id: "p", name: "P", role: "admin" });
      });

      await test("a commit insists on its isolation and on durability", async () => {
        const run = (settings: string): Promise<unknown> =>
          thief.begin(async (tx) => {
            await tx.unsafe(settings);
            await tx`select * from kontract.commit(${alice.sid}, 'main', 'alice', 7, null, null, null, null, null, null, '[]')`;
          });
        await assert.rejects(
          run("set transaction isolation level repeatable read"),
          state("25001"),
        );
        await assert.rejects(run("set local synchronous_commit = off"), state("25001"));
        const put = (settings: string): Promise<unknown> =>
          thief.begin(async (tx) => {
            await tx.unsafe(settings);
            await tx.unsafe(
              `select kontract.put_${tableKey("people")}('${alice.sid}', 'alice', 7, null, null,
              null, null, null, null, null, 'p', false, null, '{"id":"p","name":"P"}')`,
            );
          });
        await assert.rejects(
          put("set transaction isolation level repeatable read"),
          state("25001"),
        );
        await assert.rejects(put("set local synchronous_commit = off"), state("25001"));
      });

      await test("a future or unaccompanied snapshot is refused", async () => {
        const [answer] = await database.execute(`get:${tableKey("people")}`, [
          ...[alice.sid, 7, null, null, null, null, null, null],
          "p",
        ]);
        const row = readAnswer(answer!);
        const get = (snap: string, inc: string | null): Promise<unknown> =>
          database.execute(`get:${tableKey("people")}`, [
            alice.sid,
            7,
            null,
            null,
            snap,
            inc,
            null,
            null,
            "p",
          ]);
        await get(String(row.snap), String(row.inc));
        await assert.rejects(get("9999999:9999999:", String(row.inc)), state("72000"));
        await assert.rejects(get("3:3:", String(row.inc)), state("72000"));
        await assert.rejects(get(String(row.snap), null), state("72000"));
        await assert.rejects(get(String(row.snap), "other"), state("72000"));
      });
    } finally {
      await thief.end({ timeout: 2 });
      await database.close();
      await db.close();
    }
  },
});
