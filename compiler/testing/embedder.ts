/**
 * A program that has nothing of Kontract's but its compiler, as others would write it. It builds what its
 * arguments name and says at the end what it got, as JSON: anything else that is printed is the compiler's.
 *
 * @module
 */
import {
  build,
  type BuildResult,
  check,
  createBuilder,
  formatDiagnostics,
  stopBundler,
} from "@kontract/kontract/compiler";
import { basename, dirname } from "node:path";

const [good = "", bad = "", sealed = ""] = Deno.args;
const plain = ({ ok, diagnostics, files, manifest, outside }: BuildResult) => ({
  ok,
  diagnostics,
  files: files.length,
  routes: manifest?.routes.map(({ name }) => name) ?? [],
  outside: outside.length,
});

Deno.chdir(dirname(good));
const relative = createBuilder({ root: basename(good), hosts: ["deno"], outDir: "out" });
Deno.chdir("/");
const said: Record<string, unknown> = {};
[said.good, said.bad, said.relative] = await Promise.all([
  build({ root: good, hosts: ["deno"], outDir: "own" }).then(plain),
  build({ root: bad, hosts: ["deno"] }).then(plain),
  relative.rebuild().then(plain),
]);
said.checked = plain(await check(bad));
said.sealed = plain(await build({ root: sealed, hosts: ["deno"] }));
const text = formatDiagnostics(
  (said.bad as { diagnostics: BuildResult["diagnostics"] }).diagnostics,
);
said.text = text;

const ending = new AbortController();
const aborted = createBuilder({
  root: good,
  hosts: ["deno"],
  outDir: "never",
  signal: ending.signal,
});
const running = aborted.rebuild();
ending.abort(new DOMException("enough", "AbortError"));
const reasons = await Promise.allSettled([running, aborted.rebuild()]);
said.aborted = reasons.map((one) => one.status === "rejected" ? String(one.reason) : "built");
await stopBundler();
console.log(JSON.stringify(said));
