/**
 * `init`: what it makes, what it completes, what it refuses.
 *
 * That a new app checks, tests, builds and runs is shown in `tests/registry`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { initApp } from "./init_app.ts";

async function inTemporaryFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kontract_init_" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** All files of a folder with their texts. */
async function tree(folder: string, below = ""): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    if (isDirectory) Object.assign(files, await tree(folder, path));
    else files[path] = await Deno.readTextFile(join(folder, path));
  }
  return files;
}

async function write(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(join(folder, path, ".."), { recursive: true });
    await Deno.writeTextFile(join(folder, path), text);
  }
}

function isConfigError(...parts: readonly string[]): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof KontractError, String(error));
    assert.equal(error.code, "CONFIG");
    for (const part of parts) assert.ok(error.message.includes(part), error.message);
    return true;
  };
}

async function denoFinds(folder: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return code === 0 ? "" : decoder.decode(stdout) + decoder.decode(stderr);
}

const MADE = [
  ".gitignore",
  ".kontract/types.d.ts",
  "README.md",
  "deno.json",
  "kontract.json",
  "src/notes.ts",
  "src/schema.ts",
  "tests/notes_test.ts",
  "web/index.html",
  "web/main.ts",
  "web/style.css",
];

/** What `deno add jsr:@kontract/kontract` writes into an empty folder. */
const ADDED = `{
  "imports": {
    "@kontract/kontract": "jsr:@kontract/kontract@^0.1.0"
  }
}
`;

Deno.test("a new app is formatted and linted, whatever its name's length", async () => {
  await inTemporaryFolder(async (folder) => {
    for (const name of ["a", "my-app", "x".repeat(63)]) {
      const result = await initApp(join(folder, "deep", name));
      assert.equal(result.name, name);
      const files = await tree(result.folder);
      assert.deepEqual(Object.keys(files).sort(), MADE);
      assert.deepEqual(JSON.parse(files["kontract.json"]!), { name });
      assert.equal(await denoFinds(result.folder, "fmt", "--check"), "");
      assert.equal(await denoFinds(result.folder, "lint"), "");
    }
  });
});

Deno.test("a name that cannot be an app's is refused with the rule, and nothing is made", async () => {
  await inTemporaryFolder(async (folder) => {
    const hostile = [
      "My-App",
      "-app",
      "app-",
      "my app",
      "my_app",
      "ünïcode",
      "a.b",
      "x".repeat(64),
      "x".repeat(5000),
      "'; rm -rf ~; '",
      "$(id)",
      "<script>",
      "..%2f",
      "app\u202etxt",
    ];
    for (const name of hostile) {
      await assert.rejects(initApp(join(folder, name)), isConfigError("lower-case letters"), name);
    }
    for (const name of ["con", "nul", "com1"]) {
      await assert.rejects(initApp(join(folder, name)), isConfigError("Windows"));
    }
    for (const name of ["a\0b", "a\nb", "\x1b[31m"]) {
      await assert.rejects(initApp(join(folder, name)), isConfigError("control characters"));
    }
    await assert.rejects(initApp(join(folder, "My App")), isConfigError("'my-app'"));
    assert.deepEqual(await tree(folder), {});
  });
});

Deno.test("a folder with something else in it is refused, told what it has, and left alone", async () => {
  await inTemporaryFolder(async (folder) => {
    const before = Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [`photo${String(i).padStart(2, "0")}.jpg`, "x"]),
    );
    await write(folder, before);
    await assert.rejects(
      initApp(folder),
      isConfigError("photo00.jpg", "photo09.jpg and 2 more", "deno add jsr:@kontract/kontract"),
    );
    assert.deepEqual(await tree(folder), before);
  });
});

Deno.test("a Deno project without Kontract is refused and left alone", async () => {
  await inTemporaryFolder(async (folder) => {
    const before = { "deno.json": "{}\n", "main.ts": "" };
    await write(folder, before);
    await assert.rejects(initApp(folder), isConfigError("deno.json, main.ts", "deno add"));
    assert.deepEqual(await tree(folder), before);
  });
});

Deno.test("a path that is a file, or leads through one, is refused", async () => {
  await inTemporaryFolder(async (folder) => {
    await write(folder, { "app": "text" });
    await assert.rejects(initApp(join(folder, "app")), isConfigError("it is a file"));
    await assert.rejects(initApp(join(folder, "app", "inner")), isConfigError());
    assert.deepEqual(await tree(folder), { "app": "text" });
  });
});

Deno.test("a fresh clone counts as empty: its files stay, and .gitignore gets what must be ignored", async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, "My Clone");
    const kept = { "README.md": "# Mine\n", "LICENSE": "MIT\n", ".git/HEAD": "ref: x\n" };
    await write(path, { ...kept, ".gitignore": "*.log\n/dist" });
    const result = await initApp(path);
    assert.equal(result.name, "my-clone");
    const files = await tree(path);
    for (const [name, text] of Object.entries(kept)) assert.equal(files[name], text);
    assert.equal(files[".gitignore"], "*.log\n/dist\n.kontract/\n");
    assert.ok("src/notes.ts" in files);
  });
});

Deno.test("a folder that 'deno add' made is completed to the app that a new folder gets", async () => {
  await inTemporaryFolder(async (folder) => {
    await write(folder, { "app/deno.json": ADDED, "app/deno.lock": "{}" });
    const result = await initApp(join(folder, "app"));
    const fresh = await initApp(join(folder, "fresh"));
    assert.deepEqual(result.kept, []);
    const files = await tree(result.folder);
    assert.deepEqual(Object.keys(files).sort(), [...MADE, "deno.lock"].sort());
    const { nodeModulesDir: _, ...wanted } = JSON.parse((await tree(fresh.folder))["deno.json"]!);
    assert.deepEqual(JSON.parse(files["deno.json"]!), wanted);
    assert.equal(await denoFinds(result.folder, "fmt", "--check"), "");
  });
});

