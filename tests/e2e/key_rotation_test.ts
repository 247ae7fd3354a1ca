/**
 * The keys of a built app, rotated under clients that pin its root: `kontract keys` as an operator uses it,
 * `kontract start` on both hosts, and one client of the build that stays connected all the while.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { HOST_NAMES, type HostName } from "../../cli/dev/host.ts";
import { runCommand } from "../../cli/testing/run_command.ts";
import { TemporaryApp } from "../../cli/testing/temporary_app.ts";

const options = {
  sanitizeOps: false,
  sanitizeResources: false,
  ignore: Deno.build.os === "windows",
};

interface Page {
  readonly client: { configure(settings: { url: string }): void; close(): void };
  writeNote(id: string, text: string): Promise<string>;
  readNote(id: string): Promise<string | null>;
}

/** Runs the app with `env` until disposed. */
async function serve(
  app: TemporaryApp,
  host: HostName,
  env: Readonly<Record<string, string>>,
  port = 0,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const child = app.spawn("start", { host, port, env });
  const { url } = await app.info(child);
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
      await app.quiet();
    },
  };
}

for (const host of HOST_NAMES) {
  Deno.test(
    `${host}: keys rotate under a client that pins the root, and it never notices`,
    options,
    async () => {
      await using app = await TemporaryApp.create([]);
      const made = await runCommand(["keys", "new", "--root"], {});
      const root = {
        KONTRACT_ROOT: made.stdout.trim(),
        KONTRACT_ROOT_PIN: /root\.[\w-]{43}/.exec(made.stderr)![0],
      };
      let secret = (await runCommand(["keys", "new"], {})).stdout.trim();
      let set = "";
      const sign = async (): Promise<void> => {
        const env = { ...root, KONTRACT_SECRET: secret, KONTRACT_KEY_SET: set };
        set = (await runCommand(["keys", "sign"], env)).stdout.trim();
      };
      // The root's private key stays away from the gateway.
      const env = (): Record<string, string> => ({
        KONTRACT_ROOT_PIN: root.KONTRACT_ROOT_PIN,
        KONTRACT_SECRET: secret,
        KONTRACT_KEY_SET: set,
      });

      await sign();
      let page: Page;
      let port: number;
      {
        await using first = await serve(app, host, env());
        port = Number(new URL(first.url).port);
        page = await import(`file://${join(app.folder, "dist/client/client.js")}?${host}`);
        page.client.configure({ url: first.url });
        await page.writeNote("a", "under the first key");
      }
      const rotate = async (keep: number): Promise<void> => {
        const args = ["keys", "rotate", `--keep=${keep}`];
        secret = (await runCommand(args, { KONTRACT_SECRET: secret })).stdout.trim();
        assert.equal(secret.split(",").length, keep + 1);
      };
      await rotate(1);
      await sign();
      {
        await using _second = await serve(app, host, env(), port);
        assert.equal(await page.readNote("a"), "under the first key");
        await page.writeNote("b", "under the second");
      }
      // A gateway whose keys no set of the root names.
      await rotate(0);
      await using foreign = await serve(app, host, env(), port);
      page.client.configure({ url: foreign.url });
      await assert.rejects(page.readNote("b"), { code: "RAY_SERVER_KEY" });
      page.client.close();
    },
  );
}
