import assert from "node:assert/strict";
import { join } from "node:path";
import { makeApp } from "../../compiler/testing/app.ts";
import { CommandProcess } from "../testing/command_process.ts";

const SOURCE = `import { backend } from "@kontract/kontract";

/** Greets somebody. */
export const greet = backend({ egroup: "hall" }, (name: string) => Promise.resolve(name));
`;

Deno.test("kontract cookbook writes into the app's folder and leaves other folders alone", async () => {
  await using app = await makeApp({ "src/hall.ts": SOURCE, "notes/mine.md": "mine" });
  await using commands = new CommandProcess();
  const first = await commands.run(["cookbook", app.root], {});
  assert.equal(first.code, 0, first.stderr);
  assert.match(await app.read("docs/cookbook/functions/hall.md"), /Greets somebody\./);
  assert.match(first.stdout, /^app: 4 files in .*, 4 changed$/m);
  assert.match((await commands.run(["cookbook", app.root], {})).stdout, /, 0 changed$/m);

  const refused = await commands.run(["cookbook", app.root, "--out", "notes"], {});
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^CONFIG: .*holds something that is no cookbook/);
  assert.deepEqual([...Deno.readDirSync(join(app.root, "notes"))].map(({ name }) => name), [
    "mine.md",
  ]);

  await app.write("src/hall.ts", SOURCE.replace("Promise.resolve(name)", "Promise.resolve(nam)"));
  const broken = await commands.run(["cookbook", app.root], {});
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /KT1004/);
  assert.match(await app.read("docs/cookbook/functions/hall.md"), /Greets somebody\./);
});
