/**
 * Live queries of a built app on both hosts, from the generated client over a WebSocket and over HTTP, and from a plain
 * EventSource's side: each way of reading, one after another writer, a restart with another build.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { HOST_NAMES } from "../../cli/dev/host.ts";
import { TemporaryApp } from "../../cli/testing/temporary_app.ts";
import { SseParser } from "../../events/mod.ts";

const APP =
  `import { AppError, backend, ctx, env, perms, primkey, table } from "@kontract/kontract";
@table("todos", { perm: perms.RWX })
export class Todo {
  @primkey
  id!: string;
  list!: string;
  text!: string;
  done!: boolean;
}
@table("plans", { perm: perms.RWX, rows: "owner" })
export class Plan {
  @primkey
  id!: string;
}
export class NoList extends AppError<"NO_LIST", { list: string }> {
  constructor(list: string) {
    super("NO_LIST", "There is no such list.", { status: 404, data: { list } });
  }
}
const open = (list: string) => env.storage.todos.query({ list, done: false });
export const byQuery = backend({ readOnly: true }, async (list: string) =>
  (await open(list)).map(({ text }) => text).sort());
export const byCount = backend({ readOnly: true }, (list: string) => open(list).count());
export const byWalk = backend({ readOnly: true }, async (list: string) => {
  let found = 0;
  for await (const todo of env.storage.todos) if (todo.list === list && !todo.done) found++;
  return found;
});
export const byKey = backend({ readOnly: true }, async (id: string) =>
  (await env.storage.todos.get(id))?.done ?? null);
export const byKeys = backend({ readOnly: true }, async (ids: string[]) =>
  (await env.storage.todos.getMany(ids)).map((todo) => todo?.done ?? null));
export const byHas = backend({ readOnly: true }, (id: string) => env.storage.todos.has(id));
export const bySql = backend({ readOnly: true }, async (list: string) => {
  const [row] = await env.storage.exec<{ n: number }>\`select count(*)::int as n from todos where list = \${list}\`;
  return row?.n ?? 0;
});
export const mine = backend({ readOnly: true }, () => env.storage.plans.count());
export const must = backend({ readOnly: true }, async (list: string) => {
  const todos = await open(list);
  if (todos.length === 0) throw new NoList(list);
  return todos.length;
});
export const build = backend({ readOnly: true }, async () => "BUILD " + await env.storage.todos.count());
export const put = backend({}, async (id: string, list: string, done: boolean): Promise<void> => {
  await env.storage.todos.set(id, { list, text: id, done });
});
export const drop = backend({}, (id: string) => env.storage.todos.delete(id));
export const plan = backend({}, async (): Promise<void> => {
  await env.storage.plans.set(ctx.owner, {});
});
`;

const NAMES =
  "byQuery, byCount, byWalk, byKey, byKeys, byHas, bySql, mine, must, build, put, drop, plan";
const FILES: Readonly<Record<string, string>> = {
  "kontract.json": `{ "name": "live" }\n`,
  "src/app.ts": APP,
  "web/index.html": `<!doctype html><script type="module" src="./main.ts"></script>`,
  "web/main.ts": `import { ${NAMES}, client, NoList } from "@/client";
export { ${NAMES}, client, NoList };
`,
};

type Reader = (...args: never[]) => Promise<unknown>;

interface Live extends AsyncIterable<unknown> {
  listen(listener: {
    onValue(value: unknown): void;
    onStatus?(status: string): void;
    onError?(error: { code: string }): void;
  }): Live;
  close(): void;
}

interface Page {
  readonly client: {
    configure(settings: { url?: string; webSocket?: null }): void;
    live(call: Reader, ...args: unknown[]): Live;
    readonly auth: { logout(): Promise<void> };
    close(): void;
  };
  readonly NoList: new () => Error;
  put(id: string, list: string, done: boolean): Promise<void>;
  drop(id: string): Promise<void>;
  plan(): Promise<void>;
  readonly [reader: string]: unknown;
}

/** Values of a live query, one by one. */
function values(live: Live): { next(): Promise<unknown>; close(): void } {
  const iterator = live[Symbol.asyncIterator]();
  return {
    async next() {
      const { value, done } = await iterator.next();
      assert.ok(done !== true, "it has ended");
      return value;
    },
    close: () => live.close(),
  };
}

/** Follows a value that another build changes and one that it does not. */
function follow(page: Page): {
  readonly seen: readonly unknown[];
  readonly statuses: readonly string[];
  until(holds: () => boolean): Promise<void>;
  close(): void;
} {
  const seen: unknown[] = [];
  const statuses: string[] = [];
  let told = (): void => {};
  const lives = [
    page.client.live(page.build as Reader).listen({
      onValue: (value) => (seen.push(value), told()),
      onStatus: (status) => (statuses.push(status), told()),
      onError: ({ code }) => assert.fail(code),
    }),
    page.client.live(page.byHas as Reader, "none").listen({
      onValue: (value) => (seen.push(value), told()),
    }),
  ];
  return {
    seen,
    statuses,
    async until(holds): Promise<void> {
      while (!holds()) await new Promise<void>((resolve) => told = resolve);
    },
    close: () => lives.forEach((live) => live.close()),
  };
}

