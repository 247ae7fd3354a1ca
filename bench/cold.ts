/**
 * Cold start, lazy against eager: `deno task bench cold [--rounds=5]`.
 *
 * For 1, 50 and 500 routes (one per module, about 3 kB of code with some work at the top level) the built
 * app is started on workerd and on `deno serve` and a function is called with one argument too many: its
 * chunk is loaded and decodes, and no database is asked. The figure is the time from the start to that
 * answer, less what an empty program takes on the same host in the same round. The eager build is the
 * same bundle with an entry that imports every chunk at once.
 *
 * @module
 */
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { SessionTokenIssuer } from "../auth/session_token.ts";
import { denoHost } from "../cli/dev/deno_host.ts";
import { HOST_NAMES, type HostName } from "../cli/dev/host.ts";
import { DURABLE_OBJECTS } from "../cli/dev/worker_config.ts";
import { workersHost } from "../cli/dev/workers_host.ts";
import { build, formatDiagnostics } from "../compiler/mod.ts";
import { makeApp } from "../compiler/testing/app.ts";

const SIZES = [1, 50, 500];
const ROUNDS = Number(Deno.args.find((arg) => arg.startsWith("--rounds="))?.slice(9) ?? 5);
const FILE: Readonly<Record<HostName, string>> = { workers: "worker.js", deno: "server.js" };
const FOLDER: Readonly<Record<HostName, string>> = { workers: "worker", deno: "deno" };

const secretBytes = randomBytes(32);
const env = {
  KONTRACT_SECRET: secretBytes.toString("base64url"),
  // Never reached: the function that is called uses no storage.
  DATABASE_URL: "postgres://nobody:none@127.0.0.1:9/none",
};
const issuer = new SessionTokenIssuer({ secrets: [secretBytes], clock: () => Date.now() });
const { token } = await issuer.issue({
  owner: crypto.randomUUID(),
  tenant: "main",
  family: randomBytes(16).toString("base64url"),
  anonymous: true,
});

/** One module: a function, a table of constants, and a loop at the top level. */
function moduleText(n: number): string {
  const rows = Array.from({ length: 60 }, (_, i) => `  "entry ${n}.${i} of a table": ${i * n},`);
  return `import { backend } from "@kontract/kontract";
const table: Record<string, number> = {
${rows.join("\n")}
};
let sum = 0;
for (let i = 0; i < 2_000; i++) sum += Object.keys(table).length ^ i;
/** A function. */
export const route${n} = backend({ readOnly: true }, (): Promise<number> => Promise.resolve(sum));
`;
}

async function timeToFirstAnswer(
  host: HostName,
  dist: string,
  path: string,
  expected: number,
): Promise<number> {
  const state = await Deno.makeTempDir({ prefix: "kontract_cold_" });
  const output = (stream: ReadableStream<Uint8Array>): void =>
    void stream.pipeTo(
      new WritableStream(),
    ).catch(() => {});
  const running = (host === "workers" ? workersHost : denoHost)({
    dist,
    state,
    env,
    again: false,
    output,
  });
  try {
    const start = performance.now();
    const origin = await running.load();
    const response = await fetch(`${origin}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      // One argument too many: the chunk is loaded, the arguments are refused, no database is asked.
      body: "[1]",
    });
    const text = await response.text();
    const took = performance.now() - start;
    if (response.status !== expected) throw new Error(`${response.status} ${text}`);
    return took;
  } finally {
    await running.stop();
    await Deno.remove(state, { recursive: true });
  }
}

/** A copy of a host's build whose entry imports every chunk before it answers. */
async function makeEager(dist: string, host: HostName, target: string): Promise<void> {
  const from = join(dist, FOLDER[host]);
  const to = join(target, FOLDER[host]);
  await Deno.mkdir(join(to, "chunks"), { recursive: true });
  const chunks: string[] = [];
  for await (const { name } of Deno.readDir(join(from, "chunks"))) {
    if (!name.endsWith(".js")) continue;
    await Deno.copyFile(join(from, "chunks", name), join(to, "chunks", name));
    chunks.push(name);
  }
  await Deno.copyFile(join(from, FILE[host]), join(to, "lazy.js"));
  const imports = chunks.sort().map((name) => `import "./chunks/${name}";`);
  const lines = [...imports, 'export * from "./lazy.js";', 'export { default } from "./lazy.js";'];
  await Deno.writeTextFile(join(to, FILE[host]), lines.join("\n"));
}

async function makeEmpty(target: string): Promise<void> {
  const classes = Object.values(DURABLE_OBJECTS).map((name) => `export class ${name} {}`);
  const text = `${classes.join("\n")}\nexport default { fetch: () => new Response("1") };\n`;
  for (const host of HOST_NAMES) {
    await Deno.mkdir(join(target, FOLDER[host]), { recursive: true });
    await Deno.writeTextFile(join(target, FOLDER[host], FILE[host]), text);
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

const scratch = await Deno.makeTempDir({ prefix: "kontract_cold_" });
try {
  await makeEmpty(join(scratch, "empty"));
  console.log(`cold start over an empty program, ms, median of ${ROUNDS} (goal: lazy under 10)`);
  console.log("routes  host      lazy   eager  empty program");
  for (const size of SIZES) {
    await using app = await makeApp(
      Object.fromEntries(
        Array.from({ length: size }, (_, n) => [`src/route${n}.ts`, moduleText(n)]),
      ),
    );
    const built = await build({ root: app.root, hosts: HOST_NAMES, minify: true });
    if (!built.ok) throw new Error(formatDiagnostics(built.diagnostics));
    const dist = join(app.root, "dist");
    const eager = join(scratch, `eager_${size}`);
    for (const host of HOST_NAMES) {
      await makeEager(dist, host, eager);
      const times = { lazy: [] as number[], eager: [] as number[], empty: [] as number[] };
      for (let round = 0; round < ROUNDS; round++) {
        times.lazy.push(await timeToFirstAnswer(host, dist, "/rpc/route0", 400));
        times.eager.push(await timeToFirstAnswer(host, eager, "/rpc/route0", 400));
        times.empty.push(await timeToFirstAnswer(host, join(scratch, "empty"), "/", 200));
      }
      const floor = median(times.empty);
      const over = (values: readonly number[]): string =>
        (median(values) - floor).toFixed(0).padStart(6);
      console.log(
        `${String(size).padStart(6)}  ${host.padEnd(8)}${over(times.lazy)}  ${over(times.eager)}` +
          `  ${floor.toFixed(0).padStart(6)}`,
      );
    }
  }
} finally {
  await Deno.remove(scratch, { recursive: true });
}
Deno.exit(0);
