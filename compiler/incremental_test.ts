/**
 * A builder that saw edits gives what a clean build gives, byte for byte, whatever the edits were; and so
 * does a build that takes up what another process left in `.kontract/`, whatever state that is in.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build, type BuildResult, createBuilder, formatDiagnostics } from "./mod.ts";
import { listFiles } from "./project.ts";
import { makeApp, type TestApp } from "./testing/app.ts";
import { type Random, randomFrom } from "./testing/random.ts";

const LONG = Deno.env.has("KONTRACT_LONG");
const SEQUENCES = LONG ? 40 : 2;
const EDITS = LONG ? 9 : 6;

const SHARED = [
  `export interface Shared { id: string }\nexport const limit = 1;\n`,
  `export interface Shared { id: string; more?: number[] }\nexport const limit = 2;\n`,
  `export interface Shared { id: string; kind: "a" | "b" }\nexport const limit = 2;\n`,
  `export interface Other { id: string }\nexport const limit = 1;\n`,
  `export interface Shared { id: string\nexport const limit = ;\n`,
];

/** What routes import their types from: the names go through it in one way or another. */
const BARREL = [
  `export * from "./shared.ts";\n`,
  `export { limit, type Shared } from "./shared.ts";\n`,
  `import { limit, Shared } from "./shared.ts";\nexport { limit, Shared };\n`,
  `export { limit } from "./shared.ts";\nexport interface Shared { own: boolean }\n`,
];

function routeFile(name: string, random: Random): string {
  const shared = random.pick(["./shared.ts", "./barrel.ts", null]);
  const broken = random.chance(0.3);
  const own = `{ of: ${random.pick(["Shared", "string", "Own[]", "Date | null", "Box<Shared>"])} }`;
  return [
    `import { backend } from "@kontract/kontract";`,
    shared === null
      ? `type Shared = "x" | "y";`
      : `import { limit, type Shared } from "${shared}";`,
    broken ? `import { Broken } from "./broken.ts";` : "",
    `interface Own { name: string; size?: ${random.pick(["number", "string", "bigint"])} }`,
    `interface Box<T> { inside: T; many: ${random.pick(["T[]", "Set<T>"])} }`,
    `/** Number ${random.below(9)}. */`,
    `export const ${name} = backend({ readOnly: ${random.chance(0.5)}${
      random.chance(0.2) ? `, name: "${name}_${random.below(2)}"` : ""
    } }, async (a: ${own}): Promise<Own | null> => {`,
    "\n".repeat(random.below(3)),
    broken && random.chance(0.5) ? `  if (Math.random() > 2) throw new Broken();` : "",
    `  void ${shared === null ? "null" : "limit"}; void a; return await Promise.resolve(${
      random.chance(0.1) ? `{ name: 5 }` : `{ name: "${random.below(99)}" }`
    });`,
    `});`,
    // With or without a word for it, these are types: no module has such a value.
    `export ${random.pick(["type ", ""])}{ Box, Own, Shared };`,
    random.chance(0.05) ? "}" : "",
    "",
  ].join("\n");
}

function brokenFile(random: Random): string {
  const code = `BROKEN_${random.below(2)}`;
  return `import { AppError } from "@kontract/kontract";
export class Broken extends AppError<"${code}"> {
  constructor() {
    super("${code}", "${random.below(3)}");
  }
}
`;
}

function tableFile(random: Random): string {
  return `import { primkey, table } from "@kontract/kontract";
@table("${random.pick(["notes", "letters"])}")
export class Note {
  @primkey
  id!: string;
  ${random.pick(["text", "body"])}: ${random.pick([`string = "${random.below(3)}"`, "number = 4"])};
}
`;
}

function middlewareFile(random: Random): string {
  const filter = random.pick([
    `prefix: "route1"`,
    `prefix: "route"`,
    `endpoints: ["route1", "route2"]`,
  ]);
  return `import { defineMiddleware } from "@kontract/kontract";
const mark = "${random.below(9)}";
export const around = defineMiddleware({ ${filter} }, async (next) => {
  const result = await next();
  return ${random.pick(["result", "[mark, result][1]"])};
});
`;
}

