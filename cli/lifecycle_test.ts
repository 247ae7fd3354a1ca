/**
 * However a running app is ended, nothing of it is left and its data are.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { until } from "../tests/until.ts";
import { HOST_NAMES, type HostName } from "./dev/host.ts";
import { CLI, TemporaryApp } from "./testing/temporary_app.ts";

const linux = {
  sanitizeOps: false,
  sanitizeResources: false,
  ignore: Deno.build.os !== "linux",
};

/** Runs a command in the app's folder, detached, so that its group is its own. */
function launch(app: TemporaryApp, command: string, args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(command, {
    args: [...args],
    cwd: app.folder,
    env: app.env,
    detached: true,
    stdin: "piped",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
}

const LONG = Deno.env.has("KONTRACT_LONG");

/** How an app can be ended: whom the signal reaches; and the one host that it is tried on in the short run. */
const ENDS: readonly (readonly [
  signal: string,
  to: "group" | "launcher" | "server",
  only?: HostName,
])[] = [
  ["INT", "group"],
  ["TERM", "group", "workers"],
  ["HUP", "group", "deno"],
  ["KILL", "group", "deno"],
  ["INT", "launcher", "workers"],
  ["TERM", "launcher", "deno"],
  ["KILL", "launcher", "workers"],
  ["KILL", "server", "workers"],
];

function task(app: TemporaryApp, host: HostName): Deno.ChildProcess {
  return launch(app, Deno.execPath(), ["task", "start", "--host", host]);
}

/** `kill` of the system: it can address a group. */
async function kill(signal: string, target: number): Promise<void> {
  const { success } = await new Deno.Command("/bin/sh", {
    args: ["-c", `kill -${signal} ${target}`],
  }).output();
  assert.ok(success);
}

async function hasProgram(name: string): Promise<boolean> {
  const { success } = await new Deno.Command("/bin/sh", {
    args: ["-c", `command -v ${name}`],
    stdout: "null",
  }).output();
  return success;
}

for (const host of HOST_NAMES) {
  Deno.test(
    `however an app on ${host} is ended, nothing is left, and the next start has its data`,
    linux,
    async (t) => {
      await using app = await TemporaryApp.create(["--port", "0"]);
      let kept: string | null = null;
      for (const [signal, to, only] of ENDS) {
        if (!LONG && only !== undefined && only !== host) continue;
        await t.step(`${signal} to the ${to}`, async () => {
          const child = task(app, host);
          const { url, pid } = await app.info(child);
          assert.equal(await app.call(url, "readNote", ["n1"]), kept);
          kept = `until ${signal} to the ${to}`;
          await app.call(url, "writeNote", ["n1", kept]);
          await kill(signal, to === "group" ? -child.pid : to === "launcher" ? child.pid : pid);
          await child.status;
          await app.quiet();
          if (signal !== "KILL") {
            await assert.rejects(
              Deno.stat(join(app.folder, ".kontract", "dev.json")),
              Deno.errors.NotFound,
            );
          }
        });
      }
    },
  );
}

Deno.test("a start that is ended while it builds ends without the build", linux, async () => {
  await using app = await TemporaryApp.create([]);
  const child = app.spawn("start", { host: "deno", stderr: "null" });
  // A first start makes its secret and then builds.
  const secret = join(app.folder, ".kontract", "secret");
  await until(() => Deno.stat(secret).then(() => true, () => false));
  await kill("TERM", child.pid);
  assert.equal((await child.status).code, 0);
  await app.quiet();
  await assert.rejects(Deno.stat(join(app.folder, "dist")), Deno.errors.NotFound);
});

Deno.test("whatever started an app, its end is the app's end", linux, async (t) => {
  await using app = await TemporaryApp.create(["--port", "0"]);

  await t.step("KILL to the launcher while the app is still building", async () => {
    const child = task(app, "workers");
    const launcher = (await app.processes()).length;
    let ended = false;
    void child.status.then(() => ended = true);
    await until(async () => ended || (await app.processes()).length > launcher);
    await kill("KILL", child.pid);
    await child.status;
    await app.quiet();
    // Where it had to be killed it left what the next steps would take for their own.
    await Deno.remove(join(app.folder, ".kontract", "dev.json")).catch(() => {});
  });

  for (const end of ["interrupt", "hangup"] as const) {
    await t.step({
      name: `${end} of the terminal it runs in`,
      ignore: !await hasProgram("script"),
      fn: async () => {
        const terminal = launch(app, "script", [
          "--quiet",
          "--return",
          "--command",
          `${Deno.execPath()} task start`,
          "/dev/null",
        ]);
        await app.info(terminal);
        if (end === "interrupt") {
          const keys = terminal.stdin.getWriter();
          await keys.write(new Uint8Array([3]));
          keys.releaseLock();
        } else {
          await kill("KILL", terminal.pid);
        }
        await app.quiet();
        await terminal.stdin.close().catch(() => {});
        await terminal.status;
      },
    });
  }

  for (const signal of LONG ? ["TERM", "KILL"] : ["KILL"]) {
    await t.step({
      name: `${signal} to npx, which starts 'deno task'`,
      ignore: !await hasProgram("npx"),
      fn: async () => {
        const npx = launch(app, "npx", ["-y", "deno@2.9.6", "task", "start"]);
        await app.info(npx);
        await kill(signal, npx.pid);
        await npx.status;
        await app.quiet();
      },
    });
  }
});

Deno.test(
  "a second start or dev in the same folder is refused and says where the first one is",
  linux,
  async () => {
    await using app = await TemporaryApp.create(["--port", "0"]);
    const first = task(app, "deno");
    const { url, pid } = await app.info(first);
    for (const command of ["start", "dev"]) {
      const second = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", CLI, command, "--port", "0"],
        cwd: app.folder,
        env: app.env,
      }).output();
      const said = new TextDecoder().decode(second.stderr);
      assert.equal(second.code, 1);
      assert.ok(said.startsWith("CONFIG: ") && said.includes(url) && said.includes(`${pid}`), said);
    }
    assert.equal((await fetch(`${url}/health`)).status, 200);
    await kill("INT", -first.pid);
    await first.status;
    await app.quiet();
  },
);

Deno.test("an app whose own PostgreSQL dies says so and ends", linux, async () => {
  await using app = await TemporaryApp.create(["--port", "0"]);
  const child = app.spawn("start", { host: "deno", stderr: "piped" });
  await app.info(child);
  const pidFile = await Deno.readTextFile(join(app.folder, ".kontract", "pg", "postmaster.pid"));
  await kill("KILL", Number(pidFile.split("\n")[0]));
  const { code, stderr } = await child.output();
  assert.equal(code, 1);
  assert.match(new TextDecoder().decode(stderr), /^DATABASE_UNAVAILABLE: The embedded PostgreSQL/m);
  await app.quiet();
});
