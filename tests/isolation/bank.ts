/**
 * A bank under load: transfers with a ledger, audits by predicate, uniform or with most of the traffic on
 * two accounts.
 *
 * @module
 */
import type { Random } from "../../_internal/testing/random.ts";
import type { AnyStorage } from "../../storage/testing/tables.ts";
import type { Work } from "./load.ts";
import { rowsOf, type Workload, write } from "./workloads.ts";

const ACCOUNTS = 10;
const OPENING = 100;

/** Transfers with a ledger; the sum never changes, and ledger and balances tell the same. */
export function bank(skew: "uniform" | "skewed"): Workload {
  const account = (random: Random): string =>
    `${skew}${
      skew === "skewed" && random.below(10) < 8 ? random.below(2) : random.below(ACCOUNTS)
    }`;
  const isOurs = (row: Record<string, unknown>): boolean => String(row.id).startsWith(skew);
  const total = async (s: AnyStorage): Promise<number> =>
    (await s.accounts!.query({ id: { prefix: skew } }))
      .reduce((sum, row) => sum + Number(row.balance), 0);
  return {
    name: `bank (${skew})`,
    crowd: skew === "skewed" ? 40 : 300,
    prepare: (gateways) =>
      write(gateways, async (s) => {
        for (let i = 0; i < ACCOUNTS; i++) {
          await s.accounts!.set(`${skew}${i}`, { balance: OPENING });
        }
      }),
    work(random, client, n): Work {
      const kind = random.below(10);
      if (kind === 0) return { readOnly: true, body: async (s) => ({ total: await total(s) }) };
      if (kind === 1) {
        return {
          readOnly: false,
          async body(s): Promise<unknown> {
            const sum = await total(s);
            await s.audits!.push({ total: sum });
            return { total: sum };
          },
        };
      }
      const [from, to] = [account(random), account(random)];
      const amount = 1 + random.below(30);
      return {
        readOnly: false,
        async body(s): Promise<unknown> {
          const [a, b] = await s.accounts!.getMany([from, to]);
          if (from !== to && Number(a!.balance) >= amount) {
            await s.accounts!.update(from, { balance: Number(a!.balance) - amount });
            await s.accounts!.update(to, { balance: Number(b!.balance) + amount });
            await s.ledger!.push({ request: `${skew}.${client}.${n}`, from, to, amount });
            return { moved: true };
          }
          return { moved: false };
        },
      };
    },
    async anomalies(finished, gateways): Promise<readonly string[]> {
      const wrong: string[] = [];
      const balances = new Map(
        (await rowsOf(gateways, "accounts")).filter(isOurs).map((
          row,
        ) => [String(row.id), Number(row.balance)]),
      );
      const due = new Map([...balances.keys()].map((id) => [id, OPENING]));
      const moved = new Map<string, number>();
      for (const row of await rowsOf(gateways, "ledger")) {
        if (!String(row.from).startsWith(skew)) continue;
        due.set(String(row.from), due.get(String(row.from))! - Number(row.amount));
        due.set(String(row.to), due.get(String(row.to))! + Number(row.amount));
        moved.set(String(row.request), (moved.get(String(row.request)) ?? 0) + 1);
      }
      for (const [id, balance] of balances) {
        if (balance < 0) wrong.push(`${id} is overdrawn: ${balance}`);
        if (balance !== due.get(id)) {
          wrong.push(`${id} has ${balance}, its ledger says ${due.get(id)}`);
        }
      }
      for (const { client, n, answer } of finished) {
        const value = answer?.value as { total?: number; moved?: boolean } | undefined;
        const times = moved.get(`${skew}.${client}.${n}`) ?? 0;
        if (times !== (value?.moved === true ? 1 : 0)) {
          wrong.push(
            `request ${client}.${n} was applied ${times} times, its answer is ${
              JSON.stringify(value)
            }`,
          );
        }
        if (value?.total !== undefined && value.total !== ACCOUNTS * OPENING) {
          wrong.push(`request ${client}.${n} saw a sum of ${value.total}`);
        }
      }
      return wrong;
    },
  };
}