function webFile(random: Random): string {
  return random.pick([
    `import { api } from "@/client";\nconsole.log(api);\n`,
    `import { limit } from "../src/shared.ts";\nconsole.log(limit);\n`,
    `import type { Shared } from "../src/shared.ts";\nexport const some: Shared[] = [];\n`,
    `import { client } from "@/client";\nconsole.log(client, ${random.below(9)});\n`,
    `import { route1 } from "@/client";\nexport { moved_1 } from "@/client";\nconsole.log(route1);\n`,
    `import * as all from "@/client";\nimport "./part.ts";\nconsole.log(all);\n`,
    `import { route1 } from "../src/route1.ts";\nimport "./look.css";\nconsole.log(route1);\n`,
    `import { part } from "./part.ts";\nconsole.log(part, import("./later.ts"));\n`,
    `console.log(import("./part.ts"), import("./later.ts"), import("@/client"));\n`,
  ]);
}

/** An edit of a file of the front end: its script, a part of that, one that is loaded later, its style, its page. */
function webEdit(random: Random): readonly [path: string, text: string] {
  const n = random.below(9);
  return random.pick([
    ["web/main.ts", webFile(random)],
    ["web/main.ts", webFile(random)],
    ["web/part.ts", `import { client } from "@/client";\nexport const part = [client, ${n}];\n`],
    ["web/part.ts", `export const part = ${random.pick([`${n}`, "missing()", ""])};\n`],
    ["web/later.ts", `import { part } from "./part.ts";\nexport const later = [part, ${n}];\n`],
    ["web/later.ts", `export { Broken } from "@/client";\nconsole.log(${n});\n`],
    ["web/look.css", `@import "./more.css";\np { margin: ${n}px }\n`],
    ["web/more.css", `b { margin: ${n}px }\n`],
    ["web/index.html", `<head></head><script type="module" src="./main.ts"></script>${n}\n`],
  ]);
}

/** Texts that files had, so that an edit may be taken back. */
type History = [path: string, text: string][];

/** One edit of the app in `names`, the route files there are. */
async function edit(
  app: TestApp,
  names: Set<string>,
  history: History,
  random: Random,
): Promise<void> {
  const write = async (path: string, text: string): Promise<void> => {
    history.push([path, text]);
    await app.write(path, text);
  };
  const add = async (name: string): Promise<void> => {
    names.add(name);
    await write(`src/${name}.ts`, routeFile(name, random));
  };
  const some = (): string => random.pick([...names]);
  switch (random.below(15)) {
    case 0:
    case 1:
      return await add(`route${1 + random.below(6)}`);
    case 2:
      return await add(some());
    case 3: {
      if (names.size < 2) return await add("route1");
      const name = some();
      names.delete(name);
      return await app.write(`src/${name}.ts`, null);
    }
    case 4: {
      // The same function in another file.
      const name = some(), text = await app.read(`src/${name}.ts`);
      const moved = `moved_${random.below(9)}`;
      if (names.has(moved)) return;
      await app.write(`src/${name}.ts`, null);
      names.delete(name);
      names.add(moved);
      return await app.write(`src/${moved}.ts`, text);
    }
    case 5: {
      // Nothing but places, or a body, is another.
      const path = `src/${some()}.ts`, text = await app.read(path);
      return await write(path, random.pick([`// moved\n${text}`, text.replace("void a;", "")]));
    }
    case 6:
    case 7:
      return await write("src/shared.ts", random.pick(SHARED));
    case 8:
      return await write("src/barrel.ts", random.pick(BARREL));
    case 9:
      return await write("src/schema.ts", tableFile(random));
    case 10:
      return await write("src/broken.ts", brokenFile(random));
    case 11: {
      const [path, text] = random.pick(history);
      const name = /^src\/((?:route|moved_)\d+)\.ts$/.exec(path)?.[1];
      if (name !== undefined) names.add(name);
      return await app.write(path, text);
    }
    case 12:
      return await write("src/around.ts", middlewareFile(random));
    default:
      return await write(...webEdit(random));
  }
}

