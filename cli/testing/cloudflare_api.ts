/**
 * Cloudflare's side of `wrangler deploy`, as far as a deploy asks, on loopback: Cloudflare itself runs nowhere
 * else. It keeps what it was sent and the one thing that a second deploy must know, the last migration of
 * Durable Objects.
 *
 * @module
 */

/** A binding of an uploaded Worker. */
export interface UploadedBinding {
  readonly name: string;
  readonly type: string;
  readonly text?: string;
  readonly class_name?: string;
}

/** One upload of a Worker. */
export interface Upload {
  readonly metadata: {
    readonly main_module: string;
    readonly compatibility_date: string;
    readonly bindings: readonly UploadedBinding[];
    readonly migrations?: {
      readonly new_tag: string;
      readonly steps: readonly { readonly new_sqlite_classes: readonly string[] }[];
    };
  };
  /** Modules and source maps, by path. */
  readonly files: ReadonlyMap<string, string>;
}

/** Stands in for `api.cloudflare.com`. */
export class CloudflareApi implements AsyncDisposable {
  readonly uploads: Upload[] = [];
  /** Paths of static files of the last deploy. */
  assets: readonly string[] = [];
  crons: readonly string[] = [];
  /** True: uploads are refused, as for a token without the right. */
  refuses = false;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  /** Settings that lead wrangler here. */
  get env(): Record<string, string> {
    return {
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${this.#server.addr.port}`,
      CLOUDFLARE_API_TOKEN: "token-of-a-test",
      CLOUDFLARE_ACCOUNT_ID: "0".repeat(32),
    };
  }

  async #answer(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname.replace(/^\/accounts\/0+\/workers/, "");
    const last = this.uploads.at(-1);
    // The first deploy puts a script, each later one a version of it.
    if (/^\/scripts\/[^/]+(\/versions)?$/.test(path) && /PUT|POST/.test(request.method)) {
      const form = await request.formData();
      if (this.refuses) return failed(403, 10000, "Authentication error");
      this.uploads.push(await uploadOf(form));
      return done({
        id: "worker",
        deployment_id: "deployment",
        metadata: {},
        resources: { script: {} },
        startup_time_ms: 1,
      });
    }
    if (path.endsWith("/assets-upload-session")) {
      this.assets = Object.keys((await request.json()).manifest);
      return done({ jwt: "nothing to upload", buckets: [] });
    }
    if (path.endsWith("/schedules")) {
      this.crons = (await request.json()).map(({ cron }: { cron: string }) => cron);
      return done(null);
    }
    if (path.endsWith("/deployments") && request.method === "POST") return done({ id: "deployed" });
    if (path === "/subdomain") return done({ subdomain: "account" });
    if (path.startsWith("/workers/") || path.endsWith("/subdomain")) {
      return done({ id: "worker", subdomain: { enabled: true, previews_enabled: false } });
    }
    if (last === undefined) return failed(404, 10007, "This Worker does not exist.");
    if (path.startsWith("/services/")) {
      const script = { migration_tag: last.metadata.migrations?.new_tag, tag: "" };
      return done({ id: "worker", default_environment: { environment: "production", script } });
    }
    if (path === "/scripts") {
      return done([{ id: "worker", migration_tag: last.metadata.migrations?.new_tag }]);
    }
    if (path.endsWith("/secrets")) return done([]);
    return failed(404, 10007, "Not known here.");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

async function uploadOf(form: FormData): Promise<Upload> {
  const files = new Map<string, string>();
  for (const [path, value] of form) {
    if (typeof value !== "string") files.set(path, await value.text());
  }
  return { metadata: JSON.parse(String(form.get("metadata"))), files };
}

function done(result: unknown): Response {
  return Response.json({ success: true, errors: [], messages: [], result });
}

function failed(status: number, code: number, message: string): Response {
  return Response.json(
    { success: false, errors: [{ code, message }], messages: [], result: null },
    { status },
  );
}
