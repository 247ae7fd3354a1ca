import assert from "node:assert/strict";
import { isCommandShell, isLauncher, isOrphaned, type launcherChain } from "./launcher.ts";

Deno.test("npx, npm and deno are launchers; shells, editors and init are not", () => {
  const launchers = [
    "npm exec deno@2.9.6 task start",
    "npx -y deno@2.9.6 task start",
    "node /usr/bin/npx -y deno@2.9.6 task start",
    "node /usr/lib/node_modules/npm/bin/npx-cli.js -y deno task start",
    "/usr/bin/deno task start",
    "node /home/a/.npm/_npx/1/node_modules/.bin/deno task start",
  ];
  for (const command of launchers) assert.ok(isLauncher(command), command);
  const others = ["bash", "/bin/sh -c deno-like", "node server.js", "/sbin/init", "code --type=x"];
  for (const command of others) assert.ok(!isLauncher(command), command);
  assert.ok(isCommandShell("sh -c deno task start"));
  assert.ok(!isCommandShell("bash"));
});

Deno.test("an orphan is told from a server that was started in the background", () => {
  const link = (command: string) => ({ pid: 9, parent: 1, started: "1", command });
  const none = () => undefined;
  const task = (name: string) => name === "INIT_CWD" ? "/app" : undefined;
  const npm = (name: string) => name === "npm_command" ? "exec" : task(name);
  assert.equal(isOrphaned({ links: [], adopted: true }, task), true);
  assert.equal(isOrphaned({ links: [], adopted: true }, none), false);
  assert.equal(isOrphaned({ links: [], adopted: false }, task), false);
  assert.equal(isOrphaned({ links: [link("deno task start")], adopted: true }, task), false);
  assert.equal(isOrphaned({ links: [link("deno task start")], adopted: true }, npm), true);
  assert.equal(isOrphaned({ links: [link("npm exec deno")], adopted: true }, npm), false);
});

Deno.test("a process finds what started it", { ignore: Deno.build.os === "windows" }, async () => {
  const module = new URL("./launcher.ts", import.meta.url).href;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { launcherChain } from ${JSON.stringify(module)};
       console.log(JSON.stringify(await launcherChain(Deno.pid)));`,
    ],
  }).output();
  const chain: Awaited<ReturnType<typeof launcherChain>> = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  assert.equal(chain.links[0]?.pid, Deno.pid);
});
