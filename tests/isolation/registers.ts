/**
 * Pairs of rows that are written blindly, under load: both rows of a pair hold what one call wrote, and what was
 * overwritten does not come back.
 *
 * @module
 */
import type { Finished } from "./load.ts";
import { rowsOf, type Workload } from "./workloads.ts";

const PAIRS = 3;
const nothing = (): Promise<void> => Promise.resolve();

/** What one request saw of a pair, or wrote to it; null is no row. */
interface Seen {
  readonly pair: number;
  readonly kind: "read" | "write";
  readonly values: readonly (number | null)[];
}

/** Writers that set a pair, or now and then delete it, and readers that look at one. */
export function registers(name: string): Workload {
  return {
    name: `blind writes (${name})`,
    crowd: 100,
    prepare: nothing,
    work(random, client, n) {
      const pair = random.below(PAIRS);
      const keys = keysOf(name, pair);
      if (random.oneIn(3)) {
        return {
          readOnly: true,
          async body(s): Promise<Seen> {
            const values = [];
            for (const key of keys) {
              values.push(((await s.registers!.get(key))?.value ?? null) as number | null);
            }
            return { pair, kind: "read", values };
          },
        };
      }
      const value = random.oneIn(8) ? null : client * 1000 + n;
      return {
        readOnly: false,
        copies: random.oneIn(3) ? 2 : 1,
        async body(s): Promise<Seen> {
          for (const key of keys) {
            if (value === null) await s.registers!.delete(key);
            else await s.registers!.set(key, { value });
          }
          return { pair, kind: "write", values: [value, value] };
        },
      };
    },
    async anomalies(finished, gateways): Promise<readonly string[]> {
      const rows = new Map(
        (await rowsOf(gateways, "registers")).map(({ id, value }) => [id, value]),
      );
      const last = Array.from({ length: PAIRS }, (_, pair): Look => ({
        who: "the end",
        pair,
        values: keysOf(name, pair).map((key) => (rows.get(key) ?? null) as number | null),
        began: Infinity,
      }));
      const looks = finished.flatMap((call) => {
        const seen = seenBy(call);
        return seen?.kind === "read"
          ? [{ ...seen, who: `request ${call.client}.${call.n}`, began: call.began }]
          : [];
      });
      return [...looks, ...last].flatMap((look) => wrongWith(look, finished));
    },
  };
}

function keysOf(name: string, pair: number): readonly string[] {
  return ["a", "b"].map((row) => `${name}${pair}${row}`);
}

interface Look {
  readonly who: string;
  readonly pair: number;
  readonly values: readonly (number | null)[];
  readonly began: number;
}

function wrongWith({ who, pair, values, began }: Look, finished: readonly Finished[]): string[] {
  const [value, other] = values;
  if (value !== other) return [`${who} saw ${value} and ${other} in pair ${pair}`];
  if (value === null) return [];
  const writes = finished.filter((call) => {
    const seen = seenBy(call);
    return seen?.kind === "write" && seen.pair === pair;
  });
  const written = writes.find((call) => seenBy(call)!.values[0] === value);
  if (written === undefined) return [`${who} saw ${value} in pair ${pair}, which nobody wrote`];
  const later = writes.find((call) => call.began > written.ended && call.ended < began);
  return later === undefined
    ? []
    : [`${who} saw ${value} in pair ${pair}, which ${later.client}.${later.n} had overwritten`];
}

function seenBy({ answer }: Finished): Seen | undefined {
  return answer?.value as Seen | undefined;
}
