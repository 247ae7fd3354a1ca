/** The decorators under TypeScript alone, as an editor or `deno check` sees them: each use at its line. */
import assert from "node:assert/strict";
import { AppGraphs } from "./app_graph.ts";
import { Diagnostics } from "./diagnostic.ts";
import { ProgramCache } from "./program.ts";
import { readProject } from "./project.ts";
import { makeApp } from "./testing/app.ts";

/** The program's errors, as `line: code`, each line once. */
async function errorsIn(text: string): Promise<readonly string[]> {
  await using app = await makeApp({ "src/api.ts": text });
  const diagnostics = new Diagnostics();
  const project = readProject(app.root, diagnostics);
  const read = await new AppGraphs().read(project, { hosts: [], checkAll: false, diagnostics });
  assert.ok(read !== null);
  const { graph, graphFile, sources, entry } = read;
  const program = await new ProgramCache().program({
    graph,
    graphFile,
    roots: sources,
    overlay: new Map(),
    aliases: new Map([["@kontract/kontract", entry]]),
    compilerOptions: {},
  });
  const source = program.getSourceFile(sources[0]!)!;
  return [
    ...new Set(
      program.getSemanticDiagnostics(source).map((one) =>
        `${source.getLineAndCharacterOfPosition(one.start!).line + 1}: ${one.code}`
      ),
    ),
  ];
}

const HEAD = `import { backend, index, perm, perms, primkey, table } from "@kontract/kontract";`;
const inClass = (...lines: readonly string[]): string =>
  [HEAD, "export class Api {", ...lines, "}", ""].join("\n");

Deno.test("@backend leaves every kind of public static method alone", async () => {
  const text = inClass(
    `  @backend({ ugroup: "admin", perm: perms.RW_ }) static async one(a: string, b?: number): Promise<string> { return await Promise.resolve(a + b); }`,
    `  @backend() static two(...rest: readonly bigint[]): bigint { return rest[0]!; }`,
    `  @backend({}) static async *three(n: number): AsyncGenerator<number> { yield await Promise.resolve(n); }`,
    `  @backend({}) static four<T extends string>(a: T): Promise<T> { return Promise.resolve(a); }`,
    `  @backend({}) static five(this: typeof Api, { a }: { a: Map<string, Date> }): never { throw new Error(String(a)); }`,
    `  @backend({ http: { method: "GET", path: "/six" }, readOnly: true }) static six(): void {}`,
  ) + `
const one: Promise<string> = Api.one("a", 1);
const three: AsyncGenerator<number> = Api.three(1);
const four: Promise<"x"> = Api.four("x");
const seven = backend({ readOnly: true }, async (a: string, b = 2): Promise<number> => await Promise.resolve(a.length + b));
const sum: Promise<number> = seven("a");
void [one, three, four, sum];
`;
  assert.deepEqual(await errorsIn(text), []);
});

Deno.test("@backend on anything but a public static method is refused at its line", async () => {
  const text = inClass(
    `  @backend({}) one(): void {}`,
    `  @backend({}) static #two(): void {}`,
    `  @backend({}) static get three(): string { return ""; }`,
    `  @backend({}) static set four(_: string) {}`,
    `  @backend({}) static five = (): void => {};`,
    `  @backend({}) static accessor six = "";`,
    `  @backend static seven(): void {}`,
    `  @backend({ uGroup: "admin" }) static eight(): void {}`,
    `  @backend({ perm: 9 }) static nine(): void {}`,
    `  @backend({ http: { method: "FETCH", path: "/" } }) static ten(): void {}`,
    `  static used(): void { Api.#two(); }`,
  ) + `@backend({}) export class Eleven {}\nbackend({}, "x");\nbackend({}, (a: string) => a)(1);\n`;
  const lines = (await errorsIn(text)).map((one) => Number(one.split(":")[0]));
  assert.deepEqual([...new Set(lines)], [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16, 17]);
});

Deno.test("the decorators of a table are refused where they do not belong", async () => {
  const text = [
    HEAD,
    `@table("users", { perm: perms.R__ }) @index(["name", "id"], { unique: true })`,
    `export class User {`,
    `  @primkey id!: string;`,
    `  @perm(perms.RW_) @index({ unique: true }) name!: string;`,
    `  @primkey age!: number;`,
    `  @perm(8) wrong!: string;`,
    `  @index({ uniq: true }) odd!: string;`,
    `  @table("x") strange!: string;`,
    `  @index() method(): void {}`,
    `}`,
    `@table() export class A {}`,
    `@table("b", { rows: "mine" }) export class B {}`,
    `@primkey export class C {}`,
    `@index() export class D {}`,
    ``,
  ].join("\n");
  const lines = (await errorsIn(text)).map((one) => Number(one.split(":")[0]));
  assert.deepEqual([...new Set(lines)], [6, 7, 8, 9, 10, 12, 13, 14, 15]);
});