async function outcome(
  app: TestApp,
  result: BuildResult,
): Promise<Readonly<Record<string, string>> | string> {
  if (!result.ok) {
    // What a process tried out itself it may retire without a question; a new process asks.
    const problems = result.diagnostics.filter((one) => one.code !== "KT2007");
    return `failed\n${formatDiagnostics(problems)}`;
  }
  const folder = join(app.root, "dist");
  const texts = (await listFiles(folder)).map(async (file) =>
    [file.slice(folder.length + 1), await Deno.readTextFile(file)] as const
  );
  return Object.fromEntries(await Promise.all(texts));
}

/** What a crash, another version or a hand may do to the cache: `.kontract/checked.json`. */
async function disturb(app: TestApp, random: Random): Promise<void> {
  const file = join(app.root, ".kontract", "checked.json");
  // A build that failed may have left none.
  const text = await Deno.readTextFile(file).catch(() => "");
  const at = random.below(text.length);
  await Deno.writeTextFile(
    file,
    random.pick([
      text.slice(0, at),
      text.slice(0, at) + "0" + text.slice(at + 1),
      text.replaceAll('"problems":[]', '"problems":[{}]'),
      "",
      text,
    ]),
  );
}

for (let seed = 1; seed <= SEQUENCES; seed++) {
  const layout = seed % 2 === 0 ? "bundle" : "modules";
  Deno.test(`after random edits a builder gives what a clean build gives, ${layout}, sequence ${seed}`, async () => {
    const random = randomFrom(seed + Number(Deno.env.get("SEED") ?? 0) * 1000);
    const names = new Set(["route1"]);
    const files = {
      "src/shared.ts": SHARED[0]!,
      "src/barrel.ts": BARREL[0]!,
      "src/broken.ts": brokenFile(random),
      "src/schema.ts": tableFile(random),
      "src/route1.ts": routeFile("route1", randomFrom(1)),
      "web/main.ts": webFile(randomFrom(1)),
      "web/part.ts": "export const part = 1;\n",
      "web/later.ts": "export const later = 1;\n",
      "web/look.css": "p { margin: 0 }\n",
    };
    const history: History = Object.entries(files);
    await using app = await makeApp(files);
    const options = { root: app.root, hosts: ["deno"], layout } as const;
    const builder = createBuilder(options);
    assert.equal(formatDiagnostics((await builder.rebuild()).diagnostics), "");
    for (let i = 1; i <= EDITS; i++) {
      await edit(app, names, history, random);
      if (random.chance(0.3)) await edit(app, names, history, random);
      const result = await builder.rebuild();
      if (i % 2 === 0) await builder.settle();
      if (i % 3 !== 0) continue;
      const incremental = await outcome(app, result);
      await disturb(app, random);
      const warm = await outcome(app, await build(options));
      await app.write(".kontract/checked.json", null);
      const clean = await outcome(app, await build(options));
      assert.deepEqual(
        warm,
        clean,
        `sequence ${seed}, edit ${i}, with the cache of another process`,
      );
      if (typeof clean === "string" && clean.trim() === "failed") continue;
      assert.deepEqual(incremental, clean, `sequence ${seed}, edit ${i}`);
    }
  });
}

Deno.test("an edit reaches what depends on it in other files, and reaches back when it is undone", async () => {
  const middleware = (more: string): string =>
    `import { defineMiddleware } from "@kontract/kontract";
export const around = defineMiddleware({ prefix: "route" }, async (next): Promise<unknown> => {
  ${more}
  return await next();
});
`;
  const route = `import { backend } from "@kontract/kontract";
import { limit, type Shared } from "./barrel.ts";
export const route1 = backend({}, (a: Shared): Promise<number> => Promise.resolve(limit + a.id.length));
`;
  const files: Readonly<Record<string, string>> = {
    "src/shared.ts": SHARED[0]!,
    "src/barrel.ts": BARREL[2]!,
    "src/around.ts": middleware(""),
    "src/route1.ts": route,
    "web/main.ts": `import { limit } from "../src/shared.ts";\nconsole.log(limit);\n`,
  };
  const edits: readonly (readonly [path: string, text: string])[] = [
    // A type error in a file that nobody touched.
    ["src/shared.ts", SHARED[3]!],
    ["src/shared.ts", SHARED[1]!],
    // A body that is spliced into another module.
    ["src/around.ts", middleware("await Promise.resolve();")],
    // A name that was a type alone becomes a value.
    [
      "src/shared.ts",
      `export interface Shared { id: string }\nexport const Shared = 1;\nexport const limit = 2;\n`,
    ],
    ["src/shared.ts", SHARED[0]!],
  ];
  await using app = await makeApp(files);
  const options = { root: app.root, hosts: ["deno"], layout: "modules" } as const;
  const builder = createBuilder(options);
  assert.equal(formatDiagnostics((await builder.rebuild()).diagnostics), "");
  for (const [i, [path, text]] of edits.entries()) {
    await app.write(path, text);
    const incremental = await outcome(app, await builder.rebuild());
    await app.write(".kontract/checked.json", null);
    assert.equal(typeof incremental, i === 0 ? "string" : "object", `edit ${i}`);
    assert.deepEqual(incremental, await outcome(app, await build(options)), `edit ${i}`);
  }
});

