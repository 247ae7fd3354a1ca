/**
 * Interleaved rounds: contenders take turns for a short time each, over and over, so that whatever else
 * the machine does meets all of them alike. Ratios are medians of the rounds' ratios.
 *
 * @module
 */

/** Something that is done over and over. */
export interface Contender {
  readonly name: string;
  /** One unit of work of a client. */
  readonly work: (client: number, n: number) => Promise<unknown>;
}

/** Figures of a contender. */
export interface Result {
  readonly name: string;
  /** Units per second, median of rounds. */
  readonly rate: number;
  /** Times the first contender's rate, median of rounds. */
  readonly ratio: number;
}

/** How to measure. */
export interface RoundOptions {
  readonly clients: number;
  readonly rounds?: number;
  /** Milliseconds of one turn. */
  readonly turn?: number;
}

/** Measures contenders against the first of them. */
export async function compareRates(
  contenders: readonly Contender[],
  options: RoundOptions,
): Promise<readonly Result[]> {
  const { clients, rounds = 7, turn = 500 } = options;
  const rates = contenders.map((): number[] => []);
  // Compiled code, cached plans and statistics take their time.
  for (const { work } of contenders) await takeTurn(work, clients, 3 * turn);
  for (let round = 0; round < rounds; round++) {
    for (const [i, { work }] of contenders.entries()) {
      rates[i]!.push(await takeTurn(work, clients, turn));
    }
  }
  return contenders.map(({ name }, i) => ({
    name,
    rate: median(rates[i]!),
    ratio: median(rates[i]!.map((rate, round) => rate / rates[0]![round]!)),
  }));
}

/** Units per second. */
async function takeTurn(work: Contender["work"], clients: number, turn: number): Promise<number> {
  const began = performance.now();
  let done = 0;
  await Promise.all(Array.from({ length: clients }, async (_, client) => {
    for (let n = 0; performance.now() - began < turn; n++) {
      await work(client, n);
      done++;
    }
  }));
  return done / (performance.now() - began) * 1000;
}

/** The middle one. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Prints figures under a heading. */
export function printResults(heading: string, results: readonly Result[]): void {
  console.log(`\n${heading}`);
  for (const { name, rate, ratio } of results) {
    console.log(
      `  ${name.padEnd(44)} ${rate.toFixed(0).padStart(7)}/s  ${
        (1000 / rate).toFixed(3).padStart(7)
      } ms  ` +
        `${ratio.toFixed(2).padStart(5)}x`,
    );
  }
}

/** Prints whether a goal is met. */
export function printGoal(
  text: string,
  value: number,
  goal: number,
  better: "most" | "least",
): void {
  const met = better === "most" ? value <= goal : value >= goal;
  const sign = better === "most" ? "at most" : "at least";
  console.log(`  ${met ? "met   " : "MISSED"} ${text}: ${value.toFixed(2)}, goal ${sign} ${goal}`);
}
