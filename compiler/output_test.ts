/** A folder of outputs is whole at every moment, and what a crash leaves goes away. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { until } from "../tests/until.ts";
import { OutputFolder } from "./output.ts";

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
    await new OutputFolder().write(join(parent, "dist"), new Map([["a.txt", "a"]]));
    const left = [...Deno.readDirSync(parent)].map((entry) => entry.name).sort();
    assert.deepEqual(left, [".dist.kontract-new-1-0", ".dist.other", "dist"]);
  }));

Deno.test("a build cut off between its two renames has lost nothing", () =>
  inFolder(async (parent) => {
    const old = join(parent, `.dist.kontract-old-${await deadPid()}-1`);
    await Deno.mkdir(old);
    await Deno.writeTextFile(join(old, "a.txt"), "last good");
    // No file can have this name: the build fails after it has cleaned up.
    await assert.rejects(new OutputFolder().write(join(parent, "dist"), new Map([["x\0", "b"]])));
    assert.equal(await Deno.readTextFile(join(parent, "dist", "a.txt")), "last good");
  }));

Deno.test("a folder updated in place changes by what is another, new or gone, and by nothing else", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "dist");
    const output = new OutputFolder();
    await output.update(folder, new Map([["a/same.txt", "1"], ["a/new.txt", "1"], ["b.txt", "1"]]));
    const inode = (path: string) => Deno.statSync(join(folder, path)).ino;
    const before = [inode("."), inode("a/same.txt")];
    await output.update(
      folder,
      new Map([["a/same.txt", "1"], ["a/new.txt", "2"], ["c/d.txt", "1"]]),
    );
    assert.deepEqual([inode("."), inode("a/same.txt")], before);
    assert.deepEqual(texts(folder), { "a/new.txt": "2", "a/same.txt": "1", "c/d.txt": "1" });
  }));

Deno.test("what another hand takes from a new folder is written once more before the folder is in its place", () =>
  inFolder(async (parent) => {
    const output = new OutputFolder();
    const folder = join(parent, "dist");
    const files = new Map([["a/early.txt", "1"], ["b/early.txt", "1"]]);
    output.writeEarly(folder, files);
    const fresh = () => [...Deno.readDirSync(parent)].map(({ name }) => join(parent, name))[0];
    await until(() => fresh() !== undefined && texts(fresh()!)["b/early.txt"] === "1");
    await Deno.remove(fresh()!, { recursive: true });
    await output.write(folder, new Map([...files, ["late.txt", "1"]]));
    assert.deepEqual(texts(folder), { "a/early.txt": "1", "b/early.txt": "1", "late.txt": "1" });
  }));

Deno.test("what was written early is there as the last word has it, and without a trace of what is not wanted", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "dist");
    const early = new Map([["a/same.txt", "1"], ["a/other.txt", "1"]]);
    const files = new Map([["a/same.txt", "1"], ["a/other.txt", "2"], ["b.txt", "1"]]);
    for (const more of [[], [["vain/c.txt", "1"]], [["x\0", "1"]]] as [string, string][][]) {
      const output = new OutputFolder();
      output.writeEarly(folder, early);
      output.writeEarly(folder, new Map(more));
      await output.write(folder, files);
      assert.deepEqual(texts(folder), Object.fromEntries(files));
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
        "a",
        "b.txt",
      ]);
      assert.deepEqual([...Deno.readDirSync(parent)].map(({ name }) => name), ["dist"]);
    }
  }));

Deno.test("files that were written early and get nowhere are gone, and the folder is what it was", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "dist");
    const output = new OutputFolder();
    await output.write(folder, new Map([["a.txt", "1"]]));
    output.writeEarly(folder, new Map([["a.txt", "2"]]));
    await output.drop();
    assert.deepEqual(texts(folder), { "a.txt": "1" });
    assert.deepEqual([...Deno.readDirSync(parent)].map(({ name }) => name), ["dist"]);
    output.writeEarly(join(folder, "a.txt", "dist"), new Map([["a.txt", "2"]]));
    await assert.rejects(output.write(join(folder, "a.txt", "dist"), new Map([["a.txt", "2"]])));
    await output.write(folder, new Map([["a.txt", "3"]]));
    assert.deepEqual(texts(folder), { "a.txt": "3" });
  }));

Deno.test("a folder that another hand changed is put there whole", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "dist");
    const output = new OutputFolder();
    const files = new Map([["a.txt", "1"], ["b.txt", "1"]]);
    await output.update(folder, files);
    await Deno.writeTextFile(join(folder, "a.txt"), "another");
    await Deno.writeTextFile(join(folder, "left.txt"), "of another build");
    await output.update(folder, files);
    assert.deepEqual(texts(folder), { "a.txt": "1", "b.txt": "1" });
  }));

Deno.test("an update that cannot be written changes no file, and the next one is whole", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "dist");
    const output = new OutputFolder();
    await output.update(folder, new Map([["a.txt", "1"], ["b.txt", "1"]]));
    await assert.rejects(output.update(folder, new Map([["a.txt", "2"], ["x\0", "2"]])));
    assert.deepEqual(texts(folder), { "a.txt": "1", "b.txt": "1" });
    assert.deepEqual([...Deno.readDirSync(parent)].map(({ name }) => name), ["dist"]);
    await output.update(folder, new Map([["a.txt", "3"]]));
    assert.deepEqual(texts(folder), { "a.txt": "3" });
  }));

Deno.test("a folder that another hand empties between the look at it and an update is whole afterwards", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "dist");
    const output = new OutputFolder();
    for (const gone of ["a.txt", "sub/b.txt", "sub", "."]) {
      await output.update(folder, new Map([["a.txt", "1"], ["sub/b.txt", "1"], ["c.txt", "1"]]));
      const isHeld = output.holds(folder);
      assert.equal(isHeld, true);
      await Deno.remove(join(folder, gone), { recursive: true });
      await output.update(folder, new Map([["a.txt", "2"], ["sub/b.txt", "2"]]), undefined, isHeld);
      assert.deepEqual(texts(folder), { "a.txt": "2", "sub/b.txt": "2" }, gone);
      assert.deepEqual([...Deno.readDirSync(parent)].map(({ name }) => name), ["dist"]);
    }
  }));

function texts(folder: string): Readonly<Record<string, string>> {
  const found: [string, string][] = [];
  const visit = (path: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(join(folder, path))) {
      if (isDirectory) visit(join(path, name));
      else found.push([join(path, name), Deno.readTextFileSync(join(folder, path, name))]);
    }
  };
  visit("");
  return Object.fromEntries(found.sort());
}
