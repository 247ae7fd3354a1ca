/** What the builders of one process share of parsed files, and what they do not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import ts from "typescript";
import { build, formatDiagnostics } from "./mod.ts";
import { sharedFile } from "./shared_files.ts";
import { makeApp, type TestApp } from "./testing/app.ts";

const ROUTE = `import { backend } from "@kontract/kontract";
export const one = backend({}, (n: number): Promise<number> => Promise.resolve(n));
`;

async function built(app: TestApp): Promise<string> {
  const { diagnostics } = await build({ root: app.root, hosts: [] });
  return formatDiagnostics(diagnostics);
}

Deno.test("a shared file is parsed once, and again where its text is another", () => {
  const file = "/kontract-lib/sample.d.ts";
  let count = 0;
  const parsed = (text: string): ts.SourceFile =>
    sharedFile(file, text, () => {
      count++;
      return ts.createSourceFile(file, text, ts.ScriptTarget.ESNext);
    });
  const first = parsed("declare const a: 1;");
  assert.equal(parsed("declare const a: 1;"), first);
  assert.equal(parsed("declare const a: 2;").text, "declare const a: 2;");
  assert.equal(count, 2);
});

Deno.test("apps of one process have settings and global names of their own", async () => {
  await using plain = await makeApp({ "src/one.ts": ROUTE });
  await using other = await makeApp({
    "src/one.ts": `${ROUTE}declare global { interface Array<T> { ours(): T; } }
export const two = backend({}, (): Promise<number> => Promise.resolve([1].ours() + [1][0]));
`,
  });
  const config = JSON.parse(await other.read("deno.json"));
  const compilerOptions = {
    jsx: "react-jsx",
    jsxImportSource: "npm:preact@10",
    noUncheckedIndexedAccess: true,
  };
  await Deno.writeTextFile(
    join(other.root, "deno.json"),
    JSON.stringify({ ...config, compilerOptions }),
  );
  assert.equal(await built(plain), "");
  assert.match(await built(other), /\[1\]\[0\]/);
  await plain.write("src/two.ts", "export const two: number = [1][0];\n[1].ours();\n");
  assert.match(await built(plain), /Property 'ours' does not exist/);
  assert.doesNotMatch(await built(plain), /undefined/);
});
