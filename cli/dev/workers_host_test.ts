/** The workerd process that waits for the next build of `dev`: what it serves, and when it is not used. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { until } from "../../tests/until.ts";
import { workersHost } from "./workers_host.ts";

const options = {
  sanitizeOps: false,
  sanitizeResources: false,
  ignore: Deno.build.os !== "linux",
};

const ENTRY = `import app from "./chunks/app.js";
export { SessionDO, KvcDO, ChangeHubDO, DbPoolDO } from "./vendor/shared.js";
export default app;
`;

/**
 * The app: tells its version, that of what it shares, the lazy module's, how often its object was asked, and how many
 * gateways were made before.
 */
const app = (version: string): string =>
  `import { gateways, isWarm, shared } from "../vendor/shared.js";
export default {
  async fetch(request, env) {
    const { lazy } = await import("../app/später geladen.js");
    const object = env.SESSION.get(env.SESSION.idFromName("one"));
    const asked = await (await object.fetch("http://object/")).json();
    return Response.json({ version: "${version}", shared, lazy, asked, warm: isWarm(), gateways: gateways() });
  },
  async scheduled(event, env) {
    await import("../app/clock.js");
    await env.SESSION.get(env.SESSION.idFromName("one")).fetch("http://object/");
  },
};
`;

/** What builds share; each process that loads it says so. */
const shared = (version: string): string =>
  `export const shared = "${version}";
console.log("loaded ${version}");
let warm = false;
export const warmUp = (env) => import("../vendor/late.js").then(() => (warm = env?.SESSION ? "asked" : true));
export const isWarm = () => warm;
let made = 0;
export const prepareGateway = (env) => (made += env.SESSION ? 1 : 0);
export const gateways = () => made;
export class SessionDO {
  constructor(state) {
    this.storage = state.storage;
  }
  async fetch() {
    const asked = (await this.storage.get("asked") ?? 0) + 1;
    await this.storage.put("asked", asked);
    return Response.json(asked);
  }
}
export class KvcDO {}
export class ChangeHubDO {}
export class DbPoolDO {}
`;

const lazy = (version: string): string => `export const lazy = "${version}";\n`;

Deno.test(
  "an edit is served by the workerd that waited for it, with the objects' data and a gateway, and never stale",
  options,
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "kontract_standby_" });
    let outputs: ReadonlyMap<string, string> = new Map();
    const write = (path: string, text: string): void => {
      outputs = new Map([...outputs, [`worker/${path}`, text]]);
    };
    let printed = "";
    const loads = (version: string): number => printed.split(`loaded ${version}`).length - 1;
    write("worker.js", ENTRY);
    write("chunks/app.js", app("a"));
    write("vendor/shared.js", shared("1"));
    write("vendor/late.js", "export {};\n");
    write("app/später geladen.js", lazy("x"));
    write("app/clock.js", "export {};\n");
    const host = workersHost({
      dist: join(folder, "dist"),
      state: join(folder, "state"),
      env: {},
      outputs: () => outputs,
      output: (stream) =>
        void stream.pipeTo(
          new WritableStream({
            write(chunk): void {
              printed += new TextDecoder().decode(chunk);
            },
          }),
        ).catch(() => {}),
    });
    const ask = async (origin: string): Promise<unknown> => await (await fetch(origin)).json();
    try {
      const first = await host.load();
      write("app/später geladen.js", lazy("y"));
      assert.deepEqual(
        await ask(first),
        { version: "a", shared: "1", lazy: "x", asked: 1, warm: false, gateways: 1 },
        "a module that is imported late is of the same build",
      );

      await until(() => loads("1") === 2);
      write("chunks/app.js", app("b"));
      await host.expect();
      const second = await host.load();
      assert.deepEqual(await ask(second), {
        version: "b",
        shared: "1",
        lazy: "y",
        asked: 2,
        warm: "asked",
        gateways: 1,
      });
      await assert.rejects(fetch(first), "two processes have the same objects");

      await until(() => loads("1") === 3);
      write("vendor/shared.js", shared("2"));
      const third = await host.load();
      assert.deepEqual(await ask(third), {
        version: "b",
        shared: "2",
        lazy: "y",
        asked: 3,
        warm: false,
        gateways: 1,
      });

      await until(() => loads("2") === 2);
      for (
        const bad of [
          `throw new Error("no good");\nexport default {};\n`,
          `import "./missing.js";\n`,
          "let = {;\n",
        ]
      ) {
        write("chunks/app.js", bad);
        await assert.rejects(
          host.load(),
          (error) => error instanceof KontractError && error.code === "BUILD_FAILED",
        );
      }
      await until(() => /Error: no good\n +at file:\S+\/chunks\/app\.js:1:7/.test(printed));
      write("chunks/app.js", app("c"));
      const fourth = await host.load();
      assert.deepEqual(await ask(fourth), {
        version: "c",
        shared: "2",
        lazy: "y",
        asked: 4,
        warm: false,
        gateways: 1,
      });
      await host.scheduled?.();
      assert.equal(
        (await ask(fourth) as { asked: number }).asked,
        6,
        "the clock reached the app, which loads a module for it",
      );
      await host.stop();
      assert.equal(loads("1"), 3, "no process but those that waited, and the first");
      for (const origin of [third, fourth]) await assert.rejects(fetch(origin));
    } finally {
      await host.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
);

