/** Sizes and their budget: what is measured, what fails a build, and with which words. */
import assert from "node:assert/strict";
import { Diagnostics } from "./diagnostic.ts";
import { build, createBuilder, formatDiagnostics } from "./mod.ts";
import { parseBudget } from "./size_budget.ts";
import { makeApp } from "./testing/app.ts";

/** Text that gzip cannot shorten much. */
function ballast(seed: number, length: number): string {
  let state = seed, text = "";
  while (text.length < length) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    text += state.toString(36);
  }
  return `/* ${"a comment ".repeat(200)} */\nexport const BALLAST_${seed} = "${
    text.slice(0, length)
  }";\n`;
}

const APP: Readonly<Record<string, string>> = {
  "src/heavy.ts": ballast(1, 30_000),
  "src/late.ts": ballast(2, 60_000),
  "src/routes.ts": `import { backend } from "@kontract/kontract";
import { BALLAST_1 } from "./heavy.ts";
export const one = backend({}, () => Promise.resolve(BALLAST_1.length));
export const two = backend({}, async () => (await import("./late.ts")).BALLAST_2.length);
`,
  "src/light.ts": `import { backend } from "@kontract/kontract";
export const three = backend({}, () => Promise.resolve(3));
`,
  "web/main.ts": `import { three } from "@/client";\nawait three();\n`,
  "web/index.html": `<!doctype html><script type="module" src="./main.ts"></script>\n`,
};

Deno.test("a route's size is what its first call loads, minified, without what comes later", async () => {
  await using app = await makeApp(APP);
  const { ok, report } = await build({ root: app.root, hosts: ["workers"], sizes: true });
  assert.equal(ok, true);
  const load = Object.fromEntries(report.routes.map((one) => [one.name, one.load!]));
  const { one, two, three } = load;
  assert.deepEqual(one, two, "routes of one module load the same");
  const difference = one!.minified - three!.minified;
  assert.ok(difference > 29_000 && difference < 32_000, `${difference}`);
  assert.ok(one!.gzip < one!.minified && one!.gzip > 15_000, `${one!.gzip}`);
  assert.ok(!one!.files.some(({ file }) => file.includes("late")));
  assert.ok(report.frontEnd!.minified > 20_000 && report.frontEnd!.gzip < 40_000);
});

Deno.test("what is over its budget fails the build, and dist is as it was", async () => {
  await using app = await makeApp(APP);
  await app.write("kontract.json", `{ "budget": { "route": 12000, "frontEnd": 1000 } }`);
  const { ok, diagnostics } = await build({ root: app.root, hosts: ["workers"] });
  assert.equal(ok, false);
  const text = formatDiagnostics(diagnostics).replaceAll(/\d+,\d+/g, "N").replaceAll(
    /-[A-Z0-9]{8}\.js/g,
    "-HASH.js",
  );
  assert.match(
    text,
    /error KT7002 The first call of each of 'one', 'two' loads N bytes after gzip \(N bytes minified\); the budget in kontract\.json is N bytes\./,
  );
  assert.match(
    text,
    /hint: Move what is seldom needed behind 'await import\(…\)', or raise the budget\. The largest:\n\s+worker\/chunks\/\S+\.js {2}N bytes/,
  );
  assert.match(text, /The front end's script loads N bytes/);
  assert.doesNotMatch(text, /'three'/);
  assert.match(text, /2 errors/);
  await assert.rejects(Deno.stat(`${app.root}/dist`), Deno.errors.NotFound);
  await app.write("kontract.json", `{ "budget": { "route": 60000 } }`);
  assert.equal((await build({ root: app.root, hosts: ["workers"] })).ok, true);
});

Deno.test("a budget that is none is told", () => {
  for (const budget of [50, {}, { route: "50 kB" }, { chunk: 5 }, { route: -1 }, [], null]) {
    const diagnostics = new Diagnostics();
    assert.equal(parseBudget(budget, diagnostics), null);
    assert.match(
      formatDiagnostics(diagnostics.list()),
      /KT1001 'budget' in kontract\.json must hold[^]*hint: "budget": \{ "route"/,
    );
  }
});

Deno.test("in watch mode what is over its budget is told beside the build, with the numbers of a build", async () => {
  await using app = await makeApp(APP);
  const builder = createBuilder({ root: app.root, hosts: ["deno"], layout: "modules" });
  assert.deepEqual(await builder.overBudget(), [], "nothing is built yet");
  assert.equal((await builder.rebuild()).ok, true);
  assert.deepEqual(await builder.overBudget(), [], "there is no budget");
  await app.write("kontract.json", `{ "budget": { "route": 12000, "frontEnd": 1000 } }`);
  assert.equal((await builder.rebuild()).ok, true, "it fails no rebuild");
  const before = await app.read("dist/manifest.json");
  const warnings = await builder.overBudget();
  assert.deepEqual(
    warnings.map(({ code, severity }) => [code, severity]),
    [["KT7002", "warning"], ["KT7002", "warning"]],
  );
  assert.equal(await app.read("dist/manifest.json"), before);
  const failed = await build({ root: app.root, hosts: ["deno"] });
  const plain = (text: string): string => text.replaceAll(/-[A-Z0-9]{8}\.js/g, "");
  assert.deepEqual(
    failed.diagnostics.map(({ message, hint }) => [message, plain(hint!)]),
    warnings.map(({ message, hint }) => [message, plain(hint!)]),
  );
});
