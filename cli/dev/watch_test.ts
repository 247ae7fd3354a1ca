/** What counts as a change of an app, and who hears of it. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { isSource, type Watching, watchSources } from "./watch.ts";

Deno.test("everything that a build is made from is a source, and nothing that it writes", () => {
  const seen = (path: string): boolean => isSource("/app", `/app/${path}`);
  for (
    const path of [
      "src/a.ts",
      "deno.json",
      "src/coverage/report.ts",
      "web/dist/logo.svg",
      "web/.well-known/security.txt",
    ]
  ) assert.equal(seen(path), true, path);
  for (
    const path of [
      "dist/deno/server.js",
      "coverage/lcov.info",
      "kontract.lock.json",
      ".kontract/types.d.ts",
      "web/.env",
      "web/.git/HEAD",
      "node_modules/a/b.js",
      "web/node_modules/a/b.js",
      "src/a.ts~",
      "src/.a.ts.swp",
      "../other/a.ts",
    ]
  ) assert.equal(seen(path), false, path);
});

/** Watches a folder with one file in it while `work` runs; `changed` is what `work` makes of it. */
async function watching(
  work: (
    file: string,
    watch: (changed: Watching["changed"], begun?: () => void) => void,
  ) => Promise<void>,
): Promise<void> {
  const root = await Deno.realPath(await Deno.makeTempDir());
  const file = join(root, "a.ts");
  await Deno.writeTextFile(file, "");
  const ending = new AbortController();
  let ended: Promise<void> = Promise.resolve();
  try {
    await work(file, (changed, begun = () => {}) => {
      ended = watchSources(
        root,
        { begun, changed, outside: () => [] },
        Date.now(),
        ending.signal,
      );
    });
  } finally {
    ending.abort();
    await ended;
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("who works on a file that is written again meanwhile is told that it was not whole, and asked again", async () => {
  await watching(async (file, watch) => {
    const read: string[] = [];
    const done = Promise.withResolvers<void>();
    let seen = Promise.withResolvers<void>();
    watch(async (isWhole) => {
      read.push(await Deno.readTextFile(file));
      if (read.length === 1) {
        seen = Promise.withResolvers();
        await Deno.writeTextFile(file, "whole");
        await seen.promise;
      }
      const whole = await isWhole();
      if (read.length === 1) assert.equal(whole, false);
      if (whole) done.resolve();
      return whole;
    }, () => seen.resolve());
    await Deno.writeTextFile(file, "ha");
    await done.promise;
    assert.equal(read.at(-1), "whole");
  });
});

Deno.test("who says that it was in vain is asked again, though nothing has changed since", async () => {
  await watching(async (file, watch) => {
    let asked = 0;
    const done = Promise.withResolvers<void>();
    watch((isWhole) => {
      if (++asked < 3) return Promise.resolve(false);
      return isWhole().finally(() => done.resolve());
    });
    await Deno.writeTextFile(file, "x");
    await done.promise;
    assert.ok(asked >= 3);
  });
});

Deno.test("what Deno writes into deno.lock for a build that asked it calls for no other build", async () => {
  await watching(async (file, watch) => {
    const lock = join(dirname(file), "deno.lock");
    const next = join(dirname(file), "next.ts");
    const begun: boolean[] = [];
    const done = Promise.withResolvers<void>();
    let wasAsked = false;
    watch(async (isWhole) => {
      const whole = await isWhole();
      if (!whole) return false;
      if (wasAsked) done.resolve();
      else {
        wasAsked = true;
        begun.length = 0;
        await Deno.writeTextFile(`${lock}.tmp`, "{}");
        await Deno.rename(`${lock}.tmp`, lock);
        // A watcher that takes it for a change says so meanwhile, before there is a next one.
        await new Promise((pass) => setTimeout(pass, 50));
        await Deno.writeTextFile(next, "");
      }
      return true;
    }, () => begun.push(existsSync(next)));
    await Deno.writeTextFile(file, "import");
    await done.promise;
    assert.equal(begun[0], true);
  });
});

Deno.test("a deno.lock that another has written calls for a build", async () => {
  await watching(async (file, watch) => {
    const done = Promise.withResolvers<void>();
    watch(async (isWhole) => {
      const whole = await isWhole();
      if (whole) done.resolve();
      return whole;
    });
    await Deno.writeTextFile(join(dirname(file), "deno.lock"), "{}");
    await done.promise;
  });
});
