/** `kontract build`, `check` and `types`, which ask the compiler and need no database. */
import assert from "node:assert/strict";
import { makeApp } from "../../compiler/testing/app.ts";
import { runCommandLine } from "../command_line.ts";

const SOURCE = `import { backend } from "@kontract/kontract";

/** Doubles. */
export const double = backend({ readOnly: true }, (n: number): Promise<number> =>
  Promise.resolve(2 * n));
`;

/** Runs a command in this process. */
async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { log, error } = console;
  let out = "", err = "";
  console.log = (text: string) => void (out += `${text}\n`);
  console.error = (text: string) => void (err += `${text}\n`);
  try {
    const code = await runCommandLine(args);
    return { code, out, err };
  } finally {
    Object.assign(console, { log, error });
  }
}

Deno.test({
  name: "build, check and types say what they made, and what is wrong",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using app = await makeApp({
      "src/numbers.ts": SOURCE,
      "web/index.html": "<!doctype html><script type=module src=main.ts></script>",
      "web/main.ts": `import { double } from "@/client";\nconsole.log(await double(2));\n`,
    });
    const types = await run("types", app.root, "--editor");
    assert.equal(types.code, 0, types.err);
    assert.match(types.out, /types\.d\.ts\n.*node_modules.*\nIn tsconfig\.json: /);
    const checked = await run("check", app.root);
    assert.deepEqual([checked.code, checked.out], [0, "app: no errors\n"], checked.err);
    await assert.rejects(app.read("dist/manifest.json"), Deno.errors.NotFound);

    const built = await run("build", app.root, "--sizes");
    assert.equal(built.code, 0, built.err);
    assert.match(built.out, /^function +minified +gzip\n/);
    for (const name of ["double", "\\(front end\\)"]) {
      assert.match(built.out, new RegExp(`^${name} +\\d+ +\\d+$`, "m"));
    }
    assert.match(built.out, /^app: 1 function, 0 tables, \d+ ms$/m);

    await app.write("web/main.ts", `import { double } from "@/client";\nawait double("2");\n`);
    await app.write("src/numbers.ts", SOURCE.replace("n: number", "n: any"));
    const { code, err } = await run("check", app.root);
    assert.equal(code, 1);
    assert.match(err, /KT3001 'double' cannot take 'n'/);
  },
});
