/**
 * Random programs do the same to storage and to a plain in-memory model, step by step: answers, errors,
 * a call's own writes, what remains after it. A program that differs is cut down before it is shown;
 * `KONTRACT_SEED` repeats it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import { Random } from "../../_internal/testing/random.ts";
import type { StorageEngine, StorageSession } from "../../storage/contract.ts";
import type { Database } from "../../storage/database.ts";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { DEFAULT_TENANT } from "../../storage/tenant_name.ts";
import { inCompany } from "../../storage/testing/company.ts";
import {
  type AnyTable,
  call,
  field,
  index,
  number,
  run,
  string,
  table,
} from "../../storage/testing/tables.ts";
import { enterTenant, suiteTenant, testDatabase } from "../postgres.ts";
import { MemoryTable, Refused } from "./memory_store.ts";
import { type Program, programText, randomProgram, smaller, type Step } from "./program.ts";

const DEFAULTS = { s: "s0", flag: false };
const FIELDS = [
  field("n", number, { optional: true }),
  field("s", string, { default: DEFAULTS.s }),
  field("tags", { kind: "array", element: string }, { optional: true }),
  field("flag", { kind: "boolean" }, { default: DEFAULTS.flag }),
  field("home", {
    kind: "object",
    fields: [
      { name: "city", id: 0, shape: string, optional: false },
      { name: "zip", id: 1, shape: number, optional: true },
    ],
  }, { optional: true }),
  field("big", { kind: "bigint", width: "big" }, { optional: true }),
  field("at", { kind: "date" }, { optional: true }),
];
const INDEXES = ["n", "s", "home.city", "big", "at"].map((name) => index([name]));
const TABLES = [
  table("items", FIELDS, { indexes: INDEXES }),
  table("mine", FIELDS, { rows: "owner" }),
];
const tenant = suiteTenant(import.meta);
const NAMES = TABLES.map(({ name }) => name);

const long = Deno.env.get("KONTRACT_LONG") === "1";
const given = Deno.env.get("KONTRACT_SEED");

/** The port as it is, and with each statement that can be one of a group in one. Groups are of `main` alone. */
const PORTS = [
  ["", (database: Database) => database],
  ...(tenant === DEFAULT_TENANT ? [[", in company", inCompany] as const] : []),
] as const;

for (const [how, port] of PORTS) {
  Deno.test({
    name: `storage does what a plain in-memory model does, tenant ${tenant}${how}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const db = await enterTenant(await testDatabase(TABLES), tenant);
      const database = port(postgresDatabase({ url: db.gatewayUrl, max: 2 }));
      const engine = storageEngine({ database, tables: TABLES });
      const session = await engine.openSession(await db.token());
      const places = await db.admin`select ptr from kontract.storage where owner = ${tenant}`;
      const difference = async (program: Program): Promise<string | null> => {
        for (const { ptr } of places) await db.admin.unsafe(`delete from kontract_private.${ptr}`);
        return await firstDifference(engine, session, program);
      };
      try {
        const first = given === undefined ? Math.floor(Math.random() * 1e6) : Number(given);
        const programs = given === undefined
          ? (long ? 3000 : tenant === DEFAULT_TENANT ? 80 : 30)
          : 1;
        for (let seed = first; seed < first + programs; seed++) {
          const program = randomProgram(new Random(seed), NAMES, 8);
          const found = await difference(program);
          if (found === null) continue;
          const least = await shrink(program, difference);
          assert.fail(`seed ${seed}\n${programText(least)}\n${await difference(least) ?? found}`);
        }
      } finally {
        await database.close();
        await db.close();
      }
    },
  });
}

/** The smallest program found that still differs. */
async function shrink(
  program: Program,
  difference: (program: Program) => Promise<string | null>,
): Promise<Program> {
  for (const candidate of smaller(program)) {
    if (await difference(candidate) !== null) return await shrink(candidate, difference);
  }
  return program;
}

/** Runs a program on both and says where they part. */
async function firstDifference(
  engine: StorageEngine,
  session: StorageSession,
  program: Program,
): Promise<string | null> {
  const models = new Map(NAMES.map((name) => [name, new MemoryTable(DEFAULTS)]));
  const rest = NAMES.map((name): Step => ({ table: name, op: "scan" }));
  for (const { steps, commits } of [...program, { steps: rest, commits: true }]) {
    for (const model of models.values()) model.begin();
    let found: string | null = null;
    const aborted = new Error("aborted");
    const work = run(engine, call(session), async (storage) => {
      for (const step of steps) {
        const model = await settle(() => onModel(models.get(step.table)!, step));
        const real = await settle(() => onStorage(storage[step.table]!, step));
        try {
          assert.deepEqual(real, model);
        } catch (error) {
          found = `${Deno.inspect(step, { depth: 9 })}\n${(error as Error).message}`;
          throw aborted;
        }
      }
      if (!commits) throw aborted;
    });
    try {
      await work;
      for (const model of models.values()) model.commit();
    } catch (error) {
      if (error !== aborted) return `the call failed: ${Deno.inspect(error)}`;
    }
    if (found !== null) return found;
  }
  return null;
}

/** The result, or the code of the refusal. */
async function settle(work: () => unknown): Promise<unknown> {
  try {
    return { value: await work() };
  } catch (error) {
    if (error instanceof Refused || error instanceof KontractError) return { code: error.code };
    throw error;
  }
}

function onModel(model: MemoryTable, step: Step): unknown {
  switch (step.op) {
    case "get":
      return model.get(step.id);
    case "has":
      return model.get(step.id) !== null;
    case "delete":
      return model.delete(step.id);
    case "getMany":
      return step.ids.map((id) => model.get(id));
    case "set":
    case "push":
      return model.set(step.id, step.values);
    case "update":
      return model.update(step.id, step.values);
    case "pop":
      return model.pop();
    case "shift":
      return model.shift();
    case "scan":
      return model.query({}, []);
    case "query": {
      const rows = model.query(step.filter, step.order);
      if (step.form === "count") return rows.length;
      if (step.form === "first") return rows[0] ?? null;
      return step.form === "pages" ? rows : rows.slice(0, step.limit ?? 50);
    }
  }
}

async function onStorage(real: AnyTable, step: Step): Promise<unknown> {
  switch (step.op) {
    case "get":
    case "has":
    case "delete":
      return await real[step.op](step.id);
    case "getMany":
      return await real.getMany(step.ids);
    case "set":
    case "update":
      return await real[step.op](step.id, step.values);
    case "push":
      return await real.push({ ...step.values, id: step.id });
    case "pop":
    case "shift":
      return await real[step.op]();
    case "scan":
      return await Array.fromAsync(real);
    case "query":
      return await runQuery(real, step);
  }
}

async function runQuery(real: AnyTable, step: Extract<Step, { op: "query" }>): Promise<unknown> {
  let query = real.query(step.filter);
  for (const [name, direction] of step.order) query = query.orderBy(name, direction);
  if (step.limit !== null) query = query.limit(step.limit);
  switch (step.form) {
    case "count":
      return await query.count();
    case "first":
      return await query.first();
    case "page":
      return (await query.page()).rows;
    case "iterate":
      return await Array.fromAsync(query);
    case "all":
      return await query;
    case "pages": {
      const rows: unknown[] = [];
      let cursor: string | null = null;
      do {
        const page = await query.after(cursor).page();
        rows.push(...page.rows);
        cursor = page.cursor;
      } while (cursor !== null);
      return rows;
    }
  }
}
