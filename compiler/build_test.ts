/** What a build promises: nothing of the server in the client, the same bytes again, all or nothing. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build, type BuildResult, createBuilder, formatDiagnostics, stopBundler } from "./mod.ts";
import { makeApp, type TestApp } from "./testing/app.ts";
import { largeApp } from "./testing/large_app.ts";
import { listFiles } from "./project.ts";

const SOURCES: Readonly<Record<string, string>> = {
  "src/schema.ts": `import { primkey, table } from "@kontract/kontract";
@table("notes")
export class Note {
  @primkey
  id!: string;
  text = "MARKER_DEFAULT";
}
`,
  "src/limits.ts": `export const SHARED = "MARKER_SHARED";\n`,
  "src/secrets.ts": `import { secret } from "@kontract/kontract";
export const key = (): string => secret("MARKER_SECRET");
`,
  "src/notes.ts": `import { backend, env } from "@kontract/kontract";
import type { Note } from "./schema.ts";
import { key } from "./secrets.ts";
import { SHARED } from "./limits.ts";
export class Notes {
  /** Doubles. */
  @backend({ ugroup: "MARKER_GROUP", readOnly: true })
  static async double(n: number, label: string = "MARKER_PARAMETER"): Promise<string> {
    return await Promise.resolve(\`MARKER_BODY \${label} \${n * 2} \${SHARED}\`);
  }
  @backend({})
  static async save(note: Note): Promise<Note> {
    void key;
    void env;
    return await Promise.resolve(note);
  }
}
`,
  "src/call.ts": `import { backend } from "@kontract/kontract";
export const triple = backend({}, async (n: number) => await Promise.resolve(n * 3));
export const r1000 = backend({}, async (n: number) => await Promise.resolve(n));
export const listen = backend({ readOnly: true }, async function* (n: number) {
  for (let i = 0; i < n; i++) yield await Promise.resolve({ i, text: "MARKER_STREAM" });
});
`,
  "src/decorated.ts": `// deno-fmt-ignore-file
import { backend } from "@kontract/kontract";
/** Greets. */
@backend({ readOnly: true })
export async function greet(name: string): Promise<string> {
  return await Promise.resolve("MARKER_GREETING " + name);
}
`,
  "web/main.ts": `import { double } from "@/client";
import type { Note } from "../src/schema.ts";
import { Notes } from "../src/notes.ts";
import { greet } from "../src/decorated.ts";
import { triple } from "../src/call.ts";
import { SHARED } from "../src/limits.ts";
const note: Note = { id: "1", text: SHARED };
console.log(double, triple, greet, Notes.save, note, "PLANTED_IN_FRONT_END");
`,
  "web/index.html": `<!doctype html><head></head><script type="module" src="./main.ts"></script>\n`,
  "web/style.css": "body { color: red; }\n",
};

async function built(app: TestApp): Promise<BuildResult> {
  const result = await build({ root: app.root, hosts: ["deno"], pins: ["a-pin"] });
  assert.equal(formatDiagnostics(result.diagnostics), "");
  assert.equal(result.ok, true);
  return result;
}

async function contents(folder: string): Promise<Readonly<Record<string, string>>> {
  const files = await listFiles(folder);
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [
      file.slice(folder.length + 1),
      await Deno.readTextFile(file),
    ])),
  );
}

Deno.test("nothing that stands only on the server reaches the client or its source maps", async () => {
  await using app = await makeApp(SOURCES);
  await built(app);
  const client = await contents(join(app.root, "dist", "client"));
  const front = await contents(join(app.root, "dist", "public"));
  const all = Object.values({ ...client, ...front }).join("\n");
  assert.match(all, /PLANTED_IN_FRONT_END/);
  assert.match(all, /MARKER_SHARED/);
  const markers = all.match(/MARKER_\w+/g)?.filter((marker) => marker !== "MARKER_SHARED");
  assert.deepEqual(markers ?? [], []);
  assert.match(client["connection.js"] ?? "", /"pins":\["a-pin"\]/);
});

