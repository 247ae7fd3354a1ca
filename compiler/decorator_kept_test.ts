/** A decorator on a function stands only where `deno fmt` itself leaves it: the real one is asked. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { analyzed } from "./testing/analyzed.ts";
import { makeApp } from "./testing/app.ts";

const IMPORT = `import { backend } from "@kontract/kontract";\n`;
const LINE = `// deno-fmt-ignore-file\n`;
const decorated = (name: string): string =>
  `@backend({})
export async function ${name}(): Promise<number> { return await Promise.resolve(1); }
`;

/** Where the line may stand: the head of a file. */
const HEADS: Readonly<Record<string, string>> = {
  "first": LINE + IMPORT,
  "without a blank": LINE.replace(" ", "") + IMPORT,
  "with two blanks": LINE.replace(" ", "  ") + IMPORT,
  "with a reason": LINE.replace("\n", ": it deletes decorators\n") + IMPORT,
  "below another comment": `/** Functions. */\n\n// Of ours.\n${LINE}${IMPORT}`,
  "below a first line for the shell": `#!/usr/bin/env deno\n${LINE}${IMPORT}`,
  "behind a byte order mark": `\ufeff${LINE}${IMPORT}`,
  "below an import": IMPORT + LINE,
  "in a comment": `/*\n${LINE}*/\n${IMPORT}`,
  "in a text": `${IMPORT}const text = \`\n${LINE}\`;\nvoid text;\n`,
  "of other words": `// No ${LINE.slice(3)}${IMPORT}`,
};

Deno.test("a decorator on a function is accepted where 'deno fmt' keeps it, and refused where it deletes it", async () => {
  const heads = Object.entries(HEADS);
  const path = (place: number): string => `src/r${place}.ts`;
  await using app = await makeApp(
    Object.fromEntries(heads.map(([, head], i) => [path(i), head + decorated(`one${i}`)])),
  );
  const { diagnostics } = await analyzed(app.root);
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--no-config", join(app.root, "src")],
  }).output();
  assert.ok(success);
  const found = diagnostics.list();
  for (const [i, [where]] of heads.entries()) {
    const kept = (await app.read(path(i))).includes("@backend");
    const codes = found.filter(({ span }) => span?.file === path(i)).map(({ code }) => code);
    assert.deepEqual(codes, kept ? [] : ["KT2001"], `the line ${where}`);
  }
});
