/**
 * The budget of `kontract.json`: how many bytes a first call and the page may load. What is over it fails
 * the build, and is a warning in `kontract dev`.
 *
 * @module
 */
import type { Diagnostic, Diagnostics } from "./diagnostic.ts";
import type { BuildReport, LoadSize } from "./size_report.ts";

/** Bytes after gzip, as `"budget"` in `kontract.json` sets them. */
export interface SizeBudget {
  /** What a route may load on its first call. */
  readonly route?: number;
  /** What the front end's script may load before it runs. */
  readonly frontEnd?: number;
}

/** Adds a problem for whatever is over its budget. */
export function checkBudget(
  budget: SizeBudget,
  { routes, frontEnd }: Pick<BuildReport, "routes" | "frontEnd">,
  diagnostics: Diagnostics,
  severity: Diagnostic["severity"],
): void {
  const over = (what: string, load: LoadSize | null, limit: number | undefined): void => {
    if (load === null || limit === undefined || load.gzip <= limit) return;
    const largest = load.files.slice(0, 3).map((one) => `${one.file}  ${bytes(one.gzip)}`);
    diagnostics.add({
      code: "KT7002",
      severity,
      message: `${what} ${bytes(load.gzip)} after gzip (${bytes(load.minified)} minified); ` +
        `the budget in kontract.json is ${bytes(limit)}.`,
      hint:
        `Move what is seldom needed behind 'await import(…)', or raise the budget. The largest:\n${
          largest.join("\n")
        }`,
    });
  };
  // Routes of one module load the same: one message for all of them.
  const byFile = Map.groupBy(routes, ({ file }) => file);
  for (const [, same] of byFile) {
    const names = same.map(({ name }) => `'${name}'`);
    const shown = names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} more`] : names;
    const subject = shown.length === 1
      ? `The first call of ${shown[0]}`
      : `The first call of each of ${shown.join(", ")}`;
    over(`${subject} loads`, same[0]!.load, budget.route);
  }
  over("The front end's script loads", frontEnd, budget.frontEnd);
}

/** `12345` → `12,345 bytes`. */
export function bytes(count: number): string {
  return `${String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ",")} bytes`;
}

/** `"budget"` of `kontract.json`; null where there is none, or where it is wrong. */
export function parseBudget(value: unknown, diagnostics: Diagnostics): SizeBudget | null {
  if (value === undefined) return null;
  const known = ["route", "frontEnd"];
  const plain = typeof value === "object" && value !== null && !Array.isArray(value);
  const entries = plain ? Object.entries(value) : [];
  const fits = ([key, limit]: [string, unknown]): boolean =>
    known.includes(key) && typeof limit === "number" && Number.isInteger(limit) && limit > 0;
  if (plain && entries.length > 0 && entries.every(fits)) return value as SizeBudget;
  diagnostics.add({
    code: "KT1001",
    severity: "error",
    message: `'budget' in kontract.json must hold whole numbers of bytes: current value is ${
      JSON.stringify(value)
    }.`,
    hint: '"budget": { "route": 50000, "frontEnd": 40000 }  (after gzip; either may be left out)',
  });
  return null;
}
