import assert from "node:assert/strict";
import { KontractError } from "../_internal/errors.ts";
import type { ErrorCode } from "../_internal/errors.ts";
import { stopBundler } from "../compiler/bundler_process.ts";
import { decodeValue, encodeValue } from "../protocol/codec/mod.ts";
import type { SharedState } from "../runtime/ports.ts";
import { tableKey } from "../storage/table_key.ts";
import { readAnswer } from "../storage/text_answer.ts";
import { NOTES } from "../storage/testing/tables.ts";
import { testDatabase } from "./postgres.ts";
import { sharedStateSuite } from "./shared_state_suite.ts";
import { startWorkerd, type Workerd } from "./workerd.ts";

type Row = Readonly<Record<string, unknown>>;

const SECRET = new Uint8Array(32).fill(9).toBase64({ alphabet: "base64url" });
const ENTRY = "runtime/testing/ports_worker.ts";
const options = { sanitizeOps: false, sanitizeResources: false };

async function ask(workerd: Workerd, ...question: [string, string, unknown[]]): Promise<unknown> {
  const body = new Uint8Array(encodeValue(question));
  const response = await workerd.fetch("/", { method: "POST", body });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const [code, result] = decodeValue(bytes) as [string | null, unknown];
  if (code !== null) throw new KontractError(code as ErrorCode, String(result));
  return result;
}

function sharedOf(workerd: Workerd): SharedState {
  const names = ["get", "set", "delete", "increment", "compareAndSet", "rateLimit"];
  return Object.fromEntries(
    names.map((name) => [name, (...args: unknown[]) => ask(workerd, "shared", name, args)]),
  ) as unknown as SharedState;
}

async function withWorkerd(
  bindings: Readonly<Record<string, string>>,
  body: (open: () => Promise<Workerd>) => Promise<void>,
): Promise<void> {
  const state = await Deno.makeTempDir();
  try {
    await body(() =>
      startWorkerd({ entry: ENTRY, state, bindings: { KONTRACT_SECRET: SECRET, ...bindings } })
    );
  } finally {
    await stopBundler();
    await Deno.remove(state, { recursive: true });
  }
}

Deno.test("shared state in workerd", options, async (t) => {
  await withWorkerd({ DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" }, async (open) => {
    await sharedStateSuite(t, async () => {
      let workerd = await open();
      return {
        shared: sharedOf(workerd),
        restart: async () => {
          await workerd.stop();
          workerd = await open();
          return sharedOf(workerd);
        },
        close: () => workerd.stop(),
      };
    });
  });
});

Deno.test("epochs and the change hub in workerd", options, async (t) => {
  await withWorkerd({ DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" }, async (open) => {
    const workerd = await open();
    try {
      const epoch = Math.floor(Date.now() / 3_600_000);
      await t.step("all requests see one random per epoch", async () => {
        const randoms = await Promise.all(
          Array.from({ length: 4 }, () => ask(workerd, "epochs", "", [epoch])),
        ) as Uint8Array[];
        assert.equal(randoms[0]?.length, 32);
        assert.equal(new Set(randoms.map((random) => random.toHex())).size, 1);
        assert.equal(await ask(workerd, "epochs", "", [epoch - 5]), null);
      });
      await t.step("a wake ends every wait for its feed, and no other", async () => {
        let waiting = true;
        let other = true;
        const elsewhere = ask(workerd, "next", "other", [50_000]).then(() => other = false);
        const waits = Promise.all(
          [1, 2, 3].map(() => ask(workerd, "next", "news", [50_000])),
        ).then(() => waiting = false);
        while (waiting) {
          await ask(workerd, "wake", "", ["news"]);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        await waits;
        assert.equal(other, true);
        while (other) {
          await ask(workerd, "wake", "", ["news", "other"]);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        await elsewhere;
      });
      await t.step("nor is one missed that comes between two waits", async () => {
        const most = 30_000;
        const began = performance.now();
        await ask(workerd, "next_again", "between", [most]);
        assert.ok(performance.now() - began < most, "it was waited for to the end");
      });
    } finally {
      await workerd.stop();
    }
  });
});

Deno.test("the database from workerd", options, async (t) => {
  const database = await testDatabase([NOTES]);
  const notes = tableKey("notes");
  const place = await database.place("notes");
  try {
    for (const form of ["pool", "direct"]) {
      const bindings = { DATABASE_URL: database.gatewayUrl, KONTRACT_DATABASE: form };
      await withWorkerd(bindings, async (open) => {
        const workerd = await open();
        try {
          await t.step(`${form}: requests side by side all get their answer`, async () => {
            const answers = await Promise.all(
              Array.from({ length: 20 }, () => ask(workerd, "database", "ping", [])),
            );
            assert.deepEqual(answers, Array.from({ length: 20 }, () => [{ ok: 1 }]));
          });
          await t.step(
            `${form}: reads and commits side by side are each answered for itself`,
            async () => {
              const token = await database.token({ owner: "ada" });
              const [session] = await ask(workerd, "database", "open_session", [token]) as Row[];
              const ids = Array.from({ length: 20 }, (_, n) => `${form}${n}`);
              const commits = await Promise.all(
                ids.map((id, n) =>
                  ask(workerd, "database", `put:${notes}`, [
                    ...[
                      session!.sid,
                      "ada",
                      7,
                      null,
                      null,
                      null,
                      null,
                      form,
                      String(n),
                      new Uint8Array(),
                    ],
                    ...[id, false, null, JSON.stringify({ id, text: `text of ${id}` })],
                  ])
                ),
              );
              assert.deepEqual(commits, ids.map(() => [{ r: "" }]));
              const reads = await Promise.all(ids.map((id) => {
                const call = [session!.sid, 7, null, null, null, null, null, null, id];
                return ask(workerd, "database", `get:${notes}`, call) as Promise<Row[]>;
              }));
              // A read that went with others is taken apart by then.
              const together = reads.filter(([row]) => row!.r === undefined);
              assert.equal(together.length > 0, form === "pool");
              assert.deepEqual(
                reads.map(([row]) => (readAnswer(row!).data as Row).text),
                ids.map((id) => `text of ${id}`),
              );
              const [{ written }] = await database.admin.unsafe(
                `select count(*)::int as written from ${place} where id like '${form}%'`,
              ) as unknown as [Row];
              assert.equal(written, 20);
            },
          );
          await t.step(`${form}: a statement that is not registered is refused`, async () => {
            await assert.rejects(ask(workerd, "database", "select 1", []), { code: "SQL 26000" });
          });
        } finally {
          await workerd.stop();
        }
      });
    }
  } finally {
    await database.close();
  }
});

Deno.test("a dead database is told at once, also through the pool", options, async () => {
  await withWorkerd({ DATABASE_URL: "postgres://nobody:x@127.0.0.1:1/none" }, async (open) => {
    const workerd = await open();
    try {
      await assert.rejects(ask(workerd, "database", "ping", []), { code: "SQL 08006" });
    } finally {
      await workerd.stop();
    }
  });
});
