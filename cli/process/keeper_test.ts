import assert from "node:assert/strict";
import { join } from "node:path";
import { until } from "../../tests/until.ts";
import { identifyProcess } from "./identity.ts";
import { spawnKept } from "./keeper.ts";

const posix = { sanitizeOps: false, sanitizeResources: false, ignore: Deno.build.os === "windows" };

async function text(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream).text();
}

async function gone(pid: number): Promise<void> {
  await until(async () => await identifyProcess(pid) === null);
}

Deno.test("a kept child's exit code and output are its own", posix, async () => {
  const kept = spawnKept({
    command: "/bin/sh",
    args: ["-c", "echo out; echo err >&2; exit 7"],
    signal: "TERM",
  });
  const [out, err, code] = await Promise.all([text(kept.stdout), text(kept.stderr), kept.status]);
  assert.deepEqual([out, err, code], ["out\n", "err\n", 7]);
});

Deno.test("stop ends the child with its signal, and what it started", posix, async () => {
  const kept = spawnKept({
    command: "/bin/sh",
    args: ["-c", `trap 'echo bye; exit 0' TERM; sleep 600 & echo $!; wait`],
    signal: "TERM",
  });
  const reader = kept.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const grandchild = Number((await reader.read()).value);
  assert.ok(await identifyProcess(grandchild));
  const said = reader.read();
  const errors = text(kept.stderr);
  await kept.stop();
  assert.equal((await said).value, "bye\n");
  assert.equal(await errors, "");
  await gone(grandchild);
});

/** Kills the shell that waits for the lifeline, as the system does that is out of memory. */
async function killLifelineReader(child: number): Promise<void> {
  const leader = (await identifyProcess(child))!.parent;
  const own = await Deno.readTextFile(`/proc/${leader}/task/${leader}/children`);
  const [reader] = own.trim().split(" ").map(Number).filter((pid) => pid !== child);
  Deno.kill(reader!, "SIGKILL");
  await gone(reader!);
}

const linux = { ...posix, ignore: Deno.build.os !== "linux" };

Deno.test(
  "stop ends the child in good order after its keeper's reader was killed",
  linux,
  async () => {
    const kept = spawnKept({
      command: "/bin/sh",
      args: ["-c", `trap 'echo bye; exit 0' TERM; echo $$; while :; do sleep 0.1; done`],
      signal: "TERM",
      grace: 3600,
    });
    const reader = kept.stdout.pipeThrough(new TextDecoderStream()).getReader();
    await killLifelineReader(Number((await reader.read()).value));
    const said = reader.read();
    await kept.stop();
    assert.equal((await said).value, "bye\n");
  },
);

Deno.test("stop ends a child that ignores its signal when nobody else can", linux, async () => {
  const kept = spawnKept({
    command: "/bin/sh",
    args: ["-c", `trap '' TERM; echo $$; while :; do sleep 0.1; done`],
    signal: "TERM",
    grace: 0.1,
  });
  const reader = kept.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const child = Number((await reader.read()).value);
  await killLifelineReader(child);
  await kept.stop();
  await gone(child);
});

Deno.test("a child is ended when the process that keeps it is killed", posix, async () => {
  const folder = await Deno.makeTempDir();
  try {
    const module = new URL("./keeper.ts", import.meta.url).href;
    const file = join(folder, "keeping.ts");
    await Deno.writeTextFile(
      file,
      `import { spawnKept } from ${JSON.stringify(module)};
       const kept = spawnKept({ command: "/bin/sh", args: ["-c", "echo $$; exec sleep 600"], signal: "TERM" });
       for await (const chunk of kept.stdout) await Deno.stdout.write(chunk);`,
    );
    const keeping = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--no-config", file],
      stdout: "piped",
    }).spawn();
    const first = await keeping.stdout.values().next();
    const pid = Number(new TextDecoder().decode(first.value));
    assert.ok(await identifyProcess(pid));
    keeping.kill("SIGKILL");
    await keeping.status;
    await gone(pid);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
