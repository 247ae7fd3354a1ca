import assert from "node:assert/strict";
import postgres from "postgres";
import type { FieldDef, TableDef } from "../../_internal/manifest.ts";
import { KontractError } from "../../_internal/errors.ts";
import { enterTenant, suiteTenant, testDatabase } from "../../tests/postgres.ts";
import type { StorageEngine, Transaction } from "../contract.ts";
import { storageEngine } from "../engine.ts";
import { postgresDatabase } from "../postgres_database.ts";
import {
  type AnyStorage,
  call,
  field,
  index,
  number,
  run,
  string,
  table,
} from "../testing/tables.ts";
import { tableKey } from "../table_key.ts";
import { migrateDown } from "./down.ts";
import { tableLock } from "./lock_keys.ts";
import { literal } from "./definer.ts";
import type { Migration, MigrationFile, MigrationRow } from "./migration.ts";
import { type MigrateOptions, migrateUp } from "./mod.ts";

const tenant = suiteTenant(import.meta);
const inMain = tenant === "main";
const boolean = { kind: "boolean" } as const;

/** A migration file, as a folder would give it. */
function file(name: string, migration: Migration, hash = tableKey(name)): MigrationFile {
  return { name, hash, load: () => Promise.resolve(migration) };
}

const refusedWith = (pattern: RegExp) => (error: unknown): boolean => {
  assert.ok(error instanceof KontractError);
  assert.equal(error.code, "MIGRATION_REFUSED");
  assert.match(error.message, pattern);
  return true;
};

/** A database of its own with table `things`, and an engine per declaration. */
async function open(fields: readonly FieldDef[]) {
  const first = table("things", fields);
  const db = await enterTenant(await testDatabase([first]), tenant);
  const database = postgresDatabase({ url: db.gatewayUrl });
  const engine = (...tables: TableDef[]): StorageEngine => storageEngine({ database, tables });
  const session = await engine(first).openSession(await db.token());
  const options = (tables: readonly TableDef[], extra: Partial<MigrateOptions> = {}) => ({
    adminUrl: db.adminUrl,
    tables,
    secrets: db.secrets,
    gatewayRole: db.gatewayRole,
    ...extra,
  });
  return {
    db,
    first,
    session,
    engine,
    up: (tables: readonly TableDef[], ...migrations: MigrationFile[]) =>
      migrateUp(options(tables, { migrations })),
    plainUp: (tables: readonly TableDef[]) => migrateUp(options(tables)),
    down: (...migrations: MigrationFile[]) =>
      migrateDown({ adminUrl: db.adminUrl, gatewayRole: db.gatewayRole, migrations }),
    set: (def: TableDef, id: string, row: MigrationRow) =>
      run(engine(def), call(session), (s) => s[def.name]!.set(id, row)),
    all: async (def: TableDef): Promise<MigrationRow[]> =>
      (await run(engine(def), call(session), (s) => s[def.name]!.query({}).orderBy("id")))
        .value as MigrationRow[],
    async close(): Promise<void> {
      await database.close();
      await db.close();
    },
  };
}

type World = Awaited<ReturnType<typeof open>>;

function scenario(
  name: string,
  fields: readonly FieldDef[],
  body: (
    world: World,
    step: (name: string, fn: () => Promise<void>) => Promise<boolean>,
  ) => Promise<void>,
): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(t) {
      const world = await open(fields);
      try {
        await body(world, (name, fn) => t.step(name, fn));
      } finally {
        await world.close();
      }
    },
  });
}

