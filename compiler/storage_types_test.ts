/**
 * `env.storage` under TypeScript's own eyes: from a table class to every operation of its handle. Each line
 * that must compile does; each with a wrong name or type is refused at its place.
 */
import assert from "node:assert/strict";
import { check, formatDiagnostics } from "./mod.ts";
import { makeApp } from "./testing/app.ts";

const SCHEMA = `import { primkey, table } from "@kontract/kontract";
@table("people")
export class Person {
  @primkey
  id!: string;
  name!: string;
  age?: number;
  role: "member" | "admin" = "member";
  tags!: string[];
  home!: { city: string; since?: Date };
  big!: bigint;
  flag?: boolean;
  raw?: Uint8Array;
  wave?: Float32Array;
  tree?: Tree | null;
}
interface Tree {
  n: number;
  left?: Tree;
  right?: Tree;
}
@table("places")
export class Place {
  @primkey
  id!: string;
  where!: { city: string };
  home!: { city: string };
}
`;

/** Lines of a function's body, with `people` for the table's handle. */
const USES = `const one = await people.get("a");
const age: number | undefined = one?.age;
const role: "member" | "admin" | undefined = one?.role;
const many: (typeof one)[] = await people.getMany(["a", "b"]);
const there: boolean = await people.has("a");
const owner: string | null = await people.ownerOf("a");
const set = await people.set("a", { name: "A", tags: [], home: { city: "Ulm" }, big: 1n });
await people.set("a", { ...set, role: "admin", age: 2 });
await people.update("a", { age: undefined, home: { city: "Ulm", since: new Date() } });
await people.delete("a");
const pushed = (await people.push({ name: "B", tags: ["x"], home: { city: "Ulm" }, big: 2n })).id;
const last = (await people.pop())?.name, next = (await people.shift())?.name;
for await (const row of people) row.name.trim();
const found = await people.query({ name: "A", age: { gte: 1, lt: 9 }, role: { in: ["admin"] } });
await people.query({ name: { prefix: "A" }, tags: { contains: "x" }, home: { city: "Ulm" }, big: { gt: 1n } });
await people.query({ age: null, home: { since: { lt: new Date() } } }).orderBy("age", "desc").orderBy("name");
const page = await people.query().limit(5).after(null).page();
await people.query().orderBy("home.city").orderBy("home.since", "desc").orderBy("tree.left.right.n");
const fewer: import("@kontract/kontract").Query<{ id: string; home: { city: string } }> = people.query();
await fewer.orderBy("home.city");
const byName = <T extends { name: string }>(table: import("@kontract/kontract").Table<T>) => table.query().orderBy("name");
await byName(people);
for await (const row of people.query(null)) row.tags.length;
await people.query({ flag: { ne: true }, raw: { in: [new Uint8Array(1)] } });
await people.query({ wave: new Float32Array(1) });
await people.query({ wave: { ne: new Float32Array(1) } });
const first = (await people.first({ age: { ne: null } }))?.home.city ?? (await people.query().first())?.name;
await env.storage[any].query().orderBy("id").orderBy("home.city").limit(1);
const total: number = await people.count({ name: "A" }) + await people.query().count();
const [sum] = await env.storage.exec<{ name: string; n: number }>\`select name, 1 as n from people where age > \${2}\`;
const done: number = await env.storage.transaction(async () => (await people.query()).length);
return [age, role, many, there, owner, pushed, last, next, found[0]?.big, page.cursor, first, total, sum?.n, done].length;`;

