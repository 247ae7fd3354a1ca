/** Exact answers of the compiler to small programs: errors as a person reads them, shapes as data. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Manifest } from "../_internal/manifest.ts";
import { AnalysisCache } from "./analysis.ts";
import { formatDiagnostics } from "./diagnostic.ts";
import { clientTypes } from "./emit/client.ts";
import { analyzed } from "./testing/analyzed.ts";
import { makeApp } from "./testing/app.ts";
import { goldenCases, updateGolden } from "./testing/golden.ts";

const cache = new AnalysisCache();

async function answer(
  files: Readonly<Record<string, string>>,
): Promise<{ readonly text: string; readonly manifest: Manifest | undefined }> {
  await using app = await makeApp(files);
  const { analysis: found, diagnostics } = await analyzed(app.root, cache);
  return { text: formatDiagnostics(diagnostics.list()), manifest: found?.manifest };
}

function compare(
  one: Parameters<typeof updateGolden>[0],
  actual: string,
): void {
  if (Deno.env.get("UPDATE_GOLDEN") !== undefined) updateGolden(one, actual);
  else assert.equal(actual, one.expected, one.path);
}

for (const one of goldenCases("errors")) {
  Deno.test(`the compiler explains: ${one.name}`, async () => {
    const { text } = await answer(one.files);
    assert.notEqual(text, "", "a case of this folder has an error");
    compare(one, text);
  });
}

for (const one of goldenCases("shapes")) {
  Deno.test(`the compiler understands: ${one.name}`, async () => {
    const { text, manifest } = await answer(one.files);
    assert.equal(text, "", join("errors in", one.path));
    assert.ok(manifest !== undefined);
    const { types, routes, tables, errors } = manifest;
    const plain = routes.map((
      { name, op, export: from, meta, parameters, result, doc, middleware, throws },
    ) => ({
      name,
      op,
      from,
      meta,
      parameters,
      result,
      doc,
      middleware,
      ...(throws.length === 0 ? {} : { throws }),
    }));
    const lines = [
      ...plain.map((route) => `route ${JSON.stringify(route)}`),
      ...errors.map((error) => `error ${JSON.stringify(error)}`),
      ...tables.map((table) => `table ${JSON.stringify(table)}`),
      ...manifest.execs.map((exec) => `exec ${JSON.stringify(exec)}`),
      ...Object.entries(types).map(([name, shape]) => `type ${name} ${JSON.stringify(shape)}`),
      "client.d.ts",
      clientTypes(manifest).split("\n").slice(2).join("\n"),
    ];
    compare(one, lines.join("\n"));
  });
}
