/**
 * Command lines that run one after the other in one process, for tests that need many: what the compiler
 * has parsed for one, the next ones use. `run_command.ts` has a process for each.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { type CommandResult, keptEnvironment } from "./run_command.ts";

/** What the process is asked. */
export interface AskedCommand {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** A process that runs commands until it is disposed of. */
export class CommandProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  #rest = "";
  #last: Promise<unknown> = Promise.resolve();

  /** Starts it. */
  constructor() {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        fileURLToPath(new URL("command_child.ts", import.meta.url)),
      ],
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Runs `kontract …` with exactly this environment beside what Deno itself needs. Calls wait for each other. */
  run(args: readonly string[], env: Readonly<Record<string, string>>): Promise<CommandResult> {
    const next = this.#last.then(async () => {
      const asked: AskedCommand = { args, env: keptEnvironment(env) };
      await this.#input.write(new TextEncoder().encode(`${JSON.stringify(asked)}\n`));
      return JSON.parse(await this.#line()) as CommandResult;
    });
    this.#last = next.catch(() => {});
    return next;
  }

  async #line(): Promise<string> {
    while (!this.#rest.includes("\n")) {
      const { done, value } = await this.#output.read();
      if (done) throw new Error(`The process ended, having said: ${this.#rest}`);
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return line;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#output.cancel();
    await this.#child.status;
  }
}
