/**
 * `init.sh`: with Deno, with npx alone, with neither; `init.ps1`, where there is a PowerShell.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("../../init.sh", import.meta.url));
const posix = { ignore: Deno.build.os === "windows" };

interface Outcome {
  readonly code: number;
  readonly output: string;
}

/** Runs the script in a new folder where only these programs can be found. */
async function run(
  programs: Readonly<Record<string, string>>,
  args: readonly string[],
  check: (outcome: Outcome, folder: string) => Promise<void> | void,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kontract_init_" });
  try {
    const bin = join(folder, "bin");
    await Deno.mkdir(bin);
    for (const [name, target] of Object.entries(programs)) {
      await Deno.symlink(target, join(bin, name));
    }
    const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
      args: [script, ...args],
      cwd: folder,
      env: { PATH: bin, NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    await check({ code, output: decoder.decode(stdout) + decoder.decode(stderr) }, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("init.sh makes an app by the Deno that is installed", posix, async () => {
  await run({ deno: Deno.execPath() }, ["my-app"], async ({ code, output }, folder) => {
    assert.equal(code, 0, output);
    const made = join(folder, "my-app");
    assert.ok((await Deno.stat(join(made, "src", "notes.ts"))).isFile);
    const { links } = JSON.parse(await Deno.readTextFile(join(made, "deno.json")));
    assert.deepEqual(
      links.map((link: string) => join(made, link)),
      [dirname(script)],
      "the clone stands in for the package",
    );
  });
});

Deno.test("init.sh passes on what init refuses", posix, async () => {
  await run({ deno: Deno.execPath() }, [], ({ code, output }) => {
    assert.equal(code, 2);
    assert.match(output, /kontract init my-app/);
  });
  await run({ deno: Deno.execPath() }, ["My App; rm -rf"], ({ code, output }) => {
    assert.equal(code, 1);
    assert.match(output, /^CONFIG: .*lower-case letters/);
  });
});

Deno.test("init.sh says what to do where there is no Deno", posix, async () => {
  await run({}, ["my-app"], ({ code, output }) => {
    assert.equal(code, 1);
    assert.match(output, /Kontract needs Deno\. Install it/);
  });
});

/** PowerShell's program, or null. */
async function findPowerShell(): Promise<string | null> {
  for (const program of ["pwsh", "powershell"]) {
    try {
      const args = ["-NoProfile", "-Command", "exit 0"];
      if ((await new Deno.Command(program, { args }).output()).success) return program;
    } catch {
      // Not installed under this name.
    }
  }
  return null;
}

const powerShell = await findPowerShell();
if (powerShell === null) console.warn("SKIPPED: init.ps1 needs a PowerShell (pwsh).");

Deno.test({
  name: "init.ps1 makes an app, and passes on what init refuses",
  ignore: powerShell === null,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "kontract_init_" });
    const file = fileURLToPath(new URL("../../init.ps1", import.meta.url));
    const run = async (...args: string[]): Promise<Outcome> => {
      const { code, stdout, stderr } = await new Deno.Command(powerShell!, {
        args: ["-NoProfile", "-ExecutionPolicy", "Bypass", "-File", file, ...args],
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      const decoder = new TextDecoder();
      return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
    };
    try {
      const { code, output } = await run("my-app");
      assert.equal(code, 0, output);
      assert.ok((await Deno.stat(join(folder, "my-app", "src", "notes.ts"))).isFile);
      assert.equal((await run()).code, 2);
      assert.match((await run("My App")).output, /CONFIG: .*lower-case letters/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
