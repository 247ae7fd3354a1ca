/**
 * An app as a new user has it: made by `kontract init` in an empty folder, with a Deno cache of its own and
 * none of this run's settings.
 *
 * Only the npm packages of that cache are this machine's own (a link to its folder): they are 250 MB from a
 * public registry and not what is tested. Kontract itself comes from the loopback registry, or from the
 * repository by `links`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's folder. */
export const REPOSITORY: string = fileURLToPath(new URL("../..", import.meta.url)).replace(
  /[/\\]$/,
  "",
);

/** The command line as a user names it. */
export const CLI = "jsr:@kontract/kontract/cli";

/** What a command came to. */
export interface Outcome {
  readonly code: number;
  /** Both streams, without colours. */
  readonly output: string;
}

/** Milliseconds within which an app must have ended. */
const ENDING_MS = 30_000;

/** An app that exists for one test. */
export class CreatedApp implements AsyncDisposable {
  /** The folder that holds the app's and the cache. */
  readonly #home: string;
  readonly #env: Readonly<Record<string, string>>;
  /** The app's folder. */
  readonly folder: string;

  private constructor(home: string, env: Readonly<Record<string, string>>) {
    this.#home = home;
    this.#env = env;
    this.folder = join(home, "my-app");
  }

  /** Runs `init`, which must succeed. `jsrUrl` null: by the repository's own `cli.ts`. */
  static async create(jsrUrl: string | null): Promise<CreatedApp> {
    const app = await CreatedApp.#nowhere(jsrUrl);
    const module = jsrUrl === null ? join(REPOSITORY, "cli.ts") : CLI;
    const { code, output } = await app.deno(["run", "-A", module, "init", "my-app"], app.#home);
    assert.equal(code, 0, output);
    if (jsrUrl === null) await app.#linkRepository();
    return app;
  }

  /** Writes files by hand in place of `init`. */
  static async written(
    jsrUrl: string,
    files: ReadonlyMap<string, string>,
  ): Promise<CreatedApp> {
    const app = await CreatedApp.#nowhere(jsrUrl);
    for (const [path, text] of files) {
      await Deno.mkdir(join(app.folder, dirname(path)), { recursive: true });
      await Deno.writeTextFile(join(app.folder, path), text);
    }
    return app;
  }

  /** A home with a cache, and no app yet. */
  static async #nowhere(jsrUrl: string | null): Promise<CreatedApp> {
    const home = await Deno.realPath(await Deno.makeTempDir({ prefix: "kontract_created_" }));
    const cache = join(home, "deno");
    await Deno.mkdir(cache);
    // Without the link everything is fetched, which is slower and nothing else.
    await Deno.symlink(await npmCache(), join(cache, "npm"), { type: "dir" }).catch(() => {});
    return new CreatedApp(home, {
      DENO_DIR: cache,
      JSR_URL: jsrUrl ?? "",
      KONTRACT_TEST_APP: home,
      NO_COLOR: "1",
      DENO_NO_UPDATE_CHECK: "1",
      DATABASE_URL: "",
      DATABASE_ADMIN_URL: "",
      KONTRACT_SECRET: "",
      KONTRACT_KEPT: "",
    });
  }

  /** Runs Deno in the app's folder, or another one. */
  async deno(args: readonly string[], cwd: string = this.folder): Promise<Outcome> {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...args],
      cwd,
      env: this.#environment,
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
  }

  /** Runs one of the app's tasks, which must succeed; its output. */
  async task(...args: readonly string[]): Promise<string> {
    const { code, output } = await this.deno(["task", ...args]);
    assert.equal(code, 0, `deno task ${args.join(" ")}:\n${output}`);
    return output;
  }

  /** Runs the task `dev`, or what `args` say, while `work` has its address; then ends it, and nothing may be left. */
  async whileDev(
    work: (url: string) => Promise<void>,
    args: readonly string[] = ["task", "dev"],
  ): Promise<void> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [...args, "--port", "0"],
      cwd: this.folder,
      env: this.#environment,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const output = Promise.all([child.stdout, child.stderr].map((one) => new Response(one).text()));
    try {
      const url = await Promise.race([
        this.#address(),
        output.then(([out, err]) => assert.fail(`'deno ${args.join(" ")}' ended:\n${out}${err}`)),
      ]);
      await work(url);
    } finally {
      child.kill(Deno.build.os === "windows" ? "SIGTERM" : "SIGINT");
      await child.status;
      await output;
    }
    await this.#quiet();
    await assert.rejects(Deno.stat(this.#devFile), Deno.errors.NotFound);
  }

  /** Removes everything, and ends what a failed test left. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of await this.#processes()) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    }
    const data = join(this.folder, ".kontract", "pg");
    const real = await Deno.realPath(data).catch(() => data);
    await Deno.remove(real, { recursive: true }).catch(() => {});
    await Deno.remove(this.#home, { recursive: true });
  }

  get #devFile(): string {
    return join(this.folder, ".kontract", "dev.json");
  }

  /** This process's environment without what its tests are told, and the app's own. */
  get #environment(): Record<string, string> {
    return { ...this.#env };
  }

  async #linkRepository(): Promise<void> {
    const path = join(this.folder, "deno.json");
    const config: Record<string, unknown> = JSON.parse(await Deno.readTextFile(path));
    const linked = { ...config, links: [REPOSITORY] };
    await Deno.writeTextFile(path, `${JSON.stringify(linked, null, 2)}\n`);
    const { code, output } = await this.deno(["fmt", "deno.json"]);
    assert.equal(code, 0, output);
  }

  async #address(): Promise<string> {
    for (;;) {
      const text = await Deno.readTextFile(this.#devFile).catch(() => "");
      const value: { readonly url?: string } = text === "" ? {} : JSON.parse(text);
      if (value.url !== undefined) return value.url;
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  async #quiet(): Promise<void> {
    const until = Date.now() + ENDING_MS;
    let left = await this.#processes();
    while (left.length > 0 && Date.now() < until) {
      await new Promise((done) => setTimeout(done, 50));
      left = await this.#processes();
    }
    assert.deepEqual(left, [], "Processes of the app are still running.");
  }

  /** Living processes that have the app's folder in their environment or command line (Linux). */
  async #processes(): Promise<readonly number[]> {
    if (Deno.build.os !== "linux") return [];
    const found: number[] = [];
    for await (const { name } of Deno.readDir("/proc")) {
      const pid = Number(name);
      if (!Number.isInteger(pid) || pid === Deno.pid) continue;
      for (const file of ["environ", "cmdline"]) {
        const text = await Deno.readTextFile(`/proc/${pid}/${file}`).catch(() => "");
        if (text.includes(this.#home)) {
          found.push(pid);
          break;
        }
      }
    }
    return found;
  }
}

async function npmCache(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const info: { readonly npmCache: string } = JSON.parse(new TextDecoder().decode(stdout));
  return info.npmCache;
}
