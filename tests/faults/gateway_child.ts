/**
 * A gateway process to be killed: several lanes of requests, each acknowledged on standard output as
 * `lane reqno` after its commit has returned, and no sooner.
 *
 * Standard input: one line of JSON, {@link ChildInput}.
 *
 * @module
 */
import type { StorageEngine, StorageSession } from "../../storage/contract.ts";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { call, field, number, run, string, table } from "../../storage/testing/tables.ts";

/** What the child is told. */
export interface ChildInput {
  readonly gatewayUrl: string;
  readonly session: StorageSession;
}

/** Lanes of the child. */
export const LANES = 6;

/** Tables of the child: each request changes both. */
export const CHILD_TABLES = [
  table("counters", [field("value", number)]),
  table("marks", [field("request", string)]),
];

/** Request `reqno` of a lane: adds one to a counter and leaves a mark. */
export async function request(
  engine: StorageEngine,
  session: StorageSession,
  lane: number,
  reqno: number,
): Promise<boolean> {
  const effect = { lane: `lane${lane}`, reqno: BigInt(reqno) };
  const { outcome } = await run(engine, call(session, { effect, retry: 1000 }), async (s) => {
    const id = `c${(lane + reqno) % 3}`;
    const row = await s.counters!.get(id);
    await s.counters!.set(id, { value: Number(row?.value ?? 0) + 1 });
    await s.marks!.push({ request: `${lane} ${reqno}` });
  });
  return outcome.replayed;
}

async function main(): Promise<void> {
  const { gatewayUrl, session }: ChildInput = JSON.parse(
    await new Response(Deno.stdin.readable).text(),
  );
  const database = postgresDatabase({ url: gatewayUrl, max: 4 });
  const engine = storageEngine({ database, tables: CHILD_TABLES });
  const lane = async (number: number): Promise<never> => {
    for (let reqno = 0;; reqno++) {
      await request(engine, session, number, reqno);
      Deno.stdout.writeSync(new TextEncoder().encode(`${number} ${reqno}\n`));
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, i) => lane(i)));
}

if (import.meta.main) await main();
