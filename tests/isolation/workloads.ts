/**
 * Random loads, each with the check that tells a correct history from a broken one.
 *
 * @module
 */
import type { ExecDef, TableDef } from "../../_internal/manifest.ts";
import { exec, query } from "../../storage/exec/testing/query.ts";
import {
  type AnyStorage,
  call,
  field,
  index,
  number,
  run,
  string,
  table,
} from "../../storage/testing/tables.ts";
import { appendAnomalies, type AppendCall, type Operation } from "./append_history.ts";
import type { Finished, Gateways, LoadOptions, Work } from "./load.ts";

/** Tables of all loads. */
export const LOAD_TABLES: readonly TableDef[] = [
  table("lists", [field("group", string), field("values", { kind: "array", element: number })], {
    indexes: [index(["group"])],
  }),
  table("accounts", [field("balance", number)]),
  table("ledger", [
    field("request", string),
    field("from", string),
    field("to", string),
    field("amount", number),
  ]),
  table("audits", [field("total", number)]),
  table("shifts", [field("group", string), field("on", { kind: "boolean" })], {
    indexes: [index(["group"])],
  }),
  table("bookings", [field("slot", number), field("by", string)], { indexes: [index(["slot"])] }),
  table("orders", [field("request", string)]),
  table("registers", [field("value", number)]),
];

const LISTS_OF = query({ id: string, values: { kind: "array", element: number } })`
  select id, values from lists where "group" = ${string}`;
const BOOKED = query({ n: number })`select count(*) as n from bookings where slot = ${number}`;

/** Queries of all loads. */
export const LOAD_EXECS: readonly ExecDef[] = [LISTS_OF, BOOKED];

/** A load and its check. */
export interface Workload {
  readonly name: string;
  /** Clients of a long run: fewer where each spoils what all others have read. */
  readonly crowd: number;
  /** Makes the rows it needs. */
  prepare(gateways: Gateways): Promise<void>;
  readonly work: LoadOptions["work"];
  /** What is wrong, in words. */
  anomalies(finished: readonly Finished[], gateways: Gateways): Promise<readonly string[]>;
}

/** Everything stored in a table. */
export async function rowsOf(
  gateways: Gateways,
  name: string,
): Promise<readonly Record<string, unknown>[]> {
  const { value } = await run(
    gateways.engines[0]!,
    call(gateways.session, { readOnly: true }),
    async (s) => {
      const rows: Record<string, unknown>[] = [];
      for await (const row of s[name]!) rows.push(row);
      return rows;
    },
  );
  return value;
}

/** One call outside of a load. */
export async function write(
  gateways: Gateways,
  body: (s: AnyStorage) => Promise<unknown>,
): Promise<void> {
  await run(gateways.engines[0]!, call(gateways.session), body);
}

const nothing = (): Promise<void> => Promise.resolve();

/** Lists to which calls append what nobody else appends, after reading some of them in several ways. */
export function listAppend(name: string): Workload {
  const keys = (group: string): readonly string[] => [0, 1, 2, 3, 4].map((i) => `${group}.${i}`);
  return {
    name: `list append (${name})`,
    crowd: 60,
    prepare: nothing,
    work(random, client, n): Work {
      const group = `${name}${client >> 4}.${n >> 2}`;
      const readOnly = random.oneIn(4);
      const steps = Array.from({ length: 1 + random.below(4) }, (_, i) => {
        const key = random.pick(keys(group));
        // Seldom: it conflicts with every change of a list.
        const look = random.oneIn(12)
          ? "exec" as const
          : random.pick(["get", "many", "query"] as const);
        if (!readOnly && random.oneIn(2)) {
          return { kind: "append" as const, key, look, value: (client * 1000 + n) * 10 + i };
        }
        return { kind: "read" as const, key, look };
      });
      return {
        readOnly,
        async body(s): Promise<readonly Operation[]> {
          const seen: Operation[] = [];
          for (const step of steps) {
            const lists = await readLists(s, step.look, group, keys(group), step.key);
            for (const [key, values] of lists) seen.push({ kind: "read", key, values });
            if (step.kind === "read") continue;
            const row = await s.lists!.get(step.key);
            const values = (row?.values ?? []) as readonly number[];
            await s.lists!.set(step.key, { group, values: [...values, step.value] });
            seen.push({ kind: "append", key: step.key, value: step.value });
          }
          return seen;
        },
      };
    },
    async anomalies(finished, gateways): Promise<readonly string[]> {
      const rows = await rowsOf(gateways, "lists");
      const final = new Map(
        rows.filter((row) => String(row.id).startsWith(name))
          .map((row) => [String(row.id), row.values as readonly number[]]),
      );
      const history = finished.map((call): AppendCall => ({
        operations: (call.answer?.value ?? []) as readonly Operation[],
        began: call.began,
        ended: call.ended,
        applied: call.answer !== null,
      }));
      return appendAnomalies(history, final);
    },
  };
}