Deno.test(
  "where the package's modules lead back into the app, no workerd is started ahead of its build",
  options,
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "kontract_standby_" });
    const outputs = new Map<string, string>();
    const write = (path: string, text: string): unknown => outputs.set(`worker/${path}`, text);
    write("worker.js", ENTRY);
    write(
      "chunks/app.js",
      `import { shared } from "../vendor/shared.js";
export default { fetch: () => new Response(shared) };
`,
    );
    const back = shared("").replace(`"";`, `own;\nimport { own } from "../app/own.js";`);
    write("vendor/shared.js", back);
    write("app/own.js", `export const own = "a";\n`);
    const host = workersHost({
      dist: join(folder, "dist"),
      state: join(folder, "state"),
      env: {},
      outputs: () => outputs,
      output: (stream) => void stream.pipeTo(new WritableStream()).catch(() => {}),
    });
    try {
      assert.equal(await (await fetch(await host.load())).text(), "a");
      // Longer than it takes to start one.
      await new Promise((resolve) => setTimeout(resolve, 600));
      write("app/own.js", `export const own = "bb";\n`);
      assert.equal(await (await fetch(await host.load())).text(), "bb");
    } finally {
      await host.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
);

/** Ends the workerd that this process has started, as the system does when memory is short. */
async function killWorkerd(): Promise<void> {
  for await (const { name } of Deno.readDir("/proc")) {
    const read = (file: string): Promise<string> =>
      Deno.readTextFile(`/proc/${name}/${file}`).catch(() => "");
    if (!/^\d+$/.test(name) || !(await read("cmdline")).includes("workerd\0serve")) continue;
    if (new RegExp(`^PPid:\\s+${Deno.pid}$`, "m").test(await read("status"))) {
      Deno.kill(Number(name), "SIGKILL");
    }
  }
}

Deno.test(
  "a workerd that ended by itself is started again, at its socket too",
  options,
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "kontract_standby_" });
    const worker = join(folder, "dist", "worker");
    await Deno.mkdir(worker, { recursive: true });
    await Deno.writeTextFile(join(worker, "shared.js"), shared(""));
    const entry = `export { SessionDO, KvcDO, ChangeHubDO, DbPoolDO } from "./shared.js";
export default { fetch: (request) => new Response(request.url) };
`;
    await Deno.writeTextFile(join(worker, "worker.js"), entry);
    const host = workersHost({
      dist: join(folder, "dist"),
      state: join(folder, "state"),
      env: {},
      outputs: null,
      output: (stream) => void stream.pipeTo(new WritableStream()).catch(() => {}),
    });
    try {
      await host.load();
      const client = Deno.createHttpClient({ proxy: { transport: "unix", path: host.socket! } });
      const asked = (): Promise<string | null> =>
        fetch("http://any.test/path", { client }).then((answer) => answer.text(), () => null);
      assert.equal(await asked(), "http://any.test/path");
      await killWorkerd();
      await until(async () => await asked() === "http://any.test/path");
      client.close();
    } finally {
      await host.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
);
