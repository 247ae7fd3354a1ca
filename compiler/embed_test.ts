/** The compiler in somebody else's program: data in, data out, and nothing left behind. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Diagnostic } from "./mod.ts";
import { makeApp } from "./testing/app.ts";

interface Said {
  readonly ok: boolean;
  readonly diagnostics: readonly Diagnostic[];
  readonly files: number;
  readonly routes: readonly string[];
  readonly outside: number;
}

interface AllSaid {
  readonly good: Said;
  readonly relative: Said;
  readonly bad: Said;
  readonly checked: Said;
  readonly sealed: Said;
  readonly text: string;
  readonly aborted: readonly string[];
}

const API = `import { backend } from "@kontract/kontract";
export const ping = backend({}, (): Promise<string> => Promise.resolve("pong"));
`;
const BAD = `import { backend } from "@kontract/kontract";
import { ping } from "./pings.ts";
export const find = backend({}, (pattern: RegExp): Promise<string> => Promise.resolve(pattern + ping));
`;

async function names(folder: string): Promise<readonly string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

Deno.test("a program that embeds the compiler gets results as data, of several apps at once, and ends by itself", async () => {
  // The run's own folder may lie in /dev, which Deno opens to programs with all permissions only.
  const dir = Deno.build.os === "linux" ? "/tmp" : undefined;
  const files = { "src/api.ts": API, "../beside.ts": "export {};\n" };
  await using good = await makeApp(files, "good", dir);
  await good.write("src/use.ts", `import "../../beside.ts";\n`);
  await using bad = await makeApp({ "src/api.ts": BAD, "src/ping.ts": "export {};\n" }, "bad", dir);
  await using sealed = await makeApp({ "src/api.ts": API }, "sealed", dir);
  const script = fileURLToPath(new URL("./testing/embedder.ts", import.meta.url));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-read",
      "--allow-env",
      "--allow-run",
      "--allow-sys",
      "--allow-ffi",
      `--allow-write=${good.root},${bad.root}`,
      script,
      good.root,
      bad.root,
      sealed.root,
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const [errors, text] = [stderr, stdout].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(errors, "");
  assert.equal(code, 0);
  // One line: nothing else was printed.
  const said = JSON.parse(text!) as AllSaid;

  for (const one of [said.good, said.relative]) {
    assert.deepEqual(one.diagnostics, []);
    assert.equal(one.ok, true);
    assert.deepEqual(one.routes, ["ping"]);
    assert.ok(one.files > 0 && one.outside > 0);
  }
  assert.deepEqual(
    (await names(good.root)).filter((name) => !name.startsWith(".")),
    ["deno.json", "kontract.lock.json", "out", "own", "src"],
  );

  for (const one of [said.bad, said.checked]) {
    assert.equal(one.ok, false);
    const [missing, regexp] = one.diagnostics;
    assert.deepEqual(
      [missing?.code, missing?.severity, missing?.span, missing?.hint],
      [
        "KT1002",
        "error",
        { file: "src/api.ts", line: 2, column: 22 },
        'Did you mean "./ping.ts"?',
      ],
    );
    assert.deepEqual([regexp?.code, regexp?.span?.file, regexp?.span?.line], [
      "KT3001",
      "src/api.ts",
      3,
    ]);
  }
  assert.match(said.text, /^error KT1002 .*\n {2}at src\/api\.ts:2:22\n/);
  assert.ok(!(await names(bad.root)).includes("dist"));

  assert.equal(said.sealed.ok, false);
  assert.match(said.sealed.diagnostics[0]?.message ?? "", /cannot be written/);
  assert.ok(!(await names(sealed.root)).includes("dist"));

  assert.deepEqual(said.aborted, ["AbortError: enough", "AbortError: enough"]);
  assert.ok(!(await names(good.root)).includes("never"));
  assert.ok(!(await Deno.readTextFile(join(good.root, "kontract.lock.json"))).includes("never"));
});
