import assert from "node:assert/strict";
import type { TableDef } from "../../_internal/manifest.ts";
import { KontractError } from "../../_internal/errors.ts";
import { testDatabase } from "../../tests/postgres.ts";
import { storageEngine } from "../engine.ts";
import { postgresDatabase } from "../postgres_database.ts";
import {
  ACCOUNTS,
  type AnyStorage,
  call,
  field,
  index,
  number,
  run,
  string,
  table,
} from "../testing/tables.ts";
import { migrateUp } from "./mod.ts";

const db = await testDatabase([ACCOUNTS]);
const database = postgresDatabase({ url: db.gatewayUrl });
const engineFor = (def: TableDef) => storageEngine({ database, tables: [def] });
const options = (tables: readonly TableDef[]) => ({
  adminUrl: db.adminUrl,
  tables,
  secrets: db.secrets,
  gatewayRole: db.gatewayRole,
});

function refused(field: string | null): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof KontractError);
    assert.equal(error.code, "MIGRATION_REFUSED");
    assert.equal((error.data as { field: unknown }).field, field);
    assert.match(error.message, /src\/schema\.ts:3/);
    return true;
  };
}

Deno.test({
  name: "migrate up",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    try {
      const session = await engineFor(ACCOUNTS).openSession(await db.token());
      await run(engineFor(ACCOUNTS), call(session), (s) => s.accounts!.set("a", { balance: 1 }));

      await test("a second run changes nothing", async () => {
        const report = await migrateUp(options([ACCOUNTS]));
        assert.deepEqual(report, {
          changed: false,
          later: false,
          steps: [],
          undeclared: [],
          gatewayRole: db.gatewayRole,
          findings: [],
        });
      });

      await test("a defaulted field is there for old rows, in reads, filters and its index", async () => {
        const next: TableDef = {
          ...ACCOUNTS,
          fields: [...ACCOUNTS.fields, field("tier", string, { default: "it's \\ free" })],
          indexes: [...ACCOUNTS.indexes, index(["tier"])],
        };
        const report = await migrateUp(options([next]));
        assert.deepEqual(report.steps, [
          "add field 'accounts.tier'",
          "create index on 'accounts' (tier)",
        ]);
        const engine = engineFor(next);
        await run(engine, call(session), async (s) => {
          assert.equal((await s.accounts!.get("a"))!.tier, "it's \\ free");
          assert.equal((await s.accounts!.getMany(["a"]))[0]!.tier, "it's \\ free");
          assert.equal(await s.accounts!.count({ tier: "it's \\ free" }), 1);
          assert.equal(await s.accounts!.count({ tier: { ne: "it's \\ free" } }), 0);
        });
        await run(engine, call(session), (s) => s.accounts!.set("b", { balance: 1, tier: "gold" }));
        const later: TableDef = {
          ...next,
          fields: [...ACCOUNTS.fields, field("tier", string, { default: "silver" })],
        };
        await migrateUp(options([later]));
        await run(engineFor(later), call(session), async (s) => {
          assert.equal((await s.accounts!.get("a"))!.tier, "it's \\ free");
          assert.equal((await s.accounts!.set("c", { balance: 1 })).tier, "silver");
        });
        await assert.rejects(migrateUp(options([ACCOUNTS])), refused("tier"));
        await assert.rejects(
          migrateUp(options([{
            ...later,
            fields: later.fields.map((f) => f.name === "tier" ? { ...f, shape: number } : f),
          }])),
          refused("tier"),
        );
        await assert.rejects(
          migrateUp(options([{ ...later, fields: [...later.fields, field("must", string)] }])),
          refused("must"),
        );
        await assert.rejects(
          migrateUp(options([{
            ...later,
            fields: later.fields.map((f) => f.name === "email" ? { ...f, optional: false } : f),
          }])),
          refused("email"),
        );
        await assert.rejects(migrateUp(options([{ ...later, rows: "owner" }])), refused(null));
        // A refusal leaves everything as it was.
        assert.equal((await migrateUp(options([later]))).changed, false);
      });

      await test("a field that gets rights of its own is guarded in every way to write", async () => {
        const open = table("open", [field("a", string), field("b", string)]);
        const closed = table("open", [field("a", string), field("b", string, { perm: 4 })]);
        await migrateUp(options([open]));
        const before = engineFor(open);
        const both = (s: AnyStorage): Promise<unknown> =>
          Promise.all(["1", "2"].map((id) => s.open!.set(id, { a: "x", b: id })));
        await run(before, call(session), both);
        await migrateUp(options([closed]));
        // A gateway of the build before does not know; the field refuses whatever its statement.
        await assert.rejects(
          run(before, call(session), (s) => s.open!.set("1", { a: "x", b: "z" })),
          {
            code: "PERMISSION_DENIED",
          },
        );
        await assert.rejects(
          run(before, call(session), async (s) => {
            await s.open!.set("1", { a: "x", b: "z" });
            await s.open!.set("2", { a: "x", b: "z" });
          }),
          { code: "PERMISSION_DENIED" },
        );
      });

      await test("a unique index over equal values is refused", async () => {
        const [row] = await db.admin`select def from kontract.storage where id = 'accounts'`;
        const def = (row!.def as { table: TableDef }).table;
        await assert.rejects(
          migrateUp(options([{ ...def, indexes: [...def.indexes, index(["balance"], true)] }])),
          { code: "MIGRATION_REFUSED" },
        );
      });

      await test("an empty table may change in any way", async () => {
        const first = table("drafts", [field("x", string)]);
        const second = table("drafts", [field("y", number)], { rows: "owner" });
        const [row] = await db.admin`select def from kontract.storage where id = 'accounts'`;
        const def = (row!.def as { table: TableDef }).table;
        await migrateUp(options([def, first]));
        await migrateUp(options([def, second]));
        const engine = storageEngine({ database, tables: [second] });
        await run(engine, call(session), (s) => s.drafts!.set("d", { y: 1 }));
      });

      await test("names with quotes, dots and other scripts are names", async () => {
        const odd = table(`it's "odd" \\ t.a-b 表`, [
          field(`f'"\\.x 字`, string, { default: `d'"\\` }),
        ], {
          indexes: [index([`f'"\\.x 字`], true)],
        });
        await migrateUp(options([odd]));
        await run(storageEngine({ database, tables: [odd] }), call(session), async (s) => {
          const rows = s[odd.name]!;
          await rows.set("1", { [`f'"\\.x 字`]: "v" });
          assert.equal(await rows.count({ [`f'"\\.x 字`]: "v" }), 1);
        });
      });

      await test("what PostgreSQL cannot store is refused, with table and line", async () => {
        const odd = { kind: "literal", value: "a\0" } as const;
        for (
          const one of [
            table("odd", [field("nul\0", string)]),
            table("odd", [field("x", string, { default: "\ud800" })]),
            table("odd", [field("x", odd)]),
            table("odd", [
              field("x", { kind: "record", value: string }, { default: { "nul\0": "a" } }),
            ]),
            table("odd", [
              field("x", {
                kind: "object",
                fields: [{ name: "\udc00", id: 0, shape: string, optional: false }],
              }),
            ]),
          ]
        ) {
          await assert.rejects(migrateUp(options([one])), {
            code: "MIGRATION_REFUSED",
            message: /^Table 'odd' \(src\/schema\.ts:3\) has .* NUL/,
          });
        }
        await assert.rejects(migrateUp({ ...options([ACCOUNTS]), types: { Odd: odd } }), {
          code: "MIGRATION_REFUSED",
          message: /^Type 'Odd'/,
        });
      });

      await test("runs at the same moment take turns", async () => {
        const fresh = table("together", [field("x", string)]);
        const reports = await Promise.all([1, 2, 3].map(() => migrateUp(options([fresh]))));
        assert.equal(reports.filter((report) => report.changed).length, 1);
        const rows = await db.admin`select 1 from kontract.storage where id = 'together'`;
        assert.equal(rows.length, 1);
      });

      await test("a secret that is gone verifies nothing any more", async () => {
        const old = await db.token();
        await migrateUp({
          ...options([ACCOUNTS]),
          tables: [],
          secrets: [crypto.getRandomValues(new Uint8Array(32))],
        });
        await assert.rejects(engineFor(ACCOUNTS).openSession(old), { code: "UNAUTHORIZED" });
      });

      await test("a dead server and a wrong password are typed and name no address", async () => {
        const url = new URL(db.adminUrl);
        url.port = "1";
        await assert.rejects(migrateUp({ ...options([]), adminUrl: url.href }), (error) => {
          assert.ok(error instanceof KontractError);
          assert.equal(error.code, "DATABASE_UNAVAILABLE");
          assert.ok(!error.message.includes("127.0.0.1"));
          return true;
        });
        const dead = storageEngine({
          database: postgresDatabase({ url: url.href }),
          tables: [ACCOUNTS],
        });
        await assert.rejects(dead.openSession("x"), { code: "DATABASE_UNAVAILABLE" });
      });
    } finally {
      await database.close();
      await db.close();
    }
  },
});