Deno.test("a module with backend functions gives the client stubs that call the server", async () => {
  await using app = await makeApp(SOURCES);
  await app.write(
    "web/main.ts",
    `import { client } from "@/client";
import { Notes } from "../src/notes.ts";
import { r1000, triple } from "../src/call.ts";
export const sent: unknown[] = [];
client.configure({
  url: "http://localhost",
  transport: () => ({
    call: (op: number, payload: Uint8Array) => {
      sent.push([op, payload.length > 0]);
      return Promise.reject(new Error("enough"));
    },
    stream: () => { throw new Error("enough"); },
    close: () => {},
  }),
});
export const outcome = await Promise.allSettled([Notes.double(1), triple(2), r1000(3)]);
`,
  );
  await built(app);
  const { sent, outcome } = await import(`file://${join(app.root, "dist/public/main.js")}`);
  assert.ok(sent.length > 0, JSON.stringify(outcome));
});

Deno.test("the page points at the built script and other files are copied", async () => {
  await using app = await makeApp(SOURCES);
  await built(app);
  assert.match(await app.read("dist/public/index.html"), /src="\/main\.js"/);
  assert.equal(await app.read("dist/public/style.css"), SOURCES["web/style.css"]);
});

Deno.test("a build whose outputs are others has another hash, whatever file made them so", async () => {
  await using app = await makeApp({
    "src/files.d.ts": `declare module "*.txt" { const file: string; export default file; }\n`,
    "src/words.txt": "one",
    "src/plain.js": "export const plain = 1;\n",
    "src/words.ts": `import { backend } from "@kontract/kontract";
import words from "./words.txt" with { type: "text" };
import { plain } from "./plain.js";
export const read = backend({}, (): Promise<string> => Promise.resolve(words + plain));
`,
    "web/main.ts": `import "../shared/look.css";\nimport image from "../shared/dot.png";\n` +
      `import { read } from "@/client";\nconsole.log(read, image);\n`,
    "web/files.d.ts": `declare module "*.png" { const file: string; export default file; }\n`,
    "web/index.html": "<p>one</p>\n",
    "web/dot.gif": "one",
    "shared/look.css": "p { color: red; }\n",
    "shared/dot.png": "one",
  });
  const hashes: string[] = [];
  const note = async (): Promise<void> => {
    hashes.push((await built(app)).manifest!.build);
  };
  await note();
  for (
    const [file, text] of [
      ["src/words.txt", "two"],
      ["src/plain.js", "export const plain = 2;\n"],
      ["web/index.html", "<p>two</p>\n"],
      ["web/dot.gif", "two"],
      ["shared/look.css", "p { color: blue; }\n"],
      ["shared/dot.png", "two"],
    ] as const
  ) {
    await app.write(file, text);
    await note();
  }
  for (const byte of [0xfe, 0xff]) {
    await Deno.writeFile(join(app.root, "web/dot.gif"), new Uint8Array([byte]));
    await note();
  }
  assert.equal(new Set(hashes).size, 9, hashes.join(" "));
  await app.write("web/.env", "HIDDEN=1\n");
  await note();
  assert.equal(hashes.at(-1), hashes.at(-2), "what is not published is no part of it");
});

Deno.test("an app's own type may be called Client", async () => {
  await using app = await makeApp({
    "src/api.ts": `import { backend } from "@kontract/kontract";
export interface Client { name: string }
export class Api {
  @backend({}) static async findClient(name: string): Promise<Client> { return { name }; }
}
`,
    "web/main.ts": `import { client, findClient } from "@/client";
const name: string = (await findClient("Ada")).name;
client.configure({ url: name });
`,
  });
  await built(app);
});

Deno.test("hidden files and folders beside the front end are not published, but .well-known is", async () => {
  await using app = await makeApp(SOURCES);
  await app.write("web/.env", "PLANTED=1\n");
  await app.write("web/.git/config", "PLANTED\n");
  await app.write("web/pages/.secret.json", "{}\n");
  await app.write("web/.well-known/security.txt", "Contact: mailto:a@example.com\n");
  await built(app);
  const names = Object.keys(await contents(join(app.root, "dist", "public")));
  assert.deepEqual(names.filter((name) => /(?:^|\/)\./.test(name)), [".well-known/security.txt"]);
});