scenario(
  "migrations: dangerous changes are refused together; a file says what becomes of rows",
  [field("size", string), field("color", string), field("note", string, { optional: true })],
  async ({ first, up, plainUp, set, all, db }, step) => {
    const next = table("things", [
      field("size", number),
      field("shape", string),
      field("note", string),
    ]);
    const files: MigrationFile[] = [];
    await set(first, "a", { size: "1", color: "red" });
    await set(first, "b", { size: "2", color: "blue", note: "kept" });

    await step(
      "every change that rows stand in the way of is named, with what to write",
      async () => {
        await assert.rejects(plainUp([next]), (error) => {
          assert.ok(error instanceof KontractError);
          const { problems } = error.data as { problems: { kind: string; field: string }[] };
          assert.deepEqual(problems.map(({ kind, field }) => `${kind} ${field}`), [
            "narrowed size",
            "required shape",
            "required note",
            "removed color",
          ]);
          assert.match(error.message, /Table 'things', field 'size' \(src\/schema\.ts:3\)/);
          assert.match(error.message, /kontract migrate create/);
          return true;
        });
        assert.equal((await all(first)).length, 2);
      },
    );

    await step(
      "a file that is none, one that fails and a row that does not fit change nothing",
      async () => {
        const wrong = {} as Migration;
        await assert.rejects(
          up([next], file("0001", wrong)),
          refusedWith(/must have a function 'up'/),
        );
        const failing: Migration = { up: () => Promise.reject(new Error("no such luck")) };
        await assert.rejects(
          up([next], file("0001", failing)),
          refusedWith(/'0001'.*no such luck/),
        );
        const partial: Migration = {
          up: (m) => m.transform("things", ({ id }) => ({ id, size: 1, shape: "round" })),
        };
        await assert.rejects(
          up([next], file("0001", partial)),
          refusedWith(/row 'a'.*'things\.note' is missing/),
        );
        const asking: Migration = {
          up: (m) =>
            m.transform("things", () => {
              throw new Error("say the size");
            }),
        };
        await assert.rejects(
          up([next], file("0001", asking)),
          refusedWith(/row 'a': 'migrations\/0001\.ts' failed: say the size/),
        );
        const unknown: Migration = { up: (m) => m.transform("nothing", (row) => row) };
        await assert.rejects(up([next], file("0001", unknown)), refusedWith(/table 'nothing'/));
        assert.deepEqual((await all(first)).map(({ size }) => size), ["1", "2"]);
        const left = await db.admin`select count(*)::int as n from kontract_private.rebuilds`;
        assert.equal(left[0]!.n, 0);
      },
    );

    await step("rows are changed, typed, in one run of all pending files", async () => {
      const one: Migration = {
        up: (m) =>
          m.transform("things", ({ color: _, ...row }) => ({ ...row, size: Number(row.size) })),
      };
      const two: Migration = {
        async up(m) {
          const colors: unknown[] = [];
          for await (const row of m.rows("things")) colors.push(row.color);
          m.transform("things", (row) => ({ note: colors.join(), ...row, shape: "round" }));
        },
      };
      files.push(file("0001_size", one), file("0002_shape", two));
      const report = await up([next], ...files);
      assert.deepEqual(report.steps.slice(0, 2), [
        "migration '0001_size'",
        "migration '0002_shape'",
      ]);
      const step = inMain
        ? "rebuild table 'things' (2 rows copied)"
        : `bring along 1 tenant: ${tenant}`;
      assert.ok(report.steps.includes(step));
      assert.deepEqual(await all(next), [
        { id: "a", size: 1, shape: "round", note: "red,blue" },
        { id: "b", size: 2, shape: "round", note: "kept" },
      ]);
      assert.equal((await up([next], ...files)).changed, false);
    });

    await step("history that was changed or lost is refused", async () => {
      await assert.rejects(
        up([next], files[0]!, { ...files[1]!, hash: "other" }),
        refusedWith(/'migrations\/0002_shape\.ts' was changed after it had been applied/),
      );
      await assert.rejects(
        up([next], files[1]!),
        refusedWith(/'migrations\/0001_size\.ts' was applied/),
      );
    });

    await step("order of insertion, owners and writes go on as before", async () => {
      await set(next, "c", { size: 3, shape: "flat", note: "" });
      await assert.rejects(set(next, "d", { size: "x", shape: "flat", note: "" }), {
        code: "VALIDATION",
      });
      const [row] = await db
        .admin`select ptr from kontract.storage where owner = ${tenant} and id = 'things'`;
      const rows = await db.admin.unsafe(
        `select id, _owner from kontract_private.${
          row!.ptr
        } where _deleted_txid is null order by _order`,
      );
      assert.deepEqual(rows.map((r) => `${r.id} ${r._owner}`), ["a alice", "b alice", "c alice"]);
    });
  },
);

