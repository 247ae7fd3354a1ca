/** What a builder keeps between two builds, and what it must not. */
import assert from "node:assert/strict";
import { stopBundler } from "./bundler_process.ts";
import { build, createBuilder } from "./mod.ts";
import { makeApp } from "./testing/app.ts";

const NOTES = `import { AppError, backend, primkey, table } from "@kontract/kontract";

@table("notes")
export class Note {
  @primkey
  id!: string;
  text = "";
}

export class Full extends AppError<"FULL"> {
  constructor() {
    super("FULL");
  }
}

export class Notes {
  @backend({})
  static async first(n: number): Promise<number> {
    /* body */
    if (n > 3) throw new Full();
    return await Promise.resolve(n);
  }
  @backend({})
  static async second(): Promise<void> {}
}
`;

Deno.test({
  name: "an edit inside a function moves what stands behind it, and declares nothing anew",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using app = await makeApp({
      "src/notes.ts": NOTES,
      "src/other.ts": NOTES.replaceAll("Note", "Other").replaceAll("notes", "others")
        .replaceAll("Full", "None").replaceAll("FULL", "NONE")
        .replaceAll("first", "third").replaceAll("second", "fourth"),
    });
    const options = { root: app.root, hosts: [] } as const;
    const builder = createBuilder(options);
    const edits = [
      NOTES,
      NOTES.replace("/* body */", "/* longer */\n\n\n"),
      NOTES.replace("n: number", "n: number, m: string"),
      `// moved\n\n${NOTES}`,
    ];
    await builder.rebuild();
    for (const [n, text] of edits.entries()) {
      await app.write("src/notes.ts", text);
      const again = await builder.rebuild();
      const clean = await build(options);
      assert.deepEqual(again.diagnostics, clean.diagnostics, `edit ${n}`);
      assert.deepEqual(again.manifest, clean.manifest, `edit ${n}`);
      assert.notEqual(again.manifest, undefined);
    }
    await stopBundler();
  },
});

Deno.test({
  name: "a file of the front end is read again when it has changed, and not before",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using app = await makeApp({
      "src/notes.ts": NOTES,
      "web/index.html": "<p>notes</p>\n",
      "web/notes.txt": "one",
    });
    const builder = createBuilder({ root: app.root, hosts: ["deno"], layout: "modules" });
    const published = async (): Promise<unknown> =>
      (await builder.rebuild()).outputs.get("public/notes.txt");
    const first = await published();
    assert.deepEqual(first, new TextEncoder().encode("one"));
    await app.write("src/notes.ts", NOTES.replace("/* body */", "/* longer */"));
    assert.equal(await published(), first);
    await app.write("web/notes.txt", "two");
    assert.deepEqual(await published(), new TextEncoder().encode("two"));
    await stopBundler();
  },
});

Deno.test({
  name: "an app without Kontract is told how to get it",
  async fn() {
    await using app = await makeApp({ "src/a.ts": "export const a = 1;\n", "deno.json": "{}" });
    const { ok, diagnostics } = await build({ root: app.root, hosts: [] });
    assert.equal(ok, false);
    assert.deepEqual(diagnostics.map(({ code }) => code), ["KT1002"]);
    assert.match(diagnostics[0]!.hint ?? "", /deno add jsr:@kontract\/kontract/);
  },
});

Deno.test({
  name:
    "what only the bundler can know fails the build at its line: node's modules, packages that need them, imports and names of the front end",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using app = await makeApp({
      "src/notes.ts": NOTES,
      "web/index.html": "<!doctype html><script type=module src=main.ts></script>",
      "web/main.ts": `import { readFileSync } from "node:fs";\nconsole.log(readFileSync);\n`,
    });
    const { ok, diagnostics } = await build({ root: app.root, hosts: ["deno"] });
    assert.equal(ok, false);
    const found = diagnostics.filter(({ message }) => /node:fs/.test(message));
    assert.deepEqual(found.map(({ code, span, hint }) => [code, span?.file, span?.line, hint]), [
      ["KT5001", "web/main.ts", 1, "Use it in a backend function."],
    ]);
    await app.write("web/part.ts", "export const part = 1;\n");
    await app.write("web/main.ts", `import { part } from "./part";\nconsole.log(part);\n`);
    const again = await build({ root: app.root, hosts: ["deno"] });
    assert.deepEqual(
      again.diagnostics.map(({ code, span, hint }) => [code, span?.file, span?.line, hint]),
      [["KT1002", "web/main.ts", 1, 'Write "./part.ts".']],
    );
    await app.write(
      "web/part.ts",
      `import postgres from "postgres";\nexport const part = postgres;\n`,
    );
    await app.write(
      "web/main.ts",
      `import { part } from "./part.ts";\nimport { nobody } from "@/client";\nconsole.log(part, nobody);\n`,
    );
    const packages = await build({ root: app.root, hosts: ["deno"] });
    assert.deepEqual(
      packages.diagnostics.map((
        { code, span, message },
      ) => [code, span?.file, span?.line, message]),
      [[
        "KT5001",
        "web/part.ts",
        1,
        "'postgres' is for servers: it needs modules that no browser has.",
      ]],
    );
    await app.write("web/part.ts", "export const part = 1;\n");
    const names = await build({ root: app.root, hosts: ["deno"] });
    assert.deepEqual(
      names.diagnostics.map(({ code, span, message }) => [code, span?.file, span?.line, message]),
      [[
        "KT7001",
        "web/main.ts",
        2,
        "There is no 'nobody' in '@/client': no backend function has this name.",
      ]],
    );
    await app.write("web/main.ts", `import { frist } from "@/client";\nconsole.log(frist);\n`);
    for (const layout of ["bundle", "modules"] as const) {
      const close = await build({ root: app.root, hosts: ["deno"], layout });
      assert.deepEqual(close.diagnostics.map(({ hint }) => hint), ["Did you mean 'first'?"]);
    }
    await assert.rejects(app.read("dist/manifest.json"), Deno.errors.NotFound);
    await stopBundler();
  },
});
