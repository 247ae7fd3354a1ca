import assert from "node:assert/strict";
import { keepPublished, missedLines, ranges } from "./run.ts";

const REPOSITORY = new URL("../../", import.meta.url);

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

Deno.test("only whole files of the package's modules are reported", async () => {
  const folder = await Deno.makeTempDir();
  const of = (path: string): string => `{"scriptId":"1","url":"${new URL(path, REPOSITORY)}"}`;
  const files = {
    "whole.json": of("auth/mod.ts"),
    "cut.json": of("auth/mod.ts").slice(0, -1),
    "none.json": "",
    "test.json": of("auth/service_test.ts"),
    "elsewhere.json": of("../app/src/mod.ts"),
    "counted.lcov": "SF:a.ts",
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${folder}/${name}`, text);
  }
  await keepPublished(folder);
  const left = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  assert.deepEqual(left.sort(), ["counted.lcov", "whole.json"]);
  await Deno.remove(folder, { recursive: true });
});
