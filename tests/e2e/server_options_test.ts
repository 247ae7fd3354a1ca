/**
 * The options of an app's own `src/server.ts`, in built apps on both hosts: its mail leaves through its own
 * adapter with its own secret, its audit hook hears of the sign-in, and its rules hold, over HTTP and WebSocket.
 *
 * @module
 */
import assert from "node:assert/strict";
import { HOST_NAMES } from "../../cli/dev/host.ts";
import { type Client, type ClientStorage, memoryStorage } from "../../runtime/client/mod.ts";
import { TemporaryApp } from "../../cli/testing/temporary_app.ts";
import { until } from "../until.ts";

const SERVER = `import { defineServer } from "@kontract/kontract";

export default defineServer(({ secret }) => {
  const url = secret("MAIL_URL");
  const post = async (path: string, body: unknown): Promise<void> => {
    const answer = await fetch(url + path, {
      method: "POST",
      headers: { authorization: "Bearer " + secret("MAIL_KEY") },
      body: JSON.stringify(body),
    });
    await answer.body?.cancel();
  };
  return {
    origins: ["https://pages.example"],
    tenantOf: (request) => new URL(request.url).hostname === "localhost" ? "acme" : null,
    auth: {
      appName: "Notes",
      registration: "immediate",
      minPasswordLength: 12,
      mail: { send: (mail) => post("/mail", mail) },
      async audit(event) {
        await post("/audit", event);
        throw new Error("This must not fail the sign-in.");
      },
    },
  };
});
`;

interface Posted {
  readonly path: string;
  readonly key: string | null;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Page {
  readonly client: Client;
}

/** What becomes of a subscription: live, or the code of its error. */
async function followed(client: Client): Promise<string> {
  const opened = Promise.withResolvers<string>();
  const subscription = client.subscribe("notes", {
    onStatus: (status) => status === "live" && opened.resolve("live"),
  });
  const failed = subscription[Symbol.asyncIterator]().next().then(
    () => "event",
    (error) => String(error.code),
  );
  const result = await Promise.race([opened.promise, failed]);
  subscription.close();
  return result;
}

/** A mail service and audit log over HTTP, which keeps what it gets. */
class Sink implements AsyncDisposable {
  readonly #posted: Posted[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      this.#posted.push({
        path: new URL(request.url).pathname,
        key: request.headers.get("authorization"),
        body: await request.json(),
      });
      return new Response(null, { status: 204 });
    },
  );

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** The first that fits, once it has come. */
  async find(path: string, fits: (body: Posted["body"]) => boolean): Promise<Posted> {
    const find = () => this.#posted.find((one) => one.path === path && fits(one.body));
    await until(() => find() !== undefined);
    return find()!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

for (const host of HOST_NAMES) {
  Deno.test(
    `src/server.ts configures a built app on ${host}`,
    { sanitizeOps: false, sanitizeResources: false, ignore: Deno.build.os === "windows" },
    async () => {
      await using sink = new Sink();
      await using app = await TemporaryApp.create([], {
        "src/server.ts": SERVER,
        "web/main.ts": `export { client } from "@/client";\n`,
        "web/index.html": `<!doctype html><script type="module" src="/main.ts"></script>`,
      });
      const child = app.spawn("start", { host, env: { MAIL_URL: sink.url, MAIL_KEY: "the key" } });
      const { url } = await app.info(child);
      const auth = async (
        name: string,
        argument: unknown,
        headers: Readonly<Record<string, string>> = {},
      ): Promise<{ readonly status: number; readonly code: string | undefined }> => {
        const response = await fetch(`${url}/auth/${name}`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify(argument),
          signal: AbortSignal.timeout(20_000),
        });
        const text = await response.text();
        return {
          status: response.status,
          code: text === "" ? undefined : JSON.parse(text)?.error?.code,
        };
      };
      const email = "ada@example.com";
      const first = "correct horse battery", second = "staple battery horse";

      assert.equal((await auth("register", { email, password: "elevenchars" })).status, 400);
      assert.equal((await auth("register", { email, password: first })).status, 200);
      assert.equal((await auth("login", { email, password: first })).status, 200);
      const login = await sink.find("/audit", ({ type }) => type === "login_succeeded");
      assert.equal(login.body.tenant, "main");
      assert.equal(typeof login.body.owner, "string");

      assert.equal((await auth("request-reset", { email })).code, undefined);
      const mail = await sink.find("/mail", ({ kind }) => kind === "reset");
      assert.equal(mail.key, "Bearer the key");
      assert.equal(mail.body.to, email);
      assert.equal(mail.body.appName, "Notes");
      const reset = await auth("reset-password", { token: mail.body.token, password: second });
      assert.equal(reset.code, undefined);
      assert.equal((await auth("login", { email, password: first })).code, "UNAUTHORIZED");
      assert.equal((await auth("login", { email, password: second })).status, 200);

      const from = (origin: string): ReturnType<typeof auth> => auth("anonymous", {}, { origin });
      assert.equal((await from("https://pages.example")).status, 200);
      assert.equal((await from("https://other.example")).code, "FORBIDDEN");

      const { client }: Page = await import(`file://${app.folder}/dist/public/main.js`);
      // One session for both addresses, as no browser has: what refuses it is the server.
      const kept = memoryStorage();
      const storage: ClientStorage = {
        get: () => kept.get("session"),
        set: (_, value) => kept.set("session", value),
      };
      client.configure({ url, storage });
      await client.auth.anonymous();
      assert.equal(await followed(client), "live");
      client.configure({ url: url.replace("127.0.0.1", "localhost") });
      assert.equal(await followed(client), "NOT_FOUND", "there is no tenant 'acme'");
      client.close();

      child.kill("SIGTERM");
      await child.status;
      await app.quiet();
    },
  );
}