Deno.test("from a checkout, a folder that is completed uses it as a new app does, beside the links it has", async () => {
  await inTemporaryFolder(async (folder) => {
    const own = ADDED.replace("\n}", ',\n  "links": ["../theirs"]\n}');
    await write(folder, { "added/deno.json": ADDED, "linked/deno.json": own });
    const checkout = join(folder, "kontract");
    const links: Record<string, readonly string[]> = {};
    for (const name of ["fresh", "added", "linked"]) {
      await initApp(join(folder, name), checkout);
      const again = await initApp(join(folder, name), checkout);
      assert.deepEqual([again.created, again.added], [[], []]);
      links[name] = JSON.parse((await tree(join(folder, name)))["deno.json"]!).links;
    }
    assert.deepEqual(links, {
      fresh: ["../kontract"],
      added: ["../kontract"],
      linked: ["../theirs", "../kontract"],
    });
  });
});

Deno.test("completing changes no member, no comment and no file that is there", async () => {
  await inTemporaryFolder(async (folder) => {
    const config = `{
  // The team's own settings.
  "imports": { "@kontract/kontract": "jsr:@kontract/kontract@0.1.0" },
  "tasks": {
    "dev": "deno run -A main.ts", /* the old way */
  },
  "compilerOptions": { "types": ["./own.d.ts"], "lib": ["esnext"] },
  "exclude": [
    "vendor" // not ours
  ]
}
`;
    const mine = { "src/main.ts": "export {};\n", "README.md": "# Mine\n", ".gitignore": "" };
    await write(folder, { ...mine, "deno.jsonc": config });
    const result = await initApp(folder);
    const files = await tree(folder);
    assert.equal(files["src/main.ts"], mine["src/main.ts"]);
    assert.equal(files["README.md"], mine["README.md"]);
    assert.ok(!("src/notes.ts" in files) && !("web/index.html" in files));
    assert.deepEqual(result.kept, ["tasks.dev in deno.jsonc", "compilerOptions.lib in deno.jsonc"]);
    const text = files["deno.jsonc"]!;
    for (
      const part of [
        "// The team's own settings.",
        '"@kontract/kontract": "jsr:@kontract/kontract@0.1.0"',
        '"dev": "deno run -A main.ts", /* the old way */',
        '"vendor", // not ours',
        '"types": ["./own.d.ts", "./.kontract/types.d.ts"]',
        '"@/client": "./dist/client/client.js"',
        '"test": "deno run',
      ]
    ) assert.ok(text.includes(part), text);
    assert.equal(await denoFinds(folder, "task"), "");
    const again = await initApp(folder);
    assert.deepEqual([again.created, again.added], [[], []]);
    assert.deepEqual(await tree(folder), files);
  });
});

Deno.test("a broken or unusable deno.json is a typed error, and nothing is changed", async () => {
  await inTemporaryFolder(async (folder) => {
    const cases: readonly (readonly [text: string, part: string])[] = [
      ["{", "deno.json is not JSON"],
      ["[]", "must be an object"],
      [ADDED.replace("\n}", ',\n  "tasks": []\n}'), "'tasks'"],
      [ADDED.replace("\n}", ',\n  "exclude": "dist"\n}'), "'exclude'"],
      [
        ADDED.replace("\n}", ',\n  "compilerOptions": { "types": "x" }\n}'),
        "'compilerOptions.types'",
      ],
    ];
    for (const [text, part] of cases) {
      await write(folder, { "deno.json": text });
      await assert.rejects(initApp(folder), isConfigError(part));
      assert.deepEqual(await tree(folder), { "deno.json": text });
    }
  });
});

Deno.test("where the disk refuses in the middle, everything is as it was", async () => {
  await inTemporaryFolder(async (folder) => {
    // A file where a folder must be: found out after several files were written.
    const before = { "deno.json": ADDED, "tests": "a file", ".gitignore": "x\n" };
    await write(folder, before);
    await assert.rejects(initApp(folder), isConfigError("'tests/notes_test.ts'", "Nothing was"));
    assert.deepEqual(await tree(folder), before);
    assert.deepEqual(
      (await Array.fromAsync(Deno.readDir(folder))).filter((entry) => entry.isDirectory),
      [],
    );
  });
});

Deno.test("of several at once in one folder exactly one makes the app", async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, "app");
    const ended = await Promise.allSettled(Array.from({ length: 8 }, () => initApp(path)));
    const made = ended.filter((one) => one.status === "fulfilled");
    assert.ok(made.length >= 1);
    const created = made.flatMap((one) => one.value.created);
    assert.equal(created.filter((file) => file === "src/notes.ts").length, 1);
    assert.deepEqual(Object.keys(await tree(path)).sort(), MADE);
    for (const one of ended) {
      if (one.status === "rejected") isConfigError()(one.reason);
    }
  });
});

Deno.test(
  "a link in place of deno.json stays a link",
  { ignore: Deno.build.os === "windows" },
  async () => {
    await inTemporaryFolder(async (folder) => {
      await write(folder, { "shared.json": ADDED });
      await Deno.mkdir(join(folder, "app"));
      await Deno.symlink("../shared.json", join(folder, "app", "deno.json"));
      await initApp(join(folder, "app"));
      assert.ok((await Deno.lstat(join(folder, "app", "deno.json"))).isSymlink);
      assert.match(await Deno.readTextFile(join(folder, "shared.json")), /"tasks"/);
    });
  },
);
