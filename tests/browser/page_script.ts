/**
 * The script of a test's page, bundled as a browser needs it.
 *
 * @module
 */
import type { Page } from "playwright-core";
import { bundleModule } from "../../protocol/testing/browser_bundle.ts";
import { coverageFolder, LineCounters, PASSED } from "../line_coverage/line_counters.ts";

/** A bundled script. */
export interface PageScript {
  /** Text by path; `/entry.js` is what the page loads. */
  readonly files: ReadonlyMap<string, string>;
  /** Adds what has run in a page to the run's coverage, where one is measured. */
  saveCoverage(page: Page): Promise<void>;
}

/** Bundles a module, named from the repository's root. */
export async function bundlePage(entry: string): Promise<PageScript> {
  const folder = coverageFolder();
  const counters = folder === null ? null : new LineCounters();
  const { outputFiles } = await bundleModule(entry, {}, counters);
  return {
    files: new Map(outputFiles.map(({ path, text }) => [path.replace("/out", ""), text])),
    async saveCoverage(page): Promise<void> {
      if (folder === null) return;
      await counters?.save(folder, await page.evaluate<number[]>(`[...globalThis.${PASSED}]`));
    },
  };
}