Deno.test("a first build of dev that fails at a file of the front end's leaves nothing beside its output", async () => {
  await using app = await makeApp({ ...largeApp(4, 2), "web/main.ts": "", "web/a.txt": "" });
  const builder = createBuilder({ root: app.root, hosts: ["deno"], layout: "modules" });
  const { readFile } = Deno;
  Deno.readFile = () => Promise.reject(new Error("Input/output error (os error 5)"));
  const { diagnostics } = await builder.rebuild().finally(() => Deno.readFile = readFile);
  assert.match(formatDiagnostics(diagnostics), /a source cannot be read: Input/);
  // Takes longer than whatever the failed one might still be doing.
  await using other = await makeApp(largeApp(4, 2));
  assert.ok((await build({ root: other.root, hosts: ["deno"] })).ok);
  const names = [...Deno.readDirSync(app.root)].map(({ name }) => name);
  assert.deepEqual(names.filter((name) => name.includes("dist")), []);
});

Deno.test("a link that leads out of the front end's folder fails the build, one inside is copied", async () => {
  await using app = await makeApp(SOURCES);
  const web = join(app.root, "web");
  await Deno.symlink(join(web, "style.css"), join(web, "theme.css"));
  await built(app);
  assert.equal(await app.read("dist/public/theme.css"), SOURCES["web/style.css"]);
  await app.write("secrets.txt", "OUTSIDE");
  await Deno.symlink("../secrets.txt", join(web, "notes.txt"));
  const { ok, diagnostics } = await build({ root: app.root });
  assert.deepEqual([ok, diagnostics.map(({ code }) => code)], [false, ["KT5002"]]);
  assert.match(diagnostics[0]!.message, /^'web\/notes.txt' is a link/);
  assert.doesNotMatch(JSON.stringify(await contents(join(app.root, "dist"))), /OUTSIDE/);
});

Deno.test("the output is one build: built for one host, nothing of an earlier build is left", async () => {
  await using app = await makeApp(SOURCES);
  const hosts = async (): Promise<string[]> => {
    const names = await Array.fromAsync(Deno.readDir(join(app.root, "dist")), ({ name }) => name);
    return names.filter((name) => name === "worker" || name === "deno").sort();
  };
  assert.ok((await build({ root: app.root })).ok);
  assert.deepEqual(await hosts(), ["deno", "worker"]);
  await built(app);
  assert.deepEqual(await hosts(), ["deno"]);
});

Deno.test("the same sources in a folder that lies deeper give the same bytes", async () => {
  await using one = await makeApp(SOURCES);
  await using two = await makeApp(SOURCES, "somewhere/else/app");
  await built(one);
  await built(two);
  const first = await contents(join(one.root, "dist"));
  const second = await contents(join(two.root, "dist"));
  assert.deepEqual(Object.keys(first), Object.keys(second));
  for (const [name, text] of Object.entries(first)) {
    assert.equal(text === second[name], true, `${name} differs`);
    assert.equal(text.includes(one.root), false, `${name} holds the path of this machine`);
  }
});

Deno.test("the server's chunks hold routes that decode, run and encode", async () => {
  await using app = await makeApp(SOURCES);
  const result = await built(app);
  const route = async (name: string) => {
    const file = result.report.routes.find((one) => one.name === name)?.file;
    assert.ok(file !== undefined, `the report names no chunk of ${name}`);
    const module = await import(`file://${join(app.root, "dist", file)}`);
    return module.routes[name];
  };
  const double = await route("double");
  const args = double.argumentsFromJson([21, "x"]);
  assert.deepEqual(args, [21, "x"]);
  assert.equal(await double.invoke(args), "MARKER_BODY x 42 MARKER_SHARED");
  assert.equal(
    await double.invoke(double.argumentsFromJson([1])),
    "MARKER_BODY MARKER_PARAMETER 2 MARKER_SHARED",
  );
  assert.throws(() => double.argumentsFromJson(["no number"]), { code: "VALIDATION" });
  assert.throws(() => double.decodeArguments(new Uint8Array([1, 2, 3])), { code: "RAY_DECODE" });
  assert.equal(await (await route("triple")).invoke([3]), 9);
  assert.equal(await (await route("greet")).invoke(["Ada"]), "MARKER_GREETING Ada");
  const listen = await route("listen");
  const seen: unknown[] = [];
  for await (const element of listen.invoke([2])) seen.push(listen.resultToJson(element));
  assert.deepEqual(seen, [{ i: 0, text: "MARKER_STREAM" }, { i: 1, text: "MARKER_STREAM" }]);
});