/** A line each, and the error that TypeScript has for it. */
const MISUSES: readonly (readonly [string, number | "KT4006"])[] = [
  ["await env.storage.nobody.get('a');", "KT4006"],
  ["await people.get(1);", 2345],
  ["(await people.get('a'))!.nope;", 2339],
  ["(await people.get('a')).name;", 2531],
  ["await people.getMany(['a', 1]);", 2322],
  ["(await people.getMany(['a']))[0]!.nope;", 2339],
  ["await people.has({ id: 'a' });", 2345],
  ["await people.ownerOf();", 2554],
  ["await people.set({ id: 'a' });", 2554],
  ["await people.set('a', { name: 'A', tags: [], home: { city: 'Ulm' } });", 2345],
  ["await people.set('a', { name: 1, tags: [], home: { city: 'Ulm' }, big: 1n });", 2322],
  ["await people.set('a', { name: 'A', tags: [1], home: { city: 'Ulm' }, big: 1n });", 2322],
  ["await people.set('a', { name: 'A', tags: [], home: { town: 'Ulm' }, big: 1n });", 2353],
  [
    "await people.set('a', { name: 'A', tags: [], home: { city: 'Ulm' }, big: 1n, nope: 1 });",
    2353,
  ],
  ["await people.set('a', { name: 'A', tags: [], home: { city: 'Ulm' }, big: 1 });", 2322],
  ["await people.update('a', { nope: 1 });", 2353],
  ["await people.update('a', { role: 'owner' });", 2322],
  ["await people.update('a', { home: { city: 1 } });", 2322],
  ["await people.delete(1);", 2345],
  ["await people.push({ name: 'A' });", 2345],
  ["await people.push({ name: 'A', tags: [], home: { city: 'Ulm' }, big: 1n, nope: 1 });", 2353],
  ["(await people.pop())!.nope;", 2339],
  ["(await people.shift())!.nope;", 2339],
  ["for await (const row of people) row.nope;", 2339],
  ["await people.query({ nope: 1 });", 2353],
  ["await people.query({ name: 1 });", 2322],
  ["await people.query({ age: { gt: '1' } });", 2322],
  ["await people.query({ age: { prefix: 'a' } });", 2322],
  ["await people.query({ flag: { gt: true } });", 2322],
  ["await people.query({ raw: { lte: new Uint8Array(1) } });", 2322],
  ["await people.query({ wave: { lte: new Float32Array(1) } });", 2322],
  ["await people.query({ name: { like: 'a' } });", 2353],
  ["await people.query({ role: { in: ['owner'] } });", 2322],
  ["await people.query({ tags: { contains: 1 } });", 2322],
  ["await people.query({ home: { town: 'Ulm' } });", 2353],
  ["await people.query({ home: { since: { lt: 'now' } } });", 2322],
  ["await people.query({ big: 1 });", 2322],
  ["await people.query('name = 1');", 2345],
  ["await people.query().orderBy('nope');", 2345],
  ["await people.query().orderBy('age', 'down');", 2345],
  ["await people.query().orderBy('home.town');", 2345],
  ["await people.query().orderBy('name.length');", 2345],
  ["await people.query().orderBy('tags.0');", 2345],
  ["await people.query().orderBy('raw.length');", 2345],
  ["await env.storage[any].query().orderBy('name');", 2345],
  ["await people.query().limit('5');", 2345],
  ["await people.query().after(5);", 2345],
  ["(await people.query())[0]!.nope;", 2339],
  ["(await people.query().page()).rows[0]!.nope;", 2339],
  ["for await (const row of people.query()) row.nope;", 2339],
  ["await people.first({ nope: 1 });", 2353],
  ["(await people.first())!.nope;", 2339],
  ["(await people.query().first())!.nope;", 2339],
  ["await people.count({ nope: 1 });", 2353],
  ["(await env.storage.exec<{ n: number }>`select 1 as n from people`)[0]!.nope;", 2339],
  ["await env.storage.exec<{ n: number }>`select 1 as n from people where name = ${{}}`;", 2345],
  ["await env.storage.exec<{ n: number }>('select 1');", 2345],
  ["(await env.storage.transaction(() => people.get('a')))!.nope;", 2339],
];

function api(...lines: readonly string[]): string {
  return [
    `import { backend, env } from "@kontract/kontract";`,
    "export const work = backend({}, async () => { const { people } = env.storage; const any = 'people' as 'people' | 'places';",
    ...lines,
    "});",
    "",
  ].join("\n");
}

Deno.test("each use of a table that must compile does", async () => {
  await using app = await makeApp({ "src/schema.ts": SCHEMA, "src/api.ts": api(USES) });
  assert.equal(formatDiagnostics((await check(app.root)).diagnostics), "");
});

Deno.test("a wrong name or type in any operation of a table is refused at its line", async () => {
  const text = api(...MISUSES.map(([line]) => line));
  await using app = await makeApp({ "src/schema.ts": SCHEMA, "src/api.ts": text });
  const found = new Set(
    (await check(app.root)).diagnostics.filter(({ span }) => span?.file === "src/api.ts")
      .map(({ code, span, message }) =>
        `${span?.line}: ${code === "KT1004" ? message.slice(0, 6) : code}`
      ),
  );
  const wrong = MISUSES.flatMap(([line, code], i) =>
    found.has(`${i + 3}: ${typeof code === "number" ? `TS${code}` : code}`)
      ? []
      : [`${i + 3}: ${line}`]
  );
  assert.deepEqual(wrong, [], [...found].join("\n"));
});

Deno.test("a function over any table names them by keyof StorageRegistry", async () => {
  const helper = (name: string): string =>
    `import { env, type StorageRegistry } from "@kontract/kontract";
export async function drop(name: keyof StorageRegistry, id: string): Promise<number> {
  await env.storage[name].delete(id);
  return await env.storage[name].count();
}
export const dropped = (): Promise<number> => drop("${name}", "a");
`;
  await using app = await makeApp({
    "src/schema.ts": SCHEMA,
    "src/any.ts": helper("places"),
  });
  assert.equal(formatDiagnostics((await check(app.root)).diagnostics), "");
  await app.write("src/any.ts", helper("nowhere"));
  assert.match(formatDiagnostics((await check(app.root)).diagnostics), /"nowhere"/);
});