async function readLists(
  s: AnyStorage,
  look: "get" | "many" | "query" | "exec",
  group: string,
  keys: readonly string[],
  key: string,
): Promise<readonly (readonly [string, readonly number[]])[]> {
  const valuesOf = (row: Record<string, unknown> | null | undefined): readonly number[] =>
    (row?.values ?? []) as readonly number[];
  if (look === "get") return [[key, valuesOf(await s.lists!.get(key))]];
  if (look === "many") {
    const rows = await s.lists!.getMany(keys);
    return keys.map((name, i) => [name, valuesOf(rows[i])]);
  }
  const found = look === "exec" ? await exec(s, LISTS_OF, group) : await s.lists!.query({ group });
  const rows = new Map(found.map((row) => [row.id, row]));
  return keys.map((name) => [name, valuesOf(rows.get(name))]);
}

/** Two people share a shift; one may leave where the other stays. Read by key or by predicate. */
export const writeSkew: Workload = {
  name: "write skew",
  crowd: 40,
  prepare: (gateways) =>
    write(gateways, async (s) => {
      for (let i = 0; i < 6; i++) await s.shifts!.set(`p${i}`, { group: `g${i >> 1}`, on: true });
    }),
  work(random): Work {
    const person = random.below(6);
    const byKey = random.oneIn(2);
    return {
      readOnly: false,
      async body(s): Promise<unknown> {
        const pair = person & ~1;
        const on = byKey
          ? (await s.shifts!.getMany([`p${pair}`, `p${pair + 1}`])).filter((row) => row!.on).length
          : await s.shifts!.count({ group: `g${person >> 1}`, on: true });
        await s.shifts!.set(`p${person}`, { group: `g${person >> 1}`, on: on < 2 });
        return { on };
      },
    };
  },
  async anomalies(finished, gateways): Promise<readonly string[]> {
    const wrong = finished.filter(({ answer }) =>
      (answer?.value as { on: number } | undefined)?.on === 0
    )
      .map(({ client, n }) => `request ${client}.${n} found nobody there`);
    const rows = await rowsOf(gateways, "shifts");
    for (const group of ["g0", "g1", "g2"]) {
      if (!rows.some((row) => row.group === group && row.on === true)) {
        wrong.push(`${group}: nobody is there`);
      }
    }
    return wrong;
  },
};

/** A slot is booked where a query finds no booking. */
export const phantoms: Workload = bookings(
  "phantoms",
  (s, slot) => s.bookings!.count({ slot }),
  { first: 0, crowd: 300 },
);

/** The same where the query is SQL. */
export const phantomsInSql: Workload = bookings(
  "phantoms in SQL",
  async (s, slot) => Number((await exec(s, BOOKED, slot))[0]!.n),
  { first: 10_000, crowd: 40 },
);

function bookings(
  name: string,
  count: (s: AnyStorage, slot: number) => Promise<number>,
  { first, crowd }: { readonly first: number; readonly crowd: number },
): Workload {
  const by = (client: number, n: number): string => `${first}.${client}.${n}`;
  return {
    name,
    crowd,
    prepare: nothing,
    work(random, client, n): Work {
      const slot = first + n * 2 + random.below(3);
      return {
        readOnly: false,
        async body(s): Promise<unknown> {
          if (await count(s, slot) > 0) return { booked: false };
          await s.bookings!.push({ slot, by: by(client, n) });
          return { booked: true };
        },
      };
    },
    async anomalies(finished, gateways): Promise<readonly string[]> {
      const rows = await rowsOf(gateways, "bookings");
      const slots = rows.map((row) => Number(row.slot));
      const wrong = slots.filter((slot, i) => slots.indexOf(slot) !== i)
        .map((slot) => `slot ${slot} is booked twice`);
      for (const { client, n, answer } of finished) {
        const times = rows.filter((row) => row.by === by(client, n)).length;
        const booked = (answer?.value as { booked: boolean } | undefined)?.booked === true;
        if (times !== Number(booked)) {
          wrong.push(`request ${client}.${n} was applied ${times} times`);
        }
      }
      return wrong;
    },
  };
}

/** Requests that reach several gateways at the same moment and read nothing before they write. */
export const sameRequestTwice: Workload = {
  name: "one request at several gateways",
  crowd: 300,
  prepare: nothing,
  work(_random, client, n): Work {
    return {
      readOnly: false,
      copies: 3,
      async body(s): Promise<unknown> {
        const row = await s.orders!.push({ request: `${client}.${n}` });
        return { id: row.id };
      },
    };
  },
  async anomalies(finished, gateways): Promise<readonly string[]> {
    const rows = await rowsOf(gateways, "orders");
    return finished.flatMap(({ client, n, answer }) => {
      const made = rows.filter((row) => row.request === `${client}.${n}`);
      const told = (answer?.value as { id: string } | undefined)?.id;
      if (made.length === 1 && made[0]!.id === told) return [];
      return [`request ${client}.${n} made ${made.length} orders and answered ${told}`];
    });
  },
};
