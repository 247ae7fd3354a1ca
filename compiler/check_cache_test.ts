/** What is kept between processes is what was written, or nothing. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { CheckCache } from "./check_cache.ts";

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
    await cache.save(() => true);
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
