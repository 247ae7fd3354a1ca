import assert from "node:assert/strict";
import { join } from "node:path";
import { DevFile, readDevInfo } from "./dev_file.ts";

async function inFolder(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kontract_lock_" });
  try {
    await work(join(folder, "dev.json"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("of several that ask for a folder at once, one gets it, whatever was left in it", async () => {
  const left = [null, "", "{", '{"pid":1,"started":"another time"}'];
  for (let round = 0; round < 40; round++) {
    await inFolder(async (path) => {
      const text = left[round % left.length]!;
      if (text !== null) await Deno.writeTextFile(path, text);
      const asked = await Promise.allSettled(Array.from({ length: 4 }, () => DevFile.claim(path)));
      const got = asked.filter((one) => one.status === "fulfilled");
      assert.equal(got.length, 1);
      for (const one of asked) {
        if (one.status === "rejected") assert.equal(one.reason.code, "CONFIG");
      }
      await got[0]!.value.release();
      await (await DevFile.claim(path)).release();
    });
  }
});

Deno.test("a folder is told where it is used, and what is said of it ends with its user", async () => {
  await inFolder(async (path) => {
    const info = { url: "http://127.0.0.1:1", databaseUrl: "a", databaseAdminUrl: "b" };
    const file = await DevFile.claim(path);
    assert.equal(await readDevInfo(path), null);
    await file.publish(info);
    assert.deepEqual(await readDevInfo(path), info);
    await assert.rejects(DevFile.claim(path), {
      code: "CONFIG",
      message: `This app runs already at ${info.url} (process ${Deno.pid}). Stop that one first.`,
    });
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    }
    await file.release();
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  });
});
