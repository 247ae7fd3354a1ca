import assert from "node:assert/strict";
import { CLI, TemporaryApp } from "./testing/temporary_app.ts";
import { VERSION } from "./version.ts";

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function kontract(...args: string[]): Promise<Said> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CLI, ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("--version is the package's, and --help lists every command", async () => {
  const config = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
  assert.equal(config.version, VERSION);
  assert.deepEqual(await kontract("--version"), { code: 0, out: `${VERSION}\n`, err: "" });
  const { code, out } = await kontract("--help");
  assert.equal(code, 0);
  for (const name of ["build", "check", "deploy", "dev", "keys", "migrate", "start", "types"]) {
    assert.match(out, new RegExp(`^  ${name}\\b`, "m"));
    assert.ok((await kontract(name, "--help")).out.startsWith(`kontract ${name}`));
  }
});

Deno.test("a mistake in the arguments is one clear sentence and exit code 2", async () => {
  const cases: [string[], RegExp][] = [
    [["nope"], /^usage: There is no command 'nope'\. The commands are build, /],
    [["start", "--nope"], /^usage: .*'--nope'/],
    [["start", "--port", "x"], /^usage: --port must be a number from 0 to 65535: it is 'x'/],
    [["start", "--port", "65536"], /^usage: --port must be/],
    [["start", "--host", "moon"], /^usage: --host must be workers or deno: it is 'moon'/],
    [["build", "a", "b"], /^usage: 'b' is one argument too many/],
    [["keys"], /^usage: Say 'kontract keys new\|rotate\|show\|sign \[folder\]'/],
    [["migrate", "sideways"], /^usage: Say 'kontract migrate up/],
    [["constructor"], /^usage: There is no command 'constructor'/],
  ];
  for (const [args, expected] of cases) {
    const { code, out, err } = await kontract(...args);
    assert.deepEqual([code, out], [2, ""], args.join(" "));
    assert.match(err, expected);
    assert.ok(!err.includes("    at "), "no stack");
  }
});

Deno.test("a folder that is no app is refused with what to do", async () => {
  const { code, err } = await kontract("build", "no-such-folder");
  assert.equal(code, 1);
  assert.match(err, /^CONFIG: 'no-such-folder' is not an app: it has no deno\.json/);
});

Deno.test({
  name: "what a disk refuses is told in one sentence, and is no fault of Kontract's",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using app = await TemporaryApp.create([]);
    await Deno.mkdir(`${app.folder}/.kontract`);
    const file = `${app.folder}/.kontract/dev.json.next`;
    // Nobody may write this one. No device: the file's mode is set as it is written.
    await Deno.symlink("/proc/sys/kernel/ostype", file);
    const { code, err } = await kontract("start", app.folder, "--port", "0");
    assert.equal(code, 1);
    assert.equal(
      err,
      `CONFIG: This machine refuses it: Permission denied (os error 13): writefile '${file}'\n`,
    );
  },
});

Deno.test("keys new prints 32 random bytes, another each time", async () => {
  const [one, two] = await Promise.all([kontract("keys", "new"), kontract("keys", "new")]);
  const bytes = Uint8Array.fromBase64(one.out.trim(), { alphabet: "base64url" });
  assert.equal(bytes.length, 32);
  assert.notEqual(one.out, two.out);
});

Deno.test("an error in the app is shown with file, line and code frame, and exit code 1", async () => {
  await using app = await TemporaryApp.create([]);
  await Deno.writeTextFile(
    `${app.folder}/src/bad.ts`,
    `import { backend } from "@kontract/kontract";
/** Cannot cross. */
export class Bad {
  /** Takes a function. */
  @backend({})
  static run(callback: () => void): void {
    callback();
  }
}
`,
  );
  const { code, err } = await kontract("build", app.folder);
  assert.equal(code, 1);
  assert.match(err, /^BUILD_FAILED: error KT3001/);
  assert.match(err, /src\/bad\.ts:6:\d+/);
  assert.match(err, /> 6 \| {3}static run\(callback/);
});