scenario("migrations: the way back", [field("size", string)], async (world, step) => {
  const { first, up, down, set, all, db } = world;
  const next = table("things", [field("size", number)], { indexes: [index(["size"])] });
  const both = file("0001_size", {
    up: (m) => m.transform("things", (row) => ({ ...row, size: Number(row.size) })),
    down: (m) => m.transform("things", (row) => ({ ...row, size: `${row.size}` })),
  });
  const oneWay = file("0001_size", {
    up: (m) => m.transform("things", (row) => ({ ...row, size: Number(row.size) })),
  });
  await set(first, "a", { size: "1" });

  await step("nothing to go back over is nothing", async () => {
    assert.deepEqual(await down(), { files: [], steps: [] });
  });

  await step("before the first write the old table is swapped back, without the file", async () => {
    await up([next], oneWay);
    assert.deepEqual(await all(next), [{ id: "a", size: 1 }]);
    await assert.rejects(all(first), { code: "SCHEMA_MISMATCH" }).catch(() => {});
    const report = await down();
    assert.deepEqual(report, {
      files: ["0001_size"],
      steps: inMain ? ["table 'things' is the old one again"] : ["1 tenant as well"],
    });
    assert.deepEqual(await all(first), [{ id: "a", size: "1" }]);
    await set(first, "a", { size: "5" });
  });

  await step("after it rows are carried back by 'down'; without one there is no way", async () => {
    await up([next], oneWay);
    await set(next, "b", { size: 2 });
    await assert.rejects(down(oneWay), refusedWith(/has no 'down'/));
    await assert.rejects(down(), refusedWith(/restore it to go back/));
    await assert.rejects(down({ ...both, hash: "other" }), refusedWith(/restore it to go back/));
    assert.equal((await all(next)).length, 2);
    const report = await down(both);
    assert.deepEqual(
      report.steps,
      inMain ? ["rebuild table 'things' as it was (2 rows copied)"] : ["1 tenant as well"],
    );
    assert.deepEqual(await all(first), [{ id: "a", size: "5" }, { id: "b", size: "2" }]);
    await set(first, "c", { size: "3" });
  });

  await step("twice: what the first way back left is not taken for what was before", async () => {
    const wide = table("things", [field("size", number), field("more", number)]);
    const more = file("0002_more", {
      up: (m) => m.transform("things", (row) => ({ ...row, more: 1 })),
      down: (m) => m.transform("things", ({ more: _, ...row }) => row),
    });
    await up([next], both);
    await up([wide], both, more);
    assert.deepEqual((await down(both, more)).files, ["0002_more"]);
    assert.deepEqual((await down(both)).files, ["0001_size"]);
    assert.deepEqual((await all(first))[0], { id: "a", size: "5" });
    await set(first, "c", { size: "3" });
  });

  await step("a table that has changed since has no way back", async () => {
    await up([next], both);
    const later = { ...next, fields: [...next.fields, field("more", string, { optional: true })] };
    await up([later], both);
    await assert.rejects(down(both), refusedWith(/'things' has changed since/));
    const [row] = await db.admin`select count(*)::int as n from kontract_private.migration_files`;
    assert.equal(row!.n, 1);
  });
});

