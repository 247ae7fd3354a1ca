/**
 * One analysis of an app's server, for tests.
 *
 * @module
 */
import { type Analysis, AnalysisCache, analyze } from "../analysis.ts";
import { Diagnostics } from "../diagnostic.ts";

/** What is found in the app at `root`, and what is wrong with it; `cache` where it is analyzed again and again. */
export async function analyzed(
  root: string,
  cache: AnalysisCache = new AnalysisCache(),
): Promise<{ readonly analysis: Analysis | null; readonly diagnostics: Diagnostics }> {
  const diagnostics = new Diagnostics();
  const analysis = await analyze({
    root,
    hosts: [],
    cache,
    diagnostics,
    checkAll: false,
    time: (_stage, work) => work(),
  });
  return { analysis, diagnostics };
}
