/** PostgreSQL's programs, unpacked into a folder of the test's own; and programs that do not run. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { POSTGRES_PACKAGE_VERSION } from "./postgres_binaries.ts";

const posix = { ignore: Deno.build.os === "windows" };
const NAME = `postgres-${POSTGRES_PACKAGE_VERSION}`;

interface Outcome {
  readonly home?: string;
  readonly code?: string;
  readonly message?: string;
}

/** What a process makes of it that has `cache` for its programs; its lock file is nobody's. */
async function unpack(cache: string, dataDir?: string): Promise<Outcome> {
  const program = fileURLToPath(new URL("./testing/postgres_child.ts", import.meta.url));
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "--no-check", "--no-lock", program],
      ...dataDir === undefined ? [] : [dataDir],
    ],
    env: { KONTRACT_CACHE_DIR: cache },
    stderr: "inherit",
  }).output();
  assert.equal(code, 0);
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kontract_cache_" });
  await Deno.chmod(folder, 0o755);
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test(
  "several first starts at once unpack the programs, once, and they run",
  posix,
  () =>
    withFolder(async (folder) => {
      const cache = join(folder, "cache");
      const home = join(cache, NAME);
      assert.deepEqual(await Promise.all([unpack(cache), unpack(cache)]), [{ home }, { home }]);
      assert.deepEqual([...Deno.readDirSync(cache)].map(({ name }) => name), [NAME]);
      const postgres = join(home, "bin", "postgres");
      const { stdout } = await new Deno.Command(postgres, { args: ["--version"] }).output();
      assert.match(new TextDecoder().decode(stdout), /^postgres \(PostgreSQL\) 18/);
      // What is there is taken as it is.
      const { mtime } = await Deno.stat(postgres);
      assert.deepEqual(await unpack(cache), { home });
      assert.deepEqual((await Deno.stat(postgres)).mtime, mtime);
    }),
);

Deno.test(
  "programs in a folder that others may write, or that is a link, are not run",
  posix,
  () =>
    withFolder(async (folder) => {
      const [cache, link] = [join(folder, "cache"), join(folder, "link")];
      await Deno.mkdir(cache);
      await Deno.symlink(cache, link);
      for (const mode of [0o775, 0o757]) {
        await Deno.chmod(cache, mode);
        const { code, message } = await unpack(cache);
        assert.deepEqual([code, message?.includes("KONTRACT_CACHE_DIR")], ["CONFIG", true]);
      }
      assert.equal((await unpack(link)).code, "CONFIG");
    }),
);

Deno.test(
  "programs that do not run here are typed errors that say what to do",
  posix,
  () =>
    withFolder(async (folder) => {
      const initdb = join(folder, NAME, "bin", "initdb");
      await Deno.mkdir(join(folder, NAME, "bin"), { recursive: true });
      await Deno.writeTextFile(join(folder, NAME, "complete"), "");
      await Deno.writeTextFile(initdb, "#!/no/such/loader\n", { mode: 0o755 });
      const unknown = await unpack(folder, join(folder, "data"));
      assert.equal(unknown.code, "UNSUPPORTED_PLATFORM");
      assert.match(unknown.message ?? "", /DATABASE_URL and DATABASE_ADMIN_URL/);
      await Deno.writeTextFile(
        initdb,
        "#!/bin/sh\necho first >&2\necho no space left >&2\nexit 1\n",
      );
      const failed = await unpack(folder, join(folder, "data"));
      assert.equal(failed.code, "DATABASE_UNAVAILABLE");
      assert.match(failed.message ?? "", /no space left$/);
    }),
);
