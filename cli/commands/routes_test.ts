/** `kontract routes` does what the compiler's hint says. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build } from "../../compiler/mod.ts";
import { makeApp } from "../../compiler/testing/app.ts";
import { runCommandLine } from "../command_line.ts";

const source = (name: string): string =>
  `import { backend } from "@kontract/kontract";
export const ${name} = backend({}, async (n: number): Promise<number> => await Promise.resolve(n));
`;

Deno.test("a renamed function keeps its number and a removed one leaves it behind", async () => {
  await using app = await makeApp({ "src/one.ts": source("one"), "src/two.ts": source("two") });
  const first = await build({ root: app.root, hosts: [] });
  const op = first.manifest!.routes.find((route) => route.name === "one")!.op;
  await app.write("src/one.ts", source("uno"));
  await app.write("src/two.ts", null);
  const asked = await build({ root: app.root, hosts: [] });
  assert.deepEqual(asked.diagnostics.map((one) => one.code), ["KT2007", "KT2007"]);

  assert.equal(await runCommandLine(["routes", "rename", "one", "uno", "--app", app.root]), 0);
  assert.equal(await runCommandLine(["routes", "remove", "two", "--app", app.root]), 0);
  const second = await build({ root: app.root, hosts: [] });
  assert.deepEqual(second.diagnostics, []);
  assert.deepEqual(second.manifest!.routes.map((route) => [route.name, route.op]), [["uno", op]]);
});

Deno.test("names that are not there and missing arguments change nothing", async () => {
  await using app = await makeApp({ "src/one.ts": source("one") });
  await build({ root: app.root, hosts: [] });
  const before = await app.read("kontract.lock.json");
  assert.equal(await runCommandLine(["routes", "remove", "none", "--app", app.root]), 1);
  assert.equal(await runCommandLine(["routes", "remove", "--app", app.root]), 2);
  assert.equal(await runCommandLine(["routes", "rename", "one", "--app", app.root]), 2);
  assert.equal(await runCommandLine(["routes", "list", "--app", join(app.root, "src")]), 1);
  assert.equal(await app.read("kontract.lock.json"), before);
});
