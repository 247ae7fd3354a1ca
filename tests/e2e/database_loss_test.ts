/**
 * A running app whose database goes away and comes back: callers get a typed error in bounded time, the
 * app does not end, nothing acknowledged is lost, and it goes on by itself when the database is back.
 *
 * @module
 */
import assert from "node:assert/strict";
import { freePort, startEmbeddedPostgres } from "../../cli/embedded_postgres.ts";
import { HOST_NAMES } from "../../cli/dev/host.ts";
import { TemporaryApp } from "../../cli/testing/temporary_app.ts";

/** Longer than any deadline of the app; a call that takes this long hangs. */
const HANG_MS = 30_000;

const NOTES = `import { backend, env, perms, primkey, table } from "@kontract/kontract";

/** Notes. */
@table("notes", { perm: perms.RWX })
export class Note {
  @primkey
  id!: string;
  text!: string;
}

/** Slow enough to lose the database in the middle. */
export class Notes {
  /** Reads, waits, writes. */
  @backend({ perm: perms.RWX })
  static async slowNote(id: string, text: string, wait: number): Promise<string> {
    await env.storage.notes.get(id);
    await new Promise((done) => setTimeout(done, wait));
    await env.storage.notes.set(id, { text });
    return id;
  }

  /** Reads a note. */
  @backend({ perm: perms.R__ })
  static async readNote(id: string): Promise<string | null> {
    return (await env.storage.notes.get(id))?.text ?? null;
  }
}
`;

interface Answer {
  readonly status: number;
  readonly body: { readonly result?: unknown; readonly error?: { readonly code: string } };
  readonly text: string;
}

for (const host of HOST_NAMES) {
  Deno.test(
    `a database that dies in the middle of a call on ${host} costs that call only`,
    { sanitizeOps: false, sanitizeResources: false, ignore: Deno.build.os === "windows" },
    async () => {
      const data = await Deno.makeTempDir({ prefix: "kontract_loss_" });
      await Deno.chmod(data, 0o755);
      await using stack = new AsyncDisposableStack();
      stack.defer(() => Deno.remove(data, { recursive: true }));
      const port = freePort();
      const dataDir = `${data}/pg`;
      let server = await startEmbeddedPostgres({ dataDir, port, durable: true });
      stack.defer(() => server.stop());
      await using app = await TemporaryApp.create([], { "src/notes.ts": NOTES });
      const child = app.spawn("start", {
        host,
        env: { DATABASE_ADMIN_URL: server.url },
        stderr: "null",
      });
      const { url } = await app.info(child);
      const session = await (await fetch(`${url}/auth/anonymous`, { method: "POST" })).json();
      const call = async (name: string, args: readonly unknown[]): Promise<Answer> => {
        const response = await fetch(`${url}/rpc/${name}`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${session.access}`,
            "content-type": "application/json",
          },
          body: JSON.stringify(args),
          signal: AbortSignal.timeout(HANG_MS),
        });
        const text = await response.text();
        return { status: response.status, text, body: JSON.parse(text) };
      };
      assert.deepEqual((await call("slowNote", ["kept", "acknowledged", 0])).body.result, "kept");

      const middle = call("slowNote", ["lost", "never acknowledged", 1500]);
      await new Promise((done) => setTimeout(done, 500));
      await server.stop();
      for (const answer of [await middle, await call("readNote", ["kept"])]) {
        assert.equal(answer.status, 503, answer.text);
        assert.ok(
          ["DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN"].includes(answer.body.error?.code ?? ""),
          answer.text,
        );
        assert.doesNotMatch(answer.text, /127\.0\.0\.1|ECONN|postgres|\bat \S+:\d+/i);
      }
      assert.equal((await fetch(`${url}/health`)).status, 200);

      server = await startEmbeddedPostgres({ dataDir, port, durable: true });
      const again = await call("readNote", ["kept"]);
      assert.equal(again.body.result, "acknowledged", again.text);
      assert.equal((await call("readNote", ["lost"])).body.result, null);

      child.kill("SIGTERM");
      await child.status;
      await app.quiet();
    },
  );
}
