import assert from "node:assert/strict";
import { fromPs, identifyProcess, isSameProcess } from "./identity.ts";

const posix = { ignore: Deno.build.os === "windows" };

Deno.test(
  "a process is known by its id and its start, and no more once it is gone",
  posix,
  async () => {
    const child = new Deno.Command("/bin/sh", { args: ["-c", "read _"], stdin: "piped" }).spawn();
    const found = await identifyProcess(child.pid);
    assert.equal(found?.parent, Deno.pid);
    assert.ok(await isSameProcess(child.pid, found.started));
    assert.ok(!await isSameProcess(child.pid, "another start"));
    assert.ok(!await isSameProcess(Deno.pid, found.started));
    await child.stdin.close();
    await child.status;
    assert.equal(await identifyProcess(child.pid), null);
    assert.ok(!await isSameProcess(child.pid, found.started));
  },
);

Deno.test("a process that is ending is whole or gone, never half known", posix, async () => {
  const big =
    "const kept = new Uint8Array(2 ** 28).fill(1); console.log(0); setTimeout(() => kept, 6e5)";
  for (let round = 0; round < 4; round++) {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", big],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const output = child.stdout.getReader();
    await output.read();
    const whole = await identifyProcess(child.pid);
    child.kill("SIGKILL");
    for (let seen = whole; seen !== null; seen = await identifyProcess(child.pid)) {
      assert.deepEqual(seen, whole);
    }
    await output.cancel();
    await child.status;
  }
});

Deno.test("an id that is none is nobody", async () => {
  for (const pid of [0, -1, 1.5, NaN, 2 ** 31]) assert.equal(await identifyProcess(pid), null);
});

Deno.test("ps tells of the same process what /proc tells", posix, async () => {
  const [ours, theirs] = [await identifyProcess(Deno.pid), await fromPs(Deno.pid)];
  assert.deepEqual([theirs?.pid, theirs?.parent], [ours?.pid, ours?.parent]);
  assert.ok(theirs?.command.includes("deno"), theirs?.command);
  assert.equal((await fromPs(Deno.pid))?.started, theirs?.started);
  assert.equal(await fromPs(2 ** 22 + 1), null);
});