for (const host of HOST_NAMES) {
  Deno.test(
    `live queries on ${host}`,
    { sanitizeOps: false, sanitizeResources: false, ignore: Deno.build.os === "windows" },
    async (t) => {
      await using app = await TemporaryApp.create([], FILES);
      let child = app.spawn("start", { host });
      const { url } = await app.info(child);
      const page: Page = await import(`file://${join(app.folder, "dist/public/main.js")}`);
      const reader = (name: string): Reader => page[name] as Reader;

      for (const over of ["WebSocket", "HTTP"]) {
        page.client.configure({ url, ...(over === "HTTP" ? { webSocket: null } : {}) });
        const id = `${over}/1`;

        await t.step(`each way of reading is followed over ${over}`, async () => {
          const forms: readonly (readonly [string, unknown, unknown[]])[] = [
            ["byQuery", over, [[], [id], []]],
            ["byCount", over, [0, 1, 0]],
            ["byWalk", over, [0, 1, 0]],
            ["byKey", id, [null, false, true]],
            ["byKeys", [id], [[null], [false], [true]]],
            ["byHas", id, [false, true]],
            ["bySql", over, [0, 1]],
          ];
          for (const [name, argument, expected] of forms) {
            const live = values(page.client.live(reader(name), argument));
            assert.deepEqual(await live.next(), expected[0], name);
            await page.put(id, over, false);
            assert.deepEqual(await live.next(), expected[1], name);
            await page.put(id, over, true);
            if (expected.length > 2) assert.deepEqual(await live.next(), expected[2], name);
            live.close();
            await page.drop(id);
          }
        });

        await t.step(`ten of them are told of one commit over ${over}`, async () => {
          // Over HTTP/1.1 Deno opens as many connections as it takes.
          const lives = Array.from(
            { length: 10 },
            () => values(page.client.live(reader("byCount"), `${over}/ten`)),
          );
          for (const live of lives) assert.equal(await live.next(), 0);
          await page.put(`${over}/ten`, `${over}/ten`, false);
          for (const live of lives) assert.equal(await live.next(), 1);
          for (const live of lives) live.close();
        });

        await t.step(`an error of the app ends it, in its class, over ${over}`, async () => {
          await page.put(`${over}/must`, `${over}/must`, false);
          const live = values(page.client.live(reader("must"), `${over}/must`));
          assert.equal(await live.next(), 1);
          await page.drop(`${over}/must`);
          await assert.rejects(live.next(), page.NoList);
        });

        await t.step(
          `signing out ends it over ${over}; what is followed next is the next visitor's`,
          async () => {
            await page.plan();
            const live = values(page.client.live(reader("mine")));
            assert.equal(await live.next(), 1);
            await page.client.auth.logout();
            await assert.rejects(live.next(), { code: "SESSION_REVOKED" });
            const next = values(page.client.live(reader("mine")));
            assert.equal(await next.next(), 0);
            next.close();
          },
        );
      }

      await t.step("a plain EventSource follows, and is refused what writes", async () => {
        const { access } = await (await fetch(`${url}/auth/anonymous`, { method: "POST" })).json();
        const leave = new AbortController();
        const ask = (call: string, args: unknown): Promise<Response> =>
          fetch(`${url}/events?${new URLSearchParams({ call, arguments: JSON.stringify(args) })}`, {
            headers: { authorization: `Bearer ${access}` },
            signal: leave.signal,
          });
        const refused = await ask("put", ["a", "b", true]);
        assert.equal((await refused.json()).error.code, "BAD_REQUEST");
        const response = await ask("byQuery", ["plain"]);
        const parser = new SseParser();
        const seen: unknown[] = [];
        for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
          for (const { event, data } of parser.push(text)) seen.push([event, JSON.parse(data)]);
          if (seen.length === 1) await page.put("plain", "plain", false);
          if (seen.length === 2) break;
        }
        assert.deepEqual(seen, [
          ["value", { result: [] }],
          ["value", { result: ["plain"] }],
        ]);
        leave.abort();
      });

      await t.step("they go on with a new build over both, and tell what differs", async () => {
        // By another path, modules are loaded anew: a second client.
        await Deno.symlink(join(app.folder, "dist"), join(app.folder, "again"));
        const other: Page = await import(`file://${join(app.folder, "again/public/main.js")}`);
        assert.notEqual(other.client, page.client);
        page.client.configure({ url });
        other.client.configure({ url, webSocket: null });
        const followed = [page, other].map((one) => follow(one));
        for (const { until, seen } of followed) await until(() => seen.length === 2);
        child.kill("SIGTERM");
        await child.status;
        await Deno.writeTextFile(
          join(app.folder, "src/app.ts"),
          FILES["src/app.ts"]!.replace('"BUILD "', '"ANOTHER "'),
        );
        child = app.spawn("start", { host, port: Number(new URL(url).port) });
        await app.info(child);
        for (const { until, seen, statuses, close } of followed) {
          await until(() => seen.some((value) => String(value).startsWith("ANOTHER")));
          assert.ok(statuses.includes("connecting") && statuses.at(-1) === "live");
          assert.equal(seen.filter((value) => value === false).length, 1, "no value twice");
          close();
        }
        other.client.close();
      });

      page.client.close();
      child.kill("SIGTERM");
      await child.status;
    },
  );
}
