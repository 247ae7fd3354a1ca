/**
 * A process that builds an app again and again until it is killed: `build_again.ts <folder>`. Each time it
 * edits a function, so that there is something to write; one line of output for each build.
 *
 * @module
 */
import { join } from "node:path";
import { createBuilder, formatDiagnostics } from "../mod.ts";

const [root = "."] = Deno.args;
const file = join(root, "src", "route1.ts");
const text = await Deno.readTextFile(file);
for (let i = 0;; i++) {
  // By a rename, as editors do it: the other process never reads half of a file.
  const fresh = `${file}.${Deno.pid}.tmp`;
  await Deno.writeTextFile(fresh, i % 2 === 0 ? text : `${text}// ${Deno.pid} ${i}\n`);
  await Deno.rename(fresh, file);
  const { ok, diagnostics } = await createBuilder({ root, hosts: ["deno"] }).rebuild();
  console.log(ok ? "built" : `failed: ${formatDiagnostics(diagnostics)}`);
}
