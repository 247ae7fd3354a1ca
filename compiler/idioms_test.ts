/** What people write and what is right is let through: no false alarm in a build, nor in a check. */
import assert from "node:assert/strict";
import { check, createBuilder, formatDiagnostics } from "./mod.ts";
import { makeApp } from "./testing/app.ts";

const PAGE = `<!doctype html><head></head><script type="module" src="./main.ts"></script>`;

const FILES: Readonly<Record<string, string>> = {
  "src/schema.ts": `import { primkey, table } from "@kontract/kontract";
@table("notes")
export class Note {
  @primkey
  id!: string;
  text!: string;
}
`,
  // Without types, as many a CommonJS package is.
  "src/untyped.js": `export const words = (text) => text.split(" ").length;\n`,
  "src/count.ts": `import { backend } from "@kontract/kontract";
import { words } from "./untyped.js";
export const count = backend({}, async (text: string): Promise<number> => await Promise.resolve(words(text)));
`,
  "src/notes.ts": `import { backend, ctx, env, secret } from "@kontract/kontract";
import { LIMITS, Color } from "../shared/both.ts";
import hello from "./hello.txt" with { type: "text" };
const { notes } = env.storage;
const me = (): string => ctx.owner;
const key = () => secret("KEY");
const settings = { get key() { return secret("KEY"); } };
class Cache {
  static #key?: string;
  static key(): string { return this.#key ??= key(); }
  own = secret("OWN");
}
type Context = typeof ctx;
export const ownerOf = (context: Context = ctx): string => context.owner;
export class Notes {
  @backend({})
  static async clear(ids: string[]): Promise<number> {
    const jobs: Promise<unknown>[] = [];
    for (const id of ids) jobs.push(notes.delete(id));
    await Promise.all(jobs);
    await Promise.all(ids.map((id) => notes.delete(id)));
    ids.forEach((id) => jobs.push(notes.delete(id)));
    void notes.delete("a");
    const pending = notes.get(me() + Cache.key() + settings.key + new Cache().own);
    const text = await notes.get("b").then((one) => one?.text).catch(() => null);
    if (await notes.has("c") && await pending !== null) await notes.delete("c");
    return ids.length + (text?.length ?? 0) + LIMITS.max + hello.length;
  }
  @backend({})
  static drop(id: string) { return notes.delete(id); }
  @backend({})
  static async paint(color: Color): Promise<Color> { return await Promise.resolve(color); }
}
export const lazy = backend({}, async (): Promise<string> => {
  const { text } = await import("./services/late.ts");
  return text();
});
`,
  "src/services/env.ts": `import { env } from "@kontract/kontract";
export interface Where { host: string }
export const notes = () => env.storage.notes;
`,
  "src/files.d.ts": `declare module "*.txt" { const file: string; export default file; }\n`,
  "src/hello.txt": "hello",
  "web/hello.txt": "hello",
  // As React's types do, and as many an app does to its own arrays.
  "src/wider.d.ts": `interface Blob {}
interface FormData {}
interface Array<T> { second?: T }
`,
  "src/blobs.ts": `/// <reference path="./wider.d.ts" />
import { backend } from "@kontract/kontract";
export const blob = backend({}, async (parts: string[]): Promise<Blob> => await Promise.resolve(new Blob(parts)));
`,
  // Each needs the other, inside functions and when it makes an object.
  "src/services/late.ts": `import { Team } from "./team.ts";
export const text = (): string => Team.of("x").members.join();
export class Person { team?: Team; name = "x"; }
`,
  "src/services/team.ts": `import { Person, text } from "./late.ts";
export class Team {
  members: Person[] = [];
  static of(_: string): Team { return new Team(); }
  all = (): string => text() + new Person().name;
}
`,
  "shared/both.ts": `export enum Color { Red = "red", Blue = "blue" }
export const LIMITS = { max: 10 } as const;
export const MOST = LIMITS.max * 2;
export const hostName = (): string =>
  typeof document === "undefined" ? Deno.hostname() : document.title;
`,
  "web/index.html": PAGE,
  "web/main.ts": `import { Notes } from "../src/notes.ts";
import { Color, hostName, MOST } from "../shared/both.ts";
import * as server from "../src/services/env.ts";
import { b } from "./b.ts";
import { a } from "./a.ts";
import { Buffer as Bytes, process as run } from "./names.ts";
const { require: need } = await import("./names.ts");
const services = { Notes, notes: Notes };
const callAll = (own: Pick<typeof Notes, "drop">): Promise<unknown> => own.drop("x");
await callAll(Notes);
if (process.env.NODE_ENV !== "production" || process.env["NODE_ENV"] === "test") console.log("dev");
console.log(await services.Notes.paint(Color.Red), await Notes["drop"]("y"), hostName(), MOST);
const where: server.Where | null = null;
console.log((await import("./hello.txt")).default);
console.log(a, b, Bytes, run, need, where);
`,
  // A circle that is always begun at its right end: main imports b, and that a, before anything else.
  "web/a.ts":
    `import { b } from "./b.ts";\nexport const a = 1;\nexport const f = (): number => b;\n`,
  "web/b.ts": `import { a } from "./a.ts";\nexport const b: number = a + 1;\n`,
  "web/names.ts":
    `const need = 3;\nexport const Buffer = 1, process = 2;\nexport { need as require };\n`,
};

Deno.test("idioms of server and front end build and check without a word", async () => {
  await using app = await makeApp(FILES);
  const checked = await check(app.root);
  assert.equal(formatDiagnostics(checked.diagnostics), "");
  const built = await createBuilder({ root: app.root, hosts: ["deno"] }).rebuild();
  assert.equal(formatDiagnostics(built.diagnostics), "");
});

Deno.test("a circle that main begins at its wrong end is still an error", async () => {
  await using app = await makeApp({
    ...FILES,
    "web/main.ts": `import { a } from "./a.ts";\nimport { b } from "./b.ts";\nconsole.log(a, b);\n`,
  });
  const { diagnostics } = await check(app.root);
  assert.deepEqual(diagnostics.map(({ code, span }) => `${code} ${span?.file}`), [
    "KT2013 web/b.ts",
  ]);
});