Deno.test("client and server mean the same bytes", async () => {
  await using app = await makeApp(SOURCES);
  await app.write("web/main.ts", `export * from "../dist-codec.js";\nexport {};\n`);
  await app.write("web/main.ts", `import * as all from "@/client";\nconsole.log(all);\n`);
  const result = await built(app);
  const file = result.report.routes.find((one) => one.name === "save")?.file ?? "";
  const { routes } = await import(`file://${join(app.root, "dist", file)}`);
  const op = result.manifest?.routes.find((one) => one.name === "save")?.op;
  const codec = (await app.read("dist/client/codec.js")).replaceAll(
    `"@kontract/kontract/codec"`,
    JSON.stringify(new URL("../protocol/codec/mod.ts", import.meta.url).href),
  );
  await app.write("codec.js", codec);
  const client = await import(`file://${join(app.root, "codec.js")}`);
  const note = { id: "1", text: "größer 名前" };
  const bytes = client[`encode_a${op}`]([note]);
  assert.deepEqual(routes.save.decodeArguments(bytes), [note]);
  assert.deepEqual(client[`decode_r${op}`](routes.save.encodeResult(note)), note);
});

Deno.test("a failed build leaves the last good output and lock as they are", async () => {
  await using app = await makeApp(SOURCES);
  await built(app);
  const before = await contents(join(app.root, "dist"));
  const lock = await app.read("kontract.lock.json");
  await app.write("web/main.ts", `import { key } from "../src/secrets.ts";\nconsole.log(key);\n`);
  const failed = await build({ root: app.root, hosts: ["deno"] });
  assert.equal(failed.ok, false);
  assert.deepEqual(failed.diagnostics.map((one) => one.code), ["KT5001"]);
  assert.deepEqual(await contents(join(app.root, "dist")), before);
  assert.equal(await app.read("kontract.lock.json"), lock);
  const left = [...Deno.readDirSync(app.root)].map((entry) => entry.name).sort();
  assert.deepEqual(left, [".kontract", "deno.json", "dist", "kontract.lock.json", "src", "web"]);
});

Deno.test("a first build whose front end fails leaves nothing of the server that it had made", async () => {
  await using app = await makeApp({
    ...largeApp(4, 2),
    "web/main.ts": `import { nothing } from "@/client";\nconsole.log(nothing);\n`,
  });
  const builder = createBuilder({ root: app.root, hosts: ["deno"], layout: "modules" });
  const names = (): string[] => [...Deno.readDirSync(app.root)].map(({ name }) => name);
  assert.equal((await builder.rebuild()).ok, false);
  assert.deepEqual(names().filter((name) => name.includes("dist")), []);
  await app.write("web/main.ts", `import { get0_0 } from "@/client";\nvoid get0_0;\n`);
  assert.equal((await builder.rebuild()).ok, true);
  assert.deepEqual(names().filter((name) => name.includes("dist")), ["dist"]);
});

