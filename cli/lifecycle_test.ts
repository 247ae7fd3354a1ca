/**
 * However a running app is ended, nothing of it is left and its data are.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
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

function direct(app: TemporaryApp, host: HostName): Deno.ChildProcess {
  return launch(app, Deno.execPath(), ["run", "-A", CLI, "start", "--port", "0", "--host", host]);
}

function task(app: TemporaryApp): Deno.ChildProcess {
  return launch(app, Deno.execPath(), ["task", "start"]);
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
    `an interrupt ends an app on ${host}, and the next start has its data`,
    linux,
    async () => {
      await using app = await TemporaryApp.create([]);
      const first = direct(app, host);
      const { url } = await app.info(first);
      await app.call(url, "writeNote", ["n1", "kept"]);
      await kill("INT", first.pid);
      assert.equal((await first.status).code, 0);
      await app.quiet();
      await assert.rejects(
        Deno.stat(join(app.folder, ".kontract", "dev.json")),
        Deno.errors.NotFound,
      );
      const second = direct(app, host);
      const again = await app.info(second);
      assert.equal(await app.call(again.url, "readNote", ["n1"]), "kept");
      await kill("TERM", second.pid);
      await second.status;
      await app.quiet();
    },
  );

  Deno.test(`KILL to the server of an app on ${host} leaves nothing`, linux, async () => {
    await using app = await TemporaryApp.create([]);
    const child = direct(app, host);
    const { url, pid } = await app.info(child);
    await app.call(url, "writeNote", ["n1", "kept"]);
    await kill("KILL", pid);
    await child.status;
    await app.quiet();
  });

  for (const signal of ["INT", "TERM", "HUP", "KILL"]) {
    Deno.test(`${signal} to the group of 'deno task' ends an app on ${host}`, linux, async () => {
      await using app = await TemporaryApp.create(["--port", "0", "--host", host]);
      const child = task(app);
      await app.info(child);
      await kill(signal, -child.pid);
      await child.status;
      await app.quiet();
    });
  }

  for (const signal of ["INT", "TERM", "KILL"]) {
    Deno.test(`${signal} to 'deno task' alone ends an app on ${host}`, linux, async () => {
      await using app = await TemporaryApp.create(["--port", "0", "--host", host]);
      const child = task(app);
      await app.info(child);
      await kill(signal, child.pid);
      await child.status;
      await app.quiet();
    });
  }
}

Deno.test(
  "KILL to the launcher while the app is still starting leaves nothing",
  linux,
  async () => {
    await using app = await TemporaryApp.create(["--port", "0"]);
    const child = task(app);
    const server = (await app.processes()).length;
    while ((await app.processes()).length <= server) {
      await new Promise((done) => setTimeout(done, 10));
    }
    await kill("KILL", child.pid);
    await child.status;
    await app.quiet();
  },
);

Deno.test("Ctrl-C and a closed terminal end an app that was started in one", linux, async () => {
  if (!await hasProgram("script")) return;
  for (const end of ["interrupt", "hangup"] as const) {
    await using app = await TemporaryApp.create(["--port", "0"]);
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
  }
});

for (const signal of ["TERM", "KILL"]) {
  Deno.test(`${signal} to npx, which starts 'deno task', ends an app`, linux, async () => {
    if (!await hasProgram("npx")) return;
    await using app = await TemporaryApp.create(["--port", "0"]);
    const npx = launch(app, "npx", ["-y", "deno@2.9.6", "task", "start"]);
    await app.info(npx);
    await kill(signal, npx.pid);
    await npx.status;
    await app.quiet();
  });
}

Deno.test(
  "a second start in the same folder is refused and says where the first one is",
  linux,
  async () => {
    await using app = await TemporaryApp.create([]);
    const first = direct(app, "deno");
    const { url, pid } = await app.info(first);
    const second = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", CLI, "start", "--port", "0"],
      cwd: app.folder,
      env: app.env,
    }).output();
    const said = new TextDecoder().decode(second.stderr);
    assert.equal(second.code, 1);
    assert.ok(said.startsWith("CONFIG: ") && said.includes(url) && said.includes(`${pid}`), said);
    assert.equal((await fetch(`${url}/health`)).status, 200);
    await kill("INT", first.pid);
    await first.status;
    await app.quiet();
  },
);
