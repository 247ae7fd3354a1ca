/** What is kept between processes is what was written, or nothing. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { CheckCache } from "./check_cache.ts";
import { check } from "./mod.ts";
import { makeApp, type TestApp } from "./testing/app.ts";

Deno.test("a cache that is cut off, changed or of another key counts as nothing", async () => {
  const root = await Deno.makeTempDir();
  const file = join(root, "src", "a.ts");
  const path = join(root, ".kontract", "checked.json");
  const finds = async (key: string): Promise<boolean> => {
    const cache = new CheckCache();
    await cache.load(root);
    let found = false;
    cache.problems(file, key, () => {
      found = true;
      return [];
    });
    await cache.save();
    return found;
  };
  try {
    assert.equal(await finds("k1"), true);
    const text = await Deno.readTextFile(path);
    assert.equal(await finds("k1"), false);
    assert.equal(await finds("k2"), true);
    for (const broken of [text.slice(0, -10), text.replace("[]", "[{}]"), "", "x\ny", "\n"]) {
      await Deno.writeTextFile(path, broken);
      assert.equal(await finds("k1"), true, JSON.stringify(broken));
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

const USE = `import { backend } from "@kontract/kontract";
import { drop } from "#a";
import type {} from "#b";
export const go = backend({}, async (): Promise<void> => await Promise.resolve(drop("x")));
`;

/** Codes of what is wrong, with the package's imports and `more`. */
async function codes(app: TestApp, more: Readonly<Record<string, string>>): Promise<string> {
  const config = JSON.parse(await app.read("deno.json"));
  const imports = Object.entries(config.imports).filter(([name]) => !name.startsWith("#"));
  await app.write(
    "deno.json",
    JSON.stringify({ ...config, imports: { ...Object.fromEntries(imports), ...more } }),
  );
  const { diagnostics } = await check(app.root);
  return diagnostics.map(({ code, span }) => `${code} ${span?.file}`).join();
}

Deno.test("a file whose text is the same is looked at again where deno.json leads its imports elsewhere", async () => {
  await using app = await makeApp({
    "src/use.ts": USE,
    "lib/one.ts": `export const drop = (_: string): void => {};\n`,
    "lib/two.ts": `export const drop = (_: number): void => {};\n`,
  });
  const [one, two] = ["./lib/one.ts", "./lib/two.ts"];
  assert.equal(await codes(app, { "#a": one, "#b": two }), "");
  assert.equal(await codes(app, { "#a": two, "#b": one }), "KT1004 src/use.ts");
  assert.equal(await codes(app, { "#b": one, "#c": two }), "KT1002 src/use.ts");
  assert.equal(await codes(app, { "#a": one, "#b": two }), "");
});
