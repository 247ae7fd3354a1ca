/** A folder of outputs is whole at every moment, and what a crash leaves goes away. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { writeFolder } from "./output.ts";

/** A process number that no process has. */
async function deadPid(): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), { args: ["--version"], stdout: "null" }).spawn();
  await child.status;
  return child.pid;
}

async function inFolder(work: (parent: string) => Promise<void>): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    await work(parent);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

Deno.test("folders that a killed build left are removed by the next one, those of a live one stay", () =>
  inFolder(async (parent) => {
    const dead = await deadPid();
    await Deno.mkdir(join(parent, `.dist.kontract-new-${dead}-0`));
    await Deno.mkdir(join(parent, `.dist.kontract-old-${dead}-1`));
    await Deno.mkdir(join(parent, `.dist.kontract-new-1-0`));
    await Deno.mkdir(join(parent, ".dist.other"));
    await writeFolder(join(parent, "dist"), new Map([["a.txt", "a"]]));
    const left = [...Deno.readDirSync(parent)].map((entry) => entry.name).sort();
    assert.deepEqual(left, [".dist.kontract-new-1-0", ".dist.other", "dist"]);
  }));

Deno.test("a build cut off between its two renames has lost nothing", () =>
  inFolder(async (parent) => {
    const old = join(parent, `.dist.kontract-old-${await deadPid()}-1`);
    await Deno.mkdir(old);
    await Deno.writeTextFile(join(old, "a.txt"), "last good");
    // No file can have this name: the build fails after it has cleaned up.
    await assert.rejects(writeFolder(join(parent, "dist"), new Map([["x\0", "b"]])));
    assert.equal(await Deno.readTextFile(join(parent, "dist", "a.txt")), "last good");
  }));
