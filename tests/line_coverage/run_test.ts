import assert from "node:assert/strict";
import { dropUnfinished, missedLines, ranges } from "./run.ts";

Deno.test("a line counts as run where any process ran it, and files are named from the root", () => {
  const report = [
    "SF:/repo/a.ts\nDA:1,0\nDA:2,3\nDA:4,0\nend_of_record",
    "SF:/repo/b/c.ts\nDA:7,1\nend_of_record",
    "SF:/repo/a.ts\nDA:1,1\nDA:2,0\nDA:4,0\nend_of_record",
  ].join("\n");
  assert.deepEqual(missedLines(report, "", "/repo"), [
    { file: "a.ts", lines: 3, missed: [4] },
    { file: "b/c.ts", lines: 1, missed: [] },
  ]);
});

Deno.test("a line that ran elsewhere has run, where it is one", () => {
  const deno = "SF:/repo/a.ts\nDA:1,0\nDA:2,0\nend_of_record\n";
  const counters = "SF:/repo/a.ts\nDA:2,1\nDA:3,1\nend_of_record\nSF:/repo/b.ts\nDA:1,1\n";
  assert.deepEqual(missedLines(deno, counters, "/repo"), [{ file: "a.ts", lines: 2, missed: [1] }]);
});

Deno.test("neighbouring lines are told as a range", () => {
  assert.equal(ranges([3, 4, 5, 9, 11, 12]), "3-5, 9, 11-12");
  assert.equal(ranges([]), "");
});

Deno.test("what a killed process had begun to write is left out", async () => {
  const folder = await Deno.makeTempDir();
  const files = {
    "whole.json": '{"url":"file:///a.ts"}',
    "cut.json": '{"url":"fi',
    "none.json": "",
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${folder}/${name}`, text);
  }
  await dropUnfinished(folder);
  const left = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  assert.deepEqual(left, ["whole.json"]);
  await Deno.remove(folder, { recursive: true });
});
