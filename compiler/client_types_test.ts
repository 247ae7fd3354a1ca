/**
 * The client's declarations under TypeScript's own eyes: each line of a front end that must compile does,
 * each that must not is refused at its place. `kontract check` judges, and so are the three spellings.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { clientTypes } from "./emit/client.ts";
import { check, formatDiagnostics } from "./mod.ts";
import { ProgramCache } from "./program.ts";
import { analyzed } from "./testing/analyzed.ts";
import { makeApp } from "./testing/app.ts";
import { largeApp } from "./testing/large_app.ts";

const SERVER: Readonly<Record<string, string>> = {
  "src/schema.ts": `import { primkey, table } from "@kontract/kontract";
@table("people")
export class Person {
  @primkey
  id!: string;
  name!: string;
  age?: number;
}
`,
  "src/api.ts": `import { AppError, backend, HttpResp, type Int32 } from "@kontract/kontract";
import type { Person } from "./schema.ts";
export type Status = "new" | "open";
export interface Page<T> { items: T[]; next: string | null }
export interface Tree { value: number; children: Tree[] }
export type Shape = { kind: "circle"; radius: number } | { kind: "square"; side: number };
export class Full extends AppError<"FULL", { seats: number }> {
  constructor(seats: number) { super("FULL", "Full.", { data: { seats } }); }
}
export class Api {
  @backend({ readOnly: true })
  static async people(status: Status, limit: Int32 = 20): Promise<Page<Person>> {
    void [status, limit];
    return await Promise.resolve({ items: [], next: null });
  }
  @backend({})
  static async grow(tree: Tree, marks?: Map<string, Date>): Promise<Tree> {
    if (marks !== undefined) throw new Full(1);
    return await Promise.resolve(tree);
  }
  @backend({})
  static async area(shape: Shape): Promise<number> {
    return await Promise.resolve(shape.kind === "circle" ? shape.radius : shape.side);
  }
  @backend({})
  static async made(bytes: Uint8Array, ...more: bigint[]): Promise<{ id: string }> {
    return await Promise.resolve(HttpResp.created({ id: String(bytes.length + more.length) }));
  }
}
/** Takes what nobody else may change. */
export const tag = backend({}, async (id: \`note:\${string}\`, tags: string[], more?: [Set<number>, Map<string, number[]>]): Promise<\`\${number}%\`> => {
  void [id, tags, more];
  return await Promise.resolve("1%" as const);
});
export interface Picture { bytes: Uint8Array; sizes: Float32Array }
export interface Upload { bytes: Uint8Array }
export const picture = backend({}, async (upload: Upload, ...more: Uint8Array[]): Promise<Picture> =>
  await Promise.resolve({ bytes: more[0] ?? upload.bytes, sizes: new Float32Array(1) }));
export const raw = backend({}, async function* (bytes: Uint8Array) { yield await Promise.resolve(bytes); });
/** The second spelling. */
export const called = backend({ readOnly: true }, async (a: number, b: number = 1) => await Promise.resolve(a + b));
/** A stream. */
export const ticks = backend({ readOnly: true }, async function* (n: number) {
  for (let i = 0; i < n; i++) yield await Promise.resolve({ i, at: new Date(i) });
});
`,
  "src/decorated.ts": `// deno-fmt-ignore-file
import { backend } from "@kontract/kontract";
/** The third spelling. */
@backend({ readOnly: true })
export async function greet(name: string): Promise<string> { return await Promise.resolve(name); }
`,
};

const USES =
  `import { api, area, called, client, Full, greet, grow, made, people, picture, raw, tag, ticks } from "@/client";
import type { Page_Person, Shape, Tree } from "@/client";
const page: Page_Person = await people("new");
const next: string | null = (await api.people("open", 5)).next;
const age: number | undefined = page.items[0]?.age;
const tree: Tree = await grow({ value: 1, children: [] }, new Map([["a", new Date()]]));
const shape: Shape = { kind: "circle", radius: 2 };
const size: number = await area(shape);
const id: string = (await made(new Uint8Array(2), 1n, 2n)).id;
const sum: number = await called(1) + await called(1, 2);
const text: string = await greet("Ada");
const kept: readonly string[] = ["a"];
const share: \`\${number}%\` = await tag("note:1", kept, [new Set([1]), new Map([["a", [1]]])] as const);
console.log(share);
const anyBytes: Uint8Array<ArrayBufferLike> = new Uint8Array(new SharedArrayBuffer(1));
const { bytes, sizes } = await picture({ bytes: anyBytes }, anyBytes);
console.log(new Blob([bytes, sizes]), new Response(bytes), await crypto.subtle.digest("SHA-256", bytes));
for await (const part of raw(anyBytes)) console.log(new Blob([part]));
for await (const { i, at } of ticks(2)) console.log(i.toFixed(), at.getTime());
try { await grow(tree); } catch (error) { if (error instanceof Full) console.log(error.data.seats.toFixed(), error.code === "FULL"); }
for await (const { items } of client.live(people, "new")) console.log(items[0]?.name, items.length);
for await (const n of client.live(api.called, 1, 2)) console.log(n.toFixed());
client.live(greet, "Ada").listen({ onValue: (name) => console.log(name.length), onError: ({ code }) => console.log(code) }).close();
client.configure({ url: "https://example.com" });
console.log(next, age, size, id, sum, text);
`;

/** A line each, and the error that TypeScript has for it. */
const MISUSES: readonly (readonly [string, number])[] = [
  [`await people("closed");`, 2345],
  [`await people();`, 2554],
  [`await people("new", "5");`, 2345],
  [`(await people("new")).items[0]!.nope;`, 2339],
  [`const n: number = await greet("x"); n;`, 2322],
  [`await grow({ value: 1 });`, 2345],
  [`await grow({ value: 1, children: [{ value: "x", children: [] }] });`, 2322],
  [`await area({ kind: "square", radius: 2 });`, 2353],
  [`await made("x");`, 2345],
  [`await made(new Uint8Array(1), 2);`, 2345],
  [`await called("1");`, 2345],
  [`for await (const x of ticks(1)) x.nope;`, 2339],
  [`await ticks(1).next().then((one) => one.value!.i.nope);`, 2339],
  [`await tag("1", []);`, 2345],
  [`await tag("note:1", [1]);`, 2322],
  [`await api.nobody();`, 2339],
  [`new Full("x", { data: { seats: "many" } });`, 2322],
  [`client.nope();`, 2339],
  [`client.live(grow, { value: 1, children: [] });`, 2345],
  [`client.live(ticks, 1);`, 2345],
  [`client.live(() => people("new"));`, 2345],
  [`client.live(people, "closed");`, 2345],
  [`client.live(people);`, 2554],
  [`for await (const x of client.live(greet, "Ada")) x.nope;`, 2339],
];

Deno.test("each use of the client that must compile does, in all three spellings", async () => {
  await using app = await makeApp({ ...SERVER, "web/main.ts": USES });
  const result = await check(app.root);
  assert.equal(formatDiagnostics(result.diagnostics), "");
  assert.deepEqual(result.manifest?.routes.map((route) => route.name).sort(), [
    "area",
    "called",
    "greet",
    "grow",
    "made",
    "people",
    "picture",
    "raw",
    "tag",
    "ticks",
  ]);
});

Deno.test("each use of the client that must not compile is refused at its line", async () => {
  const head = USES.split("\n").slice(0, 1);
  const text = [...head, ...MISUSES.map(([line]) => line), ""].join("\n");
  await using app = await makeApp({ ...SERVER, "web/main.ts": text });
  const { diagnostics } = await check(app.root);
  const found = new Set(
    diagnostics.map(({ span, message }) => `${span?.line}: ${message.slice(0, 6)}`),
  );
  const expected = MISUSES.map(([, code], i) => `${i + 2}: TS${code}`);
  assert.deepEqual(expected.filter((one) => !found.has(one)), [], [...found].join("\n"));
  assert.equal(new Set(diagnostics.map(({ span }) => span?.line)).size, MISUSES.length);
  const writes = MISUSES.findIndex(([line]) => line.startsWith("client.live(grow")) + 2;
  const told = diagnostics.find(({ span }) => span?.line === writes)?.message;
  assert.match(told ?? "", /client\.live takes functions of '@\/client' with 'readOnly: true'/);
});

Deno.test("a wrong option is found by kontract check in each spelling", async () => {
  await using app = await makeApp({
    "src/method.ts": `import { backend } from "@kontract/kontract";
export class Api {
  @backend({ timeout: "long", retry: nowhere })
  static async one(): Promise<void> {}
}
`,
    "src/call.ts": `import { backend } from "@kontract/kontract";
export const two = backend({ timeout: "long", retry: nowhere }, () => Promise.resolve());
`,
    "src/function.ts": `// deno-fmt-ignore-file
import { backend } from "@kontract/kontract";
@backend({ timeout: "long", retry: nowhere })
export async function three(): Promise<void> {}
`,
  });
  const { diagnostics } = await check(app.root);
  const types = diagnostics.filter((one) => one.code === "KT1004");
  assert.deepEqual(
    types.map(({ span, message }) => [span?.file, span?.line, message.slice(0, 6)]),
    [
      ["src/call.ts", 2, "TS2304"],
      ["src/function.ts", 3, "TS2304"],
      ["src/method.ts", 3, "TS2304"],
    ],
  );
  const options = diagnostics.filter((one) => one.code === "KT2005");
  assert.deepEqual(options.map(({ span }) => span?.file), [
    "src/call.ts",
    "src/function.ts",
    "src/method.ts",
  ]);
});

/** What TypeScript makes to check a front end that calls one of `routes` functions. */
async function frontEndCost(routes: number): Promise<readonly [types: number, made: number]> {
  await using app = await makeApp(largeApp(routes, routes / 5));
  const { analysis: found, diagnostics } = await analyzed(app.root);
  assert.ok(found?.webEntry != null, formatDiagnostics(diagnostics.list()));
  const { graph, graphFile, entry, webEntry, manifest } = found;
  const client = join(app.root, ".kontract", "client.d.ts");
  const program = await new ProgramCache().program({
    graph,
    graphFile,
    roots: [webEntry],
    overlay: new Map([[client, clientTypes(manifest)]]),
    aliases: new Map([["@kontract/kontract", entry], ["@/client", client]]),
    compilerOptions: {},
  });
  assert.deepEqual(program.getSemanticDiagnostics(program.getSourceFile(webEntry)), []);
  return [program.getTypeCount(), program.getInstantiationCount()];
}

Deno.test("routes that a front end does not call cost its check nothing", async () => {
  assert.deepEqual(await frontEndCost(400), await frontEndCost(20));
});
