/** Circles of imports: those that work are let through, those that may fail when loaded are not. */
import assert from "node:assert/strict";
import { check } from "./mod.ts";
import { makeApp, type TestApp } from "./testing/app.ts";

const ROUTE = `import { backend } from "@kontract/kontract";\n`;
const route = (name: string, result: string): string =>
  `export const ${name} = backend({}, (): Promise<unknown> => Promise.resolve(${result}));\n`;

/** `name:line` of each problem. */
async function problems(app: TestApp): Promise<readonly string[]> {
  const { diagnostics } = await check(app.root);
  return diagnostics.map(({ code, span, message }) =>
    `${span?.file}:${span?.line} ${code} ${/'(.*?)'/.exec(message)?.[1]}`
  );
}

/** The modules `a.ts` and `b.ts`, both with a route, and what is wrong with them. */
const PAIRS: Readonly<Record<string, readonly [a: string, b: string, found: readonly string[]]>> = {
  "values that only functions read": [
    `import { b } from "./b.ts";\nexport const a = 1;\nexport const f = (): number => b;\n`,
    `import { a } from "./a.ts";\nexport const b = 2;\nexport class B { x = a; static g(): number { return a; } }\n`,
    [],
  ],
  "types": [
    `import type { B } from "./b.ts";\nexport interface A { b?: B }\nexport const a = 1;\n`,
    `import { type A, } from "./a.ts";\nimport { a } from "./a.ts";\nexport interface B { a: A }\nexport const b = a;\n`,
    [],
  ],
  "an import of a value that only types use": [
    `import { B } from "./b.ts";\nexport const a = 1;\nexport const of = (b: B): B => b;\n`,
    `import { a } from "./a.ts";\nexport class B {}\nexport const b = a;\n`,
    [],
  ],
  "functions, which are there before anything runs": [
    `import { g } from "./b.ts";\nexport const a: number = g();\nexport function f(): number { return 1; }\n`,
    `import { f } from "./a.ts";\nexport const b: number = f();\nexport function g(): number { return 2; }\n`,
    [],
  ],
  "a value of the module that is loaded first": [
    `import { b } from "./b.ts";\nexport const a = 1;\nexport const f = (): number => b;\n`,
    `import { a } from "./a.ts";\nexport const b: number = a + 1;\n`,
    ["src/b.ts:3 KT2013 a"],
  ],
  "a class that is extended, a static field, a decorator's argument": [
    `import { B } from "./b.ts";\nexport class A {}\nexport const READ = true;\nexport const f = (): unknown => B;\n`,
    `import { A, READ } from "./a.ts";\nexport class B extends A {\n  static #x = A;\n  y = A;\n  @backend({ readOnly: READ })\n  static go(): Promise<void> { return Promise.resolve(); }\n}\n`,
    ["src/b.ts:3 KT2013 A", "src/b.ts:4 KT2013 A", "src/b.ts:6 KT2013 READ"],
  ],
  "what a function that is called reads": [
    `import { b } from "./b.ts";\nconst inner = 1;\nexport const a = (): number => inner;\nexport function f(): number { return deep(); }\nfunction deep(): number { return inner + b; }\n`,
    `import { f } from "./a.ts";\nexport const b: number = f();\n`,
    ["src/b.ts:3 KT2013 inner"],
  ],
  "a namespace, and a name that is exported again": [
    `import * as b from "./b.ts";\nexport const a = 1;\nexport const f = (): number => b.b;\n`,
    `import * as all from "./a.ts";\nexport { a } from "./a.ts";\nexport const b: number = all.a;\n`,
    ["src/b.ts:4 KT2013 a"],
  ],
};

for (const [name, [a, b, found]] of Object.entries(PAIRS)) {
  Deno.test(`modules that import each other: ${name}`, async () => {
    await using app = await makeApp({
      "src/a.ts": ROUTE + a + route("fromA", "1"),
      "src/b.ts": ROUTE + b + route("fromB", "1"),
    });
    assert.deepEqual(await problems(app), found);
  });
}

Deno.test("a circle that is always entered at the same end is judged from that end", async () => {
  const files = {
    "src/a.ts": `import { b } from "./b.ts";\nexport const a: number = b + 1;\n`,
    "src/b.ts":
      `import { a } from "./a.ts";\nexport const b = 1;\nexport const f = (): number => a;\n`,
  };
  await using app = await makeApp({
    ...files,
    "src/api.ts": `${ROUTE}import { a } from "./a.ts";\n${route("get", "a")}`,
  });
  assert.deepEqual(await problems(app), []);
  await app.write("src/api.ts", `${ROUTE}import { f } from "./b.ts";\n${route("get", "f()")}`);
  assert.deepEqual(await problems(app), ["src/a.ts:2 KT2013 b"]);
  await app.write(
    "src/api.ts",
    `${ROUTE}export const get = backend({}, async (): Promise<number> => (await import("./b.ts")).f());\n`,
  );
  assert.deepEqual(await problems(app), ["src/a.ts:2 KT2013 b"]);
});
