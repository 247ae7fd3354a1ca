/**
 * What an app prints is seen, and printing a lot never stops it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { TemporaryApp } from "../testing/temporary_app.ts";
import { HOST_NAMES } from "./host.ts";

const LINES = 400;

const NOTES = `import { backend, perms } from "@kontract/kontract";

/** Says a lot on both outputs. */
export const chatty = backend({ perm: perms.R__ }, (word: string): Promise<number> => {
  for (let i = 0; i < ${LINES}; i++) {
    console.log(word + " said " + "o".repeat(1000));
    console.error(word + " cried " + "e".repeat(1000));
  }
  return Promise.resolve(${LINES});
});

/** Takes its time. */
export const slow = backend({ perm: perms.R__ }, async (ms: number): Promise<number> => {
  await new Promise((done) => setTimeout(done, ms));
  return ms;
});
`;

for (const host of HOST_NAMES) {
  Deno.test(
    `an app on ${host} may print more than a pipe holds, and all of it is seen`,
    { sanitizeOps: false, sanitizeResources: false, ignore: Deno.build.os !== "linux" },
    async () => {
      await using app = await TemporaryApp.create([], { "src/notes.ts": NOTES });
      const child = app.spawn("start", { host, stdout: "piped", stderr: "piped" });
      const said = Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      const { url } = await app.info(child);
      for (const word of ["first", "second"]) {
        assert.equal(await app.call(url, "chatty", [word]), LINES);
      }
      assert.equal(await app.call(url, "slow", [200]), 200);
      child.kill("SIGTERM");
      await app.quiet();
      const all = (await said).join("\n");
      for (const mark of ["first said", "first cried", "second said", "second cried"]) {
        assert.equal(all.split(mark).length - 1, LINES, mark);
      }
      assert.doesNotMatch(all, /request\.signal/, "the host's own words");
    },
  );
}
