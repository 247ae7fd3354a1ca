/** What a workerd process that waits for the next build does when an edit begins. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AUTH_TABLES } from "../../auth/tables.ts";
import { createBuilder, stopBundler } from "../../compiler/mod.ts";
import { makeApp } from "../../compiler/testing/app.ts";
import { testDatabase } from "../../tests/postgres.ts";
import { loadMiniflare } from "../load_miniflare.ts";
import { SourceLines } from "./source_lines.ts";
import { WorkersStandby } from "./workers_standby.ts";
import { workerFolder } from "./workerd.ts";

const SOURCE = `import { backend } from "@kontract/kontract";
export class Sums {
  @backend({ readOnly: true })
  static sum(a: number, b: number): number {
    return a + b;
  }
}
`;

type Fallback = (request: Request, ...rest: unknown[]) => unknown;

/** miniflare, and what workerd asks it for. */
async function recorded(asked: string[]): ReturnType<typeof loadMiniflare> {
  const real = await loadMiniflare();
  class Recording extends real.Miniflare {
    constructor(options: ConstructorParameters<typeof real.Miniflare>[0]) {
      const { unsafeModuleFallbackService: answer } = options as unknown as Record<
        "unsafeModuleFallbackService",
        Fallback
      >;
      const record: Fallback = (request, ...rest) => {
        asked.push(request.url);
        return answer(request, ...rest);
      };
      super({ ...options, unsafeModuleFallbackService: record } as typeof options);
    }
  }
  return { ...real, Miniflare: Recording };
}

Deno.test(
  "when an edit begins, the workerd that waits connects without a module from this thread, which builds",
  { sanitizeOps: false, sanitizeResources: false, ignore: Deno.build.os !== "linux" },
  async () => {
    const database = await testDatabase(AUTH_TABLES);
    await using app = await makeApp({ "src/sums.ts": SOURCE });
    const builder = createBuilder({ root: app.root, hosts: ["workers"], layout: "modules" });
    const { ok, outputs } = await builder.rebuild();
    assert.equal(ok, true);
    const asked: string[] = [];
    const options = {
      dist: join(app.root, "dist"),
      state: join(app.root, "state"),
      env: {
        DATABASE_URL: database.gatewayUrl,
        KONTRACT_SECRET: database.secrets.map((one) => one.toBase64({ alphabet: "base64url" }))
          .join(),
      },
      outputs: () => outputs,
      output: (stream: ReadableStream<Uint8Array>) =>
        void stream.pipeTo(new WritableStream()).catch(() => {}),
    };
    const connections = async (): Promise<number> =>
      (await database
        .admin`select pid from pg_stat_activity where usename = ${database.gatewayRole}`).length;
    const standby = await WorkersStandby.start({
      options,
      loading: recorded(asked),
      lines: new SourceLines(workerFolder(options)),
      outputs: options.outputs,
      ahead: true,
    });
    assert(standby !== null);
    try {
      assert.notEqual(asked.splice(0).length, 0, "it loads the package by itself");
      assert.equal(await connections(), 0);
      await standby.expect();
      assert.equal(await connections(), 1);
      assert.deepEqual(asked, []);
    } finally {
      await standby.stop();
      await builder.settle();
      await stopBundler();
      await database.close();
    }
  },
);