Deno.test("a builder that saw many edits gives what a clean build gives", async () => {
  await using app = await makeApp(SOURCES);
  const builder = createBuilder({ root: app.root, hosts: ["deno"] });
  try {
    assert.equal((await builder.rebuild()).ok, true);
    await app.write(
      "src/extra.ts",
      SOURCES["src/call.ts"]!.replaceAll("triple", "four").replaceAll("listen", "hear")
        .replaceAll("r1000", "r1001"),
    );
    assert.equal((await builder.rebuild()).ok, true);
    await app.write("src/limits.ts", `export const SHARED = 5;\n`);
    const wrong = await builder.rebuild();
    assert.deepEqual(wrong.diagnostics.map((one) => one.code), []);
    await app.write("src/limits.ts", `export const OTHER = 5;\n`);
    assert.equal((await builder.rebuild()).ok, false);
    await app.write("src/limits.ts", `export const SHARED = "again";\n`);
    assert.equal((await builder.rebuild()).ok, true);
  } finally {
    await stopBundler();
  }
  const incremental = await contents(join(app.root, "dist"));
  await build({ root: app.root, hosts: ["deno"] });
  assert.deepEqual(incremental, await contents(join(app.root, "dist")));
});

Deno.test("the front end is checked against the generated client", async () => {
  await using app = await makeApp(SOURCES);
  await app.write(
    "web/main.ts",
    `import { client, double } from "@/client";\nconst n: number = await double("2");\nconsole.log(n);\nclient.nope();\n`,
  );
  const { check } = await import("./mod.ts");
  const result = await check(app.root);
  assert.deepEqual(
    result.diagnostics.map((
      one,
    ) => [one.code, one.span?.file, one.span?.line, one.message.split(":")[0]]),
    [["KT1004", "web/main.ts", 2, "TS2322"], ["KT1004", "web/main.ts", 2, "TS2345"], [
      "KT1004",
      "web/main.ts",
      4,
      "TS2339",
    ]],
  );
});

Deno.test("a build for Workers warns of 'Deno' in what runs there, and a build for Deno does not", async () => {
  await using app = await makeApp({
    "src/a.ts": `import { backend } from "@kontract/kontract";
import { region } from "./settings.ts";
export const where = backend({}, async (): Promise<string> => await Promise.resolve(region()));
export type Info = Deno.FileInfo;
`,
    "src/settings.ts": `export const region = (): string => Deno.env.get("REGION") ?? "";\n`,
    "src/both.ts": `import { backend } from "@kontract/kontract";
export const host = backend({}, async (): Promise<string> =>
  await Promise.resolve(typeof Deno === "undefined" ? "workerd" : Deno.version.deno));
`,
    "src/script.ts": `console.log(Deno.args);\n`,
  });
  const places = async (hosts: readonly ("workers" | "deno")[]): Promise<readonly string[]> => {
    const { ok, diagnostics } = await build({ root: app.root, hosts });
    assert.ok(ok);
    return diagnostics.map(({ code, severity, span }) => `${severity} ${code} ${span?.file}`);
  };
  assert.deepEqual(await places(["workers", "deno"]), ["warning KT5003 src/settings.ts"]);
  assert.deepEqual(await places(["deno"]), []);
});

Deno.test("a name that is put together as the page runs leads to nothing of Kontract's own", async () => {
  await using app = await makeApp({
    "src/a.ts": `import { backend } from "@kontract/kontract";
export const a = backend({}, (): Promise<number> => Promise.resolve(1));
`,
    ".kontract/dev.json": `{ "password": "MARKER_PASSWORD" }`,
    "web/data/one.json": `{ "word": "PLANTED" }`,
    "web/main.ts": "console.log(await import(`../${location.hash}.json`));\nexport {};\n",
  });
  const { ok, diagnostics } = await build({ root: app.root, hosts: ["deno"] });
  assert.equal(ok, false);
  assert.match(
    formatDiagnostics(diagnostics),
    /KT5001 '\.kontract\/dev\.json' is Kontract's own, and may hold passwords\.\n {2}at web\/main\.ts:1:26[^]*hint: /,
  );
  await app.write(
    "web/main.ts",
    "console.log(await import(`./data/${location.hash}.json`));\nexport {};\n",
  );
  assert.ok((await build({ root: app.root, hosts: ["deno"] })).ok);
  const texts = await Promise.all(
    (await listFiles(join(app.root, "dist", "public"))).map((file) => Deno.readTextFile(file)),
  );
  assert.match(texts.join("\n"), /PLANTED/);
  assert.doesNotMatch(texts.join("\n"), /MARKER/);
});