Deno.test("what a file loses or does too early is told when another file makes it so", async () => {
  const helper = (awaits: string): string =>
    `import { env, primkey, secret, table } from "@kontract/kontract";
@table("notes")
export class Note {
  @primkey
  id!: string;
}
export function save(id: string): Promise<unknown> {
  return ${awaits};
}
export function key(): string {
  return ${awaits.startsWith("env") ? 'secret("KEY")' : '"key"'};
}
`;
  const plain = helper("Promise.resolve(id)"), operation = helper("env.storage.notes.get(id)");
  await using app = await makeApp({
    "src/helper.ts": plain,
    "src/route.ts": `import { backend } from "@kontract/kontract";
import { key, save } from "./helper.ts";
const early = key();
export class Notes {
  @backend({})
  static async note(id: string): Promise<string> {
    save(id);
    [id].forEach(async (one) => { await save(one); });
    return early;
  }
}
`,
  });
  const builder = createBuilder({ root: app.root, hosts: [] });
  for (const [text, wanted] of [[plain, []], [operation, THREE], [plain, []], [operation, THREE]]) {
    await app.write("src/helper.ts", text as string);
    const { diagnostics } = await builder.rebuild();
    assert.deepEqual(
      diagnostics.map(({ code, span }) => `${code} ${span?.file}:${span?.line}`),
      wanted,
    );
  }
});

const THREE: readonly string[] = [
  "KT2015 src/route.ts:3",
  "KT2014 src/route.ts:7",
  "KT2014 src/route.ts:8",
];

Deno.test("builds of one app at once, some of them killed, leave an output and a cache that are whole", async () => {
  const random = randomFrom(7);
  await using app = await makeApp({
    "src/shared.ts": SHARED[0]!,
    "src/barrel.ts": BARREL[0]!,
    "src/broken.ts": brokenFile(random),
    "src/route1.ts": routeFile("route1", randomFrom(1)),
    "src/route2.ts": routeFile("route2", randomFrom(2)),
  });
  const options = { root: app.root, hosts: ["deno"] } as const;
  await build(options);
  const script = new URL("./testing/build_again.ts", import.meta.url).href;
  const children = Array.from({ length: 2 }, () =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script, app.root],
      stdout: "piped",
      stderr: "inherit",
    }).spawn());
  await Promise.all(children.map(async (child) => {
    const lines = child.stdout.getReader();
    for (let built = 0; built < 1; built++) {
      const { done, value } = await lines.read();
      assert.ok(!done, "a build beside another one ended");
      assert.doesNotMatch(new TextDecoder().decode(value), /failed/);
    }
    await new Promise((resolve) => setTimeout(resolve, random.below(300)));
    child.kill("SIGKILL");
    await lines.cancel();
    await child.status;
  }));
  const warm = await outcome(app, await build(options));
  await app.write(".kontract/checked.json", null);
  const clean = await outcome(app, await build(options));
  assert.deepEqual(warm, clean);
  assert.notEqual(typeof clean, "string");
  const left = [...Deno.readDirSync(app.root), ...Deno.readDirSync(join(app.root, ".kontract"))];
  assert.deepEqual(left.filter(({ name }) => name.includes(".kontract-")), []);
});
