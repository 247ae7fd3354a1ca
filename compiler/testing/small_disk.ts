/**
 * A build on a disk that is full, and on one that cannot be written: run in a mount namespace of its own,
 * where it may mount what it likes. Prints what each build said, as lines of JSON, and then two checks on the latter.
 *
 * @module
 */
import { join } from "node:path";
import { digest } from "../digest.ts";
import { build, check, formatDiagnostics } from "../mod.ts";
import { listFiles } from "../project.ts";
import { makeApp } from "./app.ts";

const SOURCE = `import { backend } from "@kontract/kontract";
export const fine = backend({}, () => Promise.resolve(1));
`;

async function mount(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("mount", { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** What a folder holds, as one text. */
async function state(folder: string): Promise<string> {
  const files = await listFiles(folder);
  const texts = files.map((file) => [file, Deno.readTextFileSync(file)]);
  return digest(texts.flat(), 16);
}

async function report(what: string, root: string): Promise<void> {
  const { ok, diagnostics } = await build({ root, hosts: ["deno"] });
  const dist = await state(join(root, "dist"));
  const lock = await Deno.readTextFile(join(root, "kontract.lock.json")).catch(() => null);
  const beside = [...Deno.readDirSync(root)].map(({ name }) => name).sort();
  const text = formatDiagnostics(diagnostics);
  console.log(JSON.stringify({ what, ok, text, dist, lock, beside }));
}

if (import.meta.main) {
  const folder = Deno.args[0]!;
  await mount("-t", "tmpfs", "-o", "size=24m", "none", folder);
  Deno.env.set("TMPDIR", folder);
  const app = await makeApp({ "src/a.ts": SOURCE });
  await report("room", app.root);
  await app.write("src/b.ts", SOURCE.replace("fine", "more"));
  const ballast = await Deno.open(join(folder, "ballast"), { create: true, write: true });
  try {
    for (;;) await ballast.write(new Uint8Array(65_536));
  } catch {
    // Full. A little room is given back, so that the build fails in the middle of its output.
    await Deno.truncate(join(folder, "ballast"), (await ballast.stat()).size - 400_000);
  }
  await report("full", app.root);
  ballast.close();
  await Deno.remove(join(folder, "ballast"));
  // Nothing was ever built or checked there.
  const fresh = await makeApp({ "src/a.ts": SOURCE });
  await mount("-o", "remount,ro", folder);
  await report("read only", app.root);
  Deno.env.delete("TMPDIR");
  for (const { root } of [app, fresh]) {
    const { ok, diagnostics } = await check(root);
    console.log(JSON.stringify({ ok, text: formatDiagnostics(diagnostics) }));
  }
}