scenario("migrations: tables get other names and go", [field("x", string)], async (world, step) => {
  const { first, up, down, set, all, db, engine, session } = world;
  const renamed = table("items", [field("x", string)]);
  const files = [file("0001_rename", { up: (m) => m.renameTable("things", "items") })];
  await set(first, "a", { x: "1" });

  await step("a renamed table keeps its rows; the old name answers nothing", async () => {
    const report = await up([renamed], ...files);
    assert.ok(report.steps.includes("rename table 'things' to 'items'"));
    assert.deepEqual(await all(renamed), [{ id: "a", x: "1" }]);
    await set(renamed, "b", { x: "2" });
    await assert.rejects(all(first), { code: "SCHEMA_MISMATCH" });
  });

  await step("and gets its old name back", async () => {
    await down(...files);
    assert.equal((await all(first)).length, 2);
    await set(first, "c", { x: "3" });
    await assert.rejects(all(renamed), { code: "SCHEMA_MISMATCH" });
  });

  await step("a name and rows change at once", async () => {
    const wide = table("items", [field("x", string), field("y", boolean)]);
    files[0] = file("0002_both", {
      up(m) {
        m.renameTable("things", "items");
        m.transform("items", (row) => ({ ...row, y: true }));
      },
    });
    await up([wide], ...files);
    assert.deepEqual((await all(wide))[2], { id: "c", x: "3", y: true });
    await down(...files);
    assert.deepEqual((await all(first))[2], { id: "c", x: "3" });
  });

  const feed = (after: string | null) =>
    engine(first).changes({ session, table: "things", after, limit: 10 });
  const position = async (): Promise<string> => (await feed(null)).position;
  const dropped = file("0003_drop", { up: (m) => m.dropTable("things") });
  let before = "";

  await step("a dropped table is gone; one that the source declares is not dropped", async () => {
    const other = table("others", [field("x", string)]);
    await assert.rejects(up([first], dropped), refusedWith(/which the source declares/));
    await up([first, other]);
    before = await position();
    await up([other], dropped);
    const [row] = await db
      .admin`select count(*)::int as n from kontract.storage where owner = ${tenant} and id = 'things'`;
    assert.equal(row!.n, 0);
    const tables = await db.admin`select 1 from pg_class
      where relnamespace = 'kontract_private'::regnamespace and relname ~ '^tbl_[0-9a-f]*$'`;
    const [known] = await db.admin`select count(*)::int as n from kontract.storage`;
    assert.equal(tables.length, known!.n);
  });

  await step("a table made again under its name knows nothing of the one before", async () => {
    await up([first], dropped);
    assert.equal((await feed(before)).reset, true);
    assert.equal((await feed(await position())).reset, false);
  });
});

scenario(
  "migrations: a new database takes all files as done",
  [field("x", string)],
  async (world) => {
    const { up, db } = world;
    const other = table("others", [field("x", string), field("y", number)]);
    const files = [
      file("0001", { up: (m) => m.transform("others", (row) => ({ ...row, y: 1 })) }),
      file("0002", { up: (m) => m.renameTable("never", "others") }),
    ];
    const report = await up([other], ...files);
    assert.ok(report.steps.includes("create table 'others'"));
    const rows = await db.admin`select name from kontract_private.migration_files order by name`;
    assert.deepEqual(rows.map(({ name }) => name), ["0001", "0002"]);
  },
);

