/** The process that waits for the next build of `dev` on Deno: what it serves, and when it is not used. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { denoHost } from "./deno_host.ts";

const options = {
  sanitizeOps: false,
  sanitizeResources: false,
  ignore: Deno.build.os !== "linux",
};

/** A build's entry: tells its version, that of what it shares, and its process. */
const entry = (version: string): string =>
  `import { shared } from "./vendor/shared.js";
export default { fetch: () => Response.json({ version: "${version}", shared, pid: Deno.pid }) };
`;

/** What builds share; a process that waits for one notes itself. */
const shared = (version: string): string =>
  `export const shared = "${version}";
export const warmUp = (env) => env === undefined
  ? Deno.writeTextFile(Deno.env.get("NOTES"), Deno.pid + "\\n", { append: true })
  : Deno.writeTextFile(env("NOTES") + "_expected", String(Deno.pid));
`;

Deno.test(
  "an edit is served by the process that waited for it, and never stale",
  options,
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "kontract_standby_" });
    const deno = join(folder, "dist", "deno"), notes = join(folder, "notes");
    const write = (path: string, text: string): Promise<void> =>
      Deno.writeTextFile(join(deno, path), text);
    await Deno.mkdir(join(deno, "vendor"), { recursive: true });
    await write("server.js", entry("a"));
    await write("vendor/shared.js", shared("1"));
    await Deno.writeTextFile(notes, "");
    const host = denoHost({
      dist: join(folder, "dist"),
      state: join(folder, "state"),
      env: { NOTES: notes },
      outputs: () => new Map(),
      output: (stream) => void stream.pipeTo(new WritableStream()).catch(() => {}),
    });
    const ask = async (
      origin: string,
    ): Promise<{ readonly version: string; readonly shared: string; readonly pid: number }> =>
      await (await fetch(origin)).json();
    const waiting = async (nth: number): Promise<number> => {
      for (;;) {
        const pid = (await Deno.readTextFile(notes)).split("\n").slice(0, -1)[nth];
        if (pid !== undefined) return Number(pid);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    try {
      const first = await host.load();
      const { pid, ...before } = await ask(first);
      assert.deepEqual(before, { version: "a", shared: "1" });

      const next = await waiting(0);
      assert.notEqual(next, pid);
      await host.expect();
      assert.equal(await Deno.readTextFile(`${notes}_expected`), `${next}`);
      await write("server.js", entry("b"));
      const second = await host.load();
      assert.deepEqual(await ask(second), { version: "b", shared: "1", pid: next });

      const unfit = await waiting(1);
      await write("vendor/shared.js", shared("2"));
      const third = await host.load();
      const { pid: own, ...changed } = await ask(third);
      assert.deepEqual(changed, { version: "b", shared: "2" });
      assert.notEqual(own, unfit, "it had the old modules");
      // The first one ends.
      while (await fetch(first).then((response) => response.text(), () => null) !== null);

      await waiting(2);
      for (const bad of [`throw new Error("no good");\n`, "Deno.exit(3);\n"]) {
        await write("server.js", bad);
        await assert.rejects(
          host.load(),
          (error) => error instanceof KontractError && error.code === "BUILD_FAILED",
        );
      }
      assert.equal((await ask(third)).pid, own, "what ran before still runs");
      await write("server.js", entry("c"));
      const fourth = await host.load();
      assert.equal((await ask(fourth)).version, "c");
      await host.stop();
      for (const origin of [third, fourth]) await assert.rejects(fetch(origin));
      for (const one of [pid, next, unfit, own]) assert.throws(() => Deno.kill(one, "SIGCONT"));
    } finally {
      await host.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
);
