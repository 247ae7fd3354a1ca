/**
 * Cold start, lazy against eager: `deno task bench cold [--rounds=5]`.
 *
 * For 1, 50 and 500 routes (one per module, about 3 kB of code with some work at the top level) the built
 * app, minified, is started on workerd and on `deno serve`. Two points are taken, each less what an empty
 * program takes on the same host in the same round:
 *
 * - *ready*: from the start of the process to its port being open, with the script evaluated;
 * - *answer*: to the first answer of a function that asks no database. Every function's session is the
 *   database's, so it is called with one argument too many: the token is verified, the function's chunk is
 *   loaded and decodes, and refuses.
 *
 * *cpu* is the processor time of all processes of the host up to that answer (Linux only): on a machine that
 * has other work it says more than the clock. The eager build is the same bundle with an entry that imports
 * every chunk at once.
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
import { build, formatDiagnostics, stopBundler } from "../compiler/mod.ts";
import { makeApp } from "../compiler/testing/app.ts";
import { median } from "./rounds.ts";

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

/** What one start took, in milliseconds. */
interface Start {
  readonly ready: number;
  readonly answer: number;
  readonly cpu: number;
}

async function start(host: HostName, dist: string, path: string, expected: number): Promise<Start> {
  const state = await Deno.makeTempDir({ prefix: "kontract_cold_" });
  const output = (stream: ReadableStream<Uint8Array>): void =>
    void stream.pipeTo(
      new WritableStream(),
    ).catch(() => {});
  const make = host === "workers" ? workersHost : denoHost;
  const others = descendants();
  const running = make({ dist, state, env, outputs: null, output });
  try {
    const began = performance.now();
    const origin = await running.load();
    const ready = performance.now() - began;
    const response = await fetch(`${origin}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: "[1]",
    });
    const text = await response.text();
    const answer = performance.now() - began;
    if (response.status !== expected) throw new Error(`${response.status} ${text}`);
    const own = [...descendants()].filter((pid) => !others.has(pid));
    return { ready, answer, cpu: own.reduce((sum, pid) => sum + cpuOf(pid), 0) };
  } finally {
    await running.stop();
    await Deno.remove(state, { recursive: true });
  }
}

/** Processes that this one and its children have started; none where there is no `/proc`. */
function descendants(): Set<number> {
  const found = new Set([Deno.pid]);
  if (Deno.build.os !== "linux") return found;
  const parents = [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    const stat = /^\d+$/.test(name) ? readText(`/proc/${name}/stat`) : "";
    const parent = /\) \S (\d+) /.exec(stat)?.[1];
    return parent === undefined ? [] : [[Number(name), Number(parent)] as const];
  }).sort(([a], [b]) => a - b);
  for (let size = 0; size < found.size;) {
    size = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  found.delete(Deno.pid);
  return found;
}

/** Milliseconds of processor time of a process's threads. */
function cpuOf(pid: number): number {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/task`)].reduce(
      (sum, { name }) =>
        sum + Number(readText(`/proc/${pid}/task/${name}/schedstat`).split(" ")[0]) / 1e6,
      0,
    );
  } catch {
    return 0; // it has ended
  }
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return ""; // a process that has ended
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

const scratch = await Deno.makeTempDir({ prefix: "kontract_cold_" });
try {
  await makeEmpty(join(scratch, "empty"));
  console.log(`cold start over an empty program, ms, medians of ${ROUNDS} (goal: lazy under 10)`);
  console.log("                 lazy                   eager                  empty program");
  console.log(`routes  host     ${"  ready answer    cpu ".repeat(3)}`);
  for (const size of SIZES) {
    await using app = await makeApp(
      Object.fromEntries(
        Array.from({ length: size }, (_, n) => [`src/route${n}.ts`, moduleText(n)]),
      ),
    );
    const built = await build({ root: app.root, hosts: HOST_NAMES, minify: true });
    if (!built.ok) throw new Error(formatDiagnostics(built.diagnostics));
    await stopBundler();
    const dist = join(app.root, "dist");
    const eager = join(scratch, `eager_${size}`);
    for (const host of HOST_NAMES) {
      await makeEager(dist, host, eager);
      const lazy: Start[] = [], all: Start[] = [], empty: Start[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        lazy.push(await start(host, dist, "/rpc/route0", 400));
        all.push(await start(host, eager, "/rpc/route0", 400));
        empty.push(await start(host, join(scratch, "empty"), "/", 200));
      }
      const columns = [over(lazy, empty), over(all, empty), over(empty, [])].join("");
      console.log(`${String(size).padStart(6)}  ${host.padEnd(9)}${columns}`);
    }
  }
} finally {
  await Deno.remove(scratch, { recursive: true });
}
Deno.exit(0);

/** Medians less those of a floor. */
function over(starts: readonly Start[], floor: readonly Start[]): string {
  return (["ready", "answer", "cpu"] as const).map((point) => {
    const base = floor.length === 0 ? 0 : median(floor.map((one) => one[point]));
    return (median(starts.map((one) => one[point])) - base).toFixed(0).padStart(7);
  }).join("") + " ";
}