for (const change of ["owners", "rows"] as const) {
  scenario(
    `migrations: the first row of a table comes while the table gets other ${change}`,
    [field("n", number)],
    async ({ first, up, all, db }) => {
      const [row] = await db
        .admin`select ptr from kontract.storage where owner = ${tenant} and id = 'things'`;
      const next = change === "owners" ? { ...first, rows: "owner" as const } : first;
      const files = change === "owners" ? [] : [
        file("0001_more", {
          up: (m) => m.transform("things", (r) => ({ ...r, n: Number(r.n) + 10 })),
        }),
      ];
      const [written, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const commit = db.admin.begin(async (tx) => {
        await tx.unsafe(
          `select pg_advisory_xact_lock_shared(${tableLock(literal(tenant), "'things'")})`,
        );
        await tx.unsafe(`insert into kontract_private.${row!.ptr} (id, data, _owner, _order)
          values ('a', '{"id":"a","n":1}', 'alice', 9)`);
        written.resolve();
        await release.promise;
      });
      await written.promise;
      let ended = false;
      const migrating = up([next], ...files).then(() => null, (error: unknown) => error)
        .finally(() => ended = true);
      for (let waits = false; !waits && !ended;) {
        const found = await db.admin`select 1 from pg_stat_activity where wait_event_type = 'Lock'
          and application_name like 'kontract migrate%' and datname = current_database()`;
        waits = found.length > 0;
      }
      release.resolve();
      const [, refused] = await Promise.all([commit, migrating]);
      assert.ok(refused instanceof KontractError, String(refused));
      assert.equal(refused.code, change === "owners" ? "MIGRATION_REFUSED" : "CONFLICT");
      assert.deepEqual(await all(first), [{ id: "a", n: 1 }]);
      if (change === "owners") return;
      await up([next], ...files);
      assert.deepEqual(await all(first), [{ id: "a", n: 11 }]);
    },
  );
}

scenario(
  "migrations: a commit under way is waited for, and its row is in the table that takes the place",
  [field("n", number)],
  async ({ first, up, set, all, db }) => {
    await set(first, "a", { n: 1 });
    const [row] = await db
      .admin`select ptr from kontract.storage where owner = ${tenant} and id = 'things'`;
    const [copying, copy] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const [written, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const migrating = up(
      [first],
      file("0001_more", {
        up: (m) =>
          m.transform("things", async (each) => {
            copying.resolve();
            await copy.promise;
            return { ...each, n: Number(each.n) + 10 };
          }),
      }),
    );
    await copying.promise;
    // As a commit does it: its share of the table's lock, then the row.
    const commit = db.admin.begin(async (tx) => {
      await tx.unsafe(
        `select pg_advisory_xact_lock_shared(${tableLock(literal(tenant), "'things'")})`,
      );
      await tx.unsafe(`insert into kontract_private.${row!.ptr} (id, data, _owner, _order)
        values ('b', '{"id":"b","n":2}', 'alice', 9)`);
      written.resolve();
      await release.promise;
    });
    await written.promise;
    copy.resolve();
    for (let waits = false; !waits;) {
      const found = await db.admin`select 1 from pg_stat_activity where wait_event_type = 'Lock'
        and application_name like 'kontract migrate%' and datname = current_database()`;
      waits = found.length > 0;
    }
    release.resolve();
    await Promise.all([commit, migrating]);
    assert.deepEqual(await all(first), [{ id: "a", n: 11 }, { id: "b", n: 12 }]);
  },
);

scenario("migrations: a swap under fire", [field("n", number)], async (world, step) => {
  const { first, up, down, session, engine, all, db } = world;
  const next = table("things", [field("n", number), field("twice", number)]);
  const files = [file("0001_twice", {
    up: (m) => m.transform("things", (row) => ({ ...row, twice: 2 * (row.n as number) })),
    down: (m) => m.transform("things", ({ twice: _, ...row }) => row),
  })];
  const touched = file("0003_touched", { up: (m) => m.transform("things", (row) => row) });
  const old = engine(first);
  const started = (def: TableDef, options = call(session)) => {
    const reading = Promise.withResolvers<AnyStorage>();
    const wait = Promise.withResolvers<void>();
    let attempts = 0;
    const ended = engine(def).run(options, async (transaction: Transaction) => {
      const storage = transaction.storage as AnyStorage;
      await storage.things!.get("k0");
      reading.resolve(storage);
      await wait.promise;
      attempts++;
      if (!options.readOnly) await storage.things!.update("k0", { n: 100 });
      return new Uint8Array();
    }).then(() => `done after ${attempts}`, (error: { code?: string }) => String(error.code));
    return { reading: reading.promise, end: () => (wait.resolve(), ended) };
  };
  for (let n = 0; n < 450; n++) {
    await run(old, call(session), (s) => s.things!.set(`k${n}`, { n: 0 }));
  }

  await step("no increment is lost while the table is copied and swapped", async () => {
    let stop = false;
    let done = 0;
    let refused = 0;
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let n = 0; !stop; n++) {
        const id = `k${(n * 7 + writer * 113) % 450}`;
        try {
          await run(old, call(session, { retry: 50 }), async (s) => {
            const row = await s.things!.get(id);
            await s.things!.set(id, { n: (row!.n as number) + 1 });
          });
          done++;
        } catch (error) {
          // A gateway of the old build may not write rows of the new type.
          assert.equal((error as { code?: string }).code, "VALIDATION");
          refused++;
          stop = true;
        }
      }
    });
    const report = await up([next], ...files);
    while (refused === 0 && !stop) await new Promise((resolve) => setTimeout(resolve, 5));
    stop = true;
    await Promise.all(writers);
    const rows = await all(next);
    assert.equal(rows.length, 450);
    assert.equal(rows.reduce((sum, { n }) => sum + (n as number), 0), done, report.steps.join());
    assert.ok(rows.every(({ n, twice }) => twice === 2 * (n as number)));
    assert.ok(done > 0);
  });

  await step("a call of a build whose types are gone is refused, not half applied", async () => {
    const slow = started(next);
    await slow.reading;
    await down(...files);
    assert.equal(await slow.end(), "VALIDATION"); // its build writes rows of the type that went
  });

  await step("a call that began before the swap conflicts and is run again", async () => {
    const again = started(first);
    await again.reading;
    const [before] = await db
      .admin`select ptr from kontract.storage where owner = ${tenant} and id = 'things'`;
    const same = table("things", [field("n", number)]);
    const touch = files[1] = file("0002_touch", { up: (m) => m.transform("things", (row) => row) });
    await up([same], touch);
    const [after] = await db
      .admin`select ptr from kontract.storage where owner = ${tenant} and id = 'things'`;
    assert.notEqual(before!.ptr, after!.ptr);
    // How often is a matter of who else is at work; that it is more than once is the promise.
    assert.match(await again.end(), /^done after (?!1$)\d+$/);
  });

  await step("a call that only reads sees the table as it was, by every operation", async () => {
    // Another database of the server is at work all the while: `xmin` of every snapshot is older.
    const elsewhere = postgres(new URL("/postgres", db.adminUrl).href, { max: 1 });
    const busy = await elsewhere.reserve();
    await busy`begin`;
    await busy`select pg_current_xact_id()`;
    await up([table("things", [field("n", number)])], files[1]!, touched);
    const reader = started(first, call(session, { readOnly: true, effect: null }));
    const storage = await reader.reading;
    const writer = started(first, call(session, { retry: 0 }));
    await writer.reading;
    const { position } = await old.changes({ session, table: "things", after: null, limit: 1 });
    const before = await storage.things!.get("k1");
    const half = file("0004_half", {
      up: (m) => m.transform("things", (row) => row.id === "k1" ? { ...row, n: -1 } : null),
    });
    await up([table("things", [field("n", number)])], files[1]!, touched, half);
    assert.deepEqual(await storage.things!.get("k1"), before);
    assert.equal((await storage.things!.getMany(["k1", "k2", "gone"])).filter(Boolean).length, 2);
    assert.equal(await storage.things!.count({}), 450);
    assert.equal((await storage.things!.query({ n: { gte: 0 } }).limit(500)).length, 450);
    assert.equal(await reader.end(), "done after 1");
    assert.equal(await writer.end(), "CONFLICT");
    const batch = await old.changes({ session, table: "things", after: position, limit: 1 });
    assert.deepEqual([batch.reset, batch.changes.length], [true, 0]);
    assert.deepEqual(await all(first), [{ id: "k1", n: -1 }]);
    assert.deepEqual(before, { id: "k1", n: before!.n });
    await busy`rollback`;
    busy.release();
    await elsewhere.end();
  });

  await step(
    "a resume token from before a swap is refused also when the old table is gone",
    async () => {
      const { position } = await old.changes({ session, table: "things", after: null, limit: 1 });
      const touch = (name: string) =>
        file(name, { up: (m) => m.transform("things", (row) => row) });
      const known = [files[1]!, touched, file("0004_half", { up: () => {} }), touch("0004_touch")];
      await up([first], ...known);
      await db.admin`update kontract.storage
      set retired = jsonb_set(retired, '{at}', to_jsonb(now() - interval '25 hours')) where id = 'things'`;
      await up([first, table("others", [field("n", number)])], ...known);
      const [row] = await db.admin`
      select retired is null as gone from kontract.storage where owner = ${tenant} and id = 'things'`;
      assert.equal(row!.gone, true);
      const batch = await old.changes({ session, table: "things", after: position, limit: 1 });
      assert.equal(batch.reset, true);
    },
  );

  await step("a call from before two swaps is told that its snapshot is too old", async () => {
    const reader = started(first, call(session, { readOnly: true, effect: null }));
    const storage = await reader.reading;
    const known = ["0004_half", "0004_touch"].map((name) => file(name, { up: () => {} }));
    known.unshift(files[1]!, touched);
    for (const name of ["0005_once", "0006_twice"]) {
      known.push(file(name, { up: (m) => m.transform("things", (row) => row) }));
      await up([first], ...known);
    }
    const told = { code: "SNAPSHOT_TOO_OLD" };
    await assert.rejects(storage.things!.get("k1"), told);
    await assert.rejects(storage.things!.getMany(["k1"]), told);
    await assert.rejects(storage.things!.count({}), told);
    await reader.end();
  });
});
