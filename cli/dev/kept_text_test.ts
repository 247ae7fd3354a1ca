import assert from "node:assert/strict";
import { join } from "node:path";
import { keptText } from "./kept_text.ts";

Deno.test("who makes a kept text at the same moment gets the same one, whole", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kontract_kept_" });
  try {
    for (let round = 0; round < 50; round++) {
      const path = join(folder, `text${round}`);
      const made = await Promise.all(
        Array.from({ length: 8 }, (_, n) => keptText(path, () => `text of ${n}`)),
      );
      assert.equal(new Set(made).size, 1);
      assert.match(made[0]!, /^text of \d$/);
      assert.equal(await keptText(path, () => assert.fail("made twice")), made[0]);
      if (Deno.build.os !== "windows") assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    }
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    assert.ok(names.every((name) => /^text\d+$/.test(name)), "nothing half made is left");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
