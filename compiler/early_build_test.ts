/** What a build does that begins while files may still be written. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build, type BuildResult, createBuilder, stopBundler } from "./mod.ts";
import { listFiles } from "./project.ts";
import { makeApp, type TestApp } from "./testing/app.ts";

const route = (name: string, field: string): string =>
  `import { backend } from "@kontract/kontract";
interface Answer { ${field}: number }
export const ${name} = backend({}, async (): Promise<Answer> => await Promise.resolve({ ${field}: 1 }));
`;

/** Each a file in the middle of being written: cut off, right but not meant, leading nowhere. */
const HALVES: readonly string[] = [
  "",
  route("one", "count").slice(0, 120),
  route("on", "coun"),
  route("one", "count").replace('kontract";', 'kontract";\nimport "./tw'),
  route("one", "count").replace('kontract";', 'kontract";\nimport "./nowhere.ts";'),
];

const OPTIONS = { hosts: ["deno"], layout: "modules" } as const;

/** Everything that others read: the output and the lock. */
async function seen(app: TestApp): Promise<Readonly<Record<string, string>>> {
  const files = [...await listFiles(join(app.root, "dist")), join(app.root, "kontract.lock.json")];
  const texts = files.map(async (file) =>
    [file.slice(app.root.length + 1), await Deno.readTextFile(file)] as const
  );
  return Object.fromEntries(await Promise.all(texts));
}

function vain({ ok, inVain, diagnostics, files }: BuildResult): void {
  assert.deepEqual({ ok, inVain, diagnostics, files }, {
    ok: false,
    inVain: true,
    diagnostics: [],
    files: [],
  });
}

Deno.test("of a file that is being written nothing is told, written or numbered", async () => {
  await using app = await makeApp({
    "src/one.ts": route("one", "count"),
    "src/two.ts": route("two", "sum"),
  });
  const builder = createBuilder({ ...OPTIONS, root: app.root });
  assert.equal((await builder.rebuild()).ok, true);
  const before = await seen(app);
  for (const half of HALVES) {
    await app.write("src/one.ts", half);
    vain(await builder.rebuild(() => Promise.resolve(false)));
    assert.deepEqual(await seen(app), before, half);
  }
  await app.write("src/one.ts", route("one", "total"));
  assert.equal((await builder.rebuild(() => Promise.resolve(true))).ok, true);
  const incremental = await seen(app);
  assert.notDeepEqual(incremental, before);
  assert.equal((await build({ ...OPTIONS, root: app.root })).ok, true);
  assert.deepEqual(incremental, await seen(app));
  await stopBundler();
});

Deno.test("a file that is another than was read when the wait for it is over was not whole, whoever says so", async () => {
  await using app = await makeApp({ "src/one.ts": route("one", "count") });
  const builder = createBuilder({ ...OPTIONS, root: app.root });
  assert.equal((await builder.rebuild()).ok, true);
  const before = await seen(app);
  for (const half of HALVES) {
    await app.write("src/one.ts", half);
    vain(
      await builder.rebuild(async () => {
        await app.write("src/one.ts", route("one", "total"));
        return true;
      }),
    );
    assert.deepEqual(await seen(app), before, half);
    await app.write("src/one.ts", route("one", "count"));
    assert.equal((await builder.rebuild(() => Promise.resolve(true))).ok, true, half);
    assert.deepEqual(await seen(app), before, half);
  }
  await stopBundler();
});

Deno.test("what a build throws is told where the files are whole, and not before", async () => {
  await using app = await makeApp({ "src/one.ts": route("one", "count") });
  const builder = createBuilder({ ...OPTIONS, root: app.root });
  assert.equal((await builder.rebuild()).ok, true);
  const own = join(app.root, ".kontract");
  await Deno.rename(own, `${own}-aside`);
  await app.write(".kontract", "A file, and no folder to write to.");
  vain(await builder.rebuild(() => Promise.resolve(false)));
  const { diagnostics } = await builder.rebuild(() => Promise.resolve(true));
  assert.deepEqual(diagnostics.map(({ code }) => code), ["KT7001"]);
  await Deno.remove(own);
  await Deno.rename(`${own}-aside`, own);
  assert.equal((await builder.rebuild(() => Promise.resolve(true))).ok, true);
  await stopBundler();
});

Deno.test("what is wrong with a whole file is told by a build that began early", async () => {
  await using app = await makeApp({ "src/one.ts": route("one", "count") });
  const builder = createBuilder({ ...OPTIONS, root: app.root });
  assert.equal((await builder.rebuild()).ok, true);
  await app.write("src/one.ts", `${route("one", "count")}export const n: number = "";\n`);
  const { ok, inVain, diagnostics } = await builder.rebuild(() => Promise.resolve(true));
  assert.deepEqual([ok, inVain], [false, undefined]);
  assert.deepEqual(diagnostics.map(({ code }) => code), ["KT1004"]);
  await stopBundler();
});
