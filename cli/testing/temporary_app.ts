/**
 * A small real app in a folder of its own, which uses this repository's package through `links`, and eyes
 * for the processes that belong to it.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { HostName } from "../dev/host.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** The `kontract` command's main module. */
export const CLI: string = join(repository, "cli.ts");

const NOTES = `import { backend, env, perms, primkey, table } from "@kontract/kontract";

/** Notes. */
@table("notes", { perm: perms.RWX })
export class Note {
  @primkey
  id!: string;
  text!: string;
}

/** What one can do with notes. */
export class Notes {
  /** Writes a note. */
  @backend({ perm: perms.RWX })
  static async writeNote(id: string, text: string): Promise<string> {
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

/** How an app is started. */
export interface SpawnOptions {
  readonly host: HostName;
  /** Any that is free, where missing. */
  readonly port?: number;
  /** Added to the app's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdout?: "null" | "piped" | "inherit";
  readonly stderr?: "null" | "piped" | "inherit";
}

/** An app that exists for one test. */
export class TemporaryApp implements AsyncDisposable {
  /** Its folder, a name that no other process has in its command line or environment. */
  readonly folder: string;
  /** The server whose file a killed one may have left behind. */
  #last: number | undefined;
  /** Who calls its functions, by a token. */
  #visitor: string | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Writes the app, with more or other `files`; its task `start` has these arguments. */
  static async create(
    args: readonly string[],
    files: Readonly<Record<string, string>> = {},
  ): Promise<TemporaryApp> {
    const folder = await Deno.makeTempDir({ prefix: "kontract_app_" });
    const config = {
      tasks: { start: `deno run -A --no-check ${CLI} start ${args.join(" ")}` },
      imports: {
        "@kontract/kontract": "jsr:@kontract/kontract@^0.1.0",
        "@/client": "./dist/client/client.js",
      },
      links: [repository],
      compilerOptions: { types: ["./.kontract/types.d.ts"] },
    };
    const app = new TemporaryApp(folder);
    await app.write({
      "deno.json": JSON.stringify(config),
      "src/notes.ts": NOTES,
      "web/index.html": "<!doctype html><h1>notes</h1>\n",
      ...files,
    });
    return app;
  }

  /** Writes files of the app: path → text. */
  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.folder, path);
      await Deno.mkdir(dirname(file), { recursive: true });
      await Deno.writeTextFile(file, text);
    }
  }

  /** Starts `kontract start` or `dev` in the app's folder; {@link info} tells when and where it answers. */
  spawn(
    command: "start" | "dev",
    { host, port = 0, env = {}, stdout = "null", stderr = "inherit" }: SpawnOptions,
  ): Deno.ChildProcess {
    return new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", CLI, command, "--port", `${port}`, "--host", host],
      cwd: this.folder,
      env: { ...this.env, ...env },
      stdin: "null",
      stdout,
      stderr,
    }).spawn();
  }

  /** Environment that marks every process it reaches, and names no other database. */
  get env(): Record<string, string> {
    return {
      KONTRACT_TEST_APP: this.folder,
      DATABASE_URL: "",
      DATABASE_ADMIN_URL: "",
      KONTRACT_SECRET: "",
      KONTRACT_KEPT: "",
      NO_COLOR: "1",
    };
  }

  /** What the running app says of itself, once it does; rejects where `child` ends before, or after three minutes. */
  async info(child: Deno.ChildProcess): Promise<{ readonly url: string; readonly pid: number }> {
    const path = join(this.folder, ".kontract", "dev.json");
    let ended: number | null = null;
    void child.status.then(({ code }) => ended = code);
    const until = Date.now() + 180_000;
    for (;;) {
      if (Date.now() > until) throw new Error("The app runs, and has not answered.");
      if (ended !== null) throw new Error(`The app ended with code ${ended} before it answered.`);
      const text = await Deno.readTextFile(path).catch(() => "{}");
      const value: { url?: string; pid?: number } = JSON.parse(text === "" ? "{}" : text);
      if (value.url !== undefined && value.pid !== undefined && value.pid !== this.#last) {
        this.#last = value.pid;
        return { url: value.url, pid: value.pid };
      }
      await new Promise((done) => setTimeout(done, 25));
    }
  }

  /** Ids of all living processes that belong to the app (Linux). */
  async processes(): Promise<number[]> {
    const found: number[] = [];
    const entries = await Array.fromAsync(Deno.readDir("/proc"));
    for (const entry of entries) {
      const pid = Number(entry.name);
      if (Number.isInteger(pid) && pid !== Deno.pid && await this.#owns(pid)) found.push(pid);
    }
    return found;
  }

  /** A process that is ending has neither command line nor environment, and is nobody's. */
  async #owns(pid: number): Promise<boolean> {
    const read = (name: string): Promise<string> =>
      Deno.readTextFile(`/proc/${pid}/${name}`).catch(() => "");
    const [command, environment] = await Promise.all([read("cmdline"), read("environ")]);
    return command.includes(this.folder) || environment.includes(this.folder);
  }

  /** Resolves when nothing of the app runs any more; rejects, naming what is left, after two minutes. */
  async quiet(): Promise<void> {
    const until = Date.now() + 120_000;
    // Looking through all processes costs more than looking after those that were found.
    for (let left = await this.processes(); left.length > 0; left = await this.processes()) {
      for (const pid of left) {
        while (await this.#owns(pid)) {
          if (Date.now() > until) throw new Error(`Of the app is left: ${await commandOf(pid)}`);
          await new Promise((done) => setTimeout(done, 50));
        }
      }
    }
  }

  /** Calls a function as an anonymous visitor, by plain JSON: always the same one, since a server makes few in a minute. */
  async call(url: string, name: string, args: readonly unknown[]): Promise<unknown> {
    this.#visitor ??= await anonymous(url);
    const response = await fetch(`${url}/rpc/${name}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.#visitor}`, "content-type": "application/json" },
      body: JSON.stringify(args),
    });
    const body: { readonly result?: unknown } = await response.json();
    if (!response.ok) throw new Error(JSON.stringify(body));
    return body.result;
  }

  /** Kills what is left, so that a failed test leaves nothing, and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of await this.processes()) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    }
    const data = join(this.folder, ".kontract", "pg");
    const real = await Deno.realPath(data).catch(() => data);
    await Deno.remove(real, { recursive: true }).catch(() => {});
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function anonymous(url: string): Promise<string> {
  const response = await fetch(`${url}/auth/anonymous`, { method: "POST" });
  const body = await response.json();
  if (!response.ok) throw new Error(JSON.stringify(body));
  return body.access;
}

async function commandOf(pid: number): Promise<string> {
  const command = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
  return command.replaceAll("\0", " ");
}
