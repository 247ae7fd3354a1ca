/**
 * From saving a file to the first answer of the new code, through the dev server:
 * `deno task bench edit_served [routes] [files] [host]`; both hosts where none is given. Each edit is inside one
 * function and some time after the last; the same session asks all the time.
 *
 * Prints median and p95, and what of them the build and the swap take, as `dev` itself says. Beside it the floors:
 * TypeScript's own time for such an edit, what the watcher waits for a file to be whole, and the start of the host
 * with an empty program, which an edit does not wait for. Then edits of a type that all files share, and the memory
 * of the process that watches (workerd or the app's Deno not in it). Goals are said to be met or missed, and what the
 * load was; both hosts take less than three minutes.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { denoHost } from "../cli/dev/deno_host.ts";
import { HOST_NAMES, type HostName } from "../cli/dev/host.ts";
import { SETTLE_MS } from "../compiler/file_texts.ts";
import { DURABLE_OBJECTS } from "../cli/dev/worker_config.ts";
import { workersHost } from "../cli/dev/workers_host.ts";
import { makeApp, type TestApp } from "../compiler/testing/app.ts";
import { largeApp, leafModule, sharedModule } from "../compiler/testing/large_app.ts";
import { goal } from "./goal.ts";
import { typescriptAlone } from "./typescript_alone.ts";

const routes = Number(Deno.args[0] ?? 1000), files = Number(Deno.args[1] ?? 200);
const hosts = HOST_NAMES.filter((name) => Deno.args[2] === undefined || Deno.args[2] === name);
const EDITS = 21, SHARED_EDITS = 3, POLL_MS = 5, PAUSE_MS = 1200;
/** Milliseconds of the issue that asked for it, and megabytes. */
const MEDIAN_GOAL = 150, P95_GOAL = 300, MEMORY_GOAL = 700;

const cli = fileURLToPath(new URL("../cli.ts", import.meta.url));
const each = Math.ceil(routes / files);

for (const host of hosts) await measure(host);

async function measure(host: HostName): Promise<void> {
  await using app = await makeApp(largeApp(routes, files));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", cli, "dev", "--port", "0", "--host", host],
    cwd: app.root,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const said: { readonly all: number; readonly swap: number }[] = [];
  const reading = child.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({
      write(text): void {
        const line = /rebuilt in (\d+) ms \((\d+) ms of it to serve it\)/g;
        for (const [, all, swap] of text.matchAll(line)) {
          said.push({ all: Number(all), swap: Number(swap) });
        }
      },
    }),
  );
  console.log(
    `${routes} routes in ${files} files on ${host}, ${EDITS} edits, load ${
      Deno.loadavg()[0]!.toFixed(1)
    }`,
  );
  let served: readonly number[];
  let memory: string;
  try {
    served = await editsServed(app);
    for (let i = 0; i < SHARED_EDITS; i++) {
      await pause();
      await app.write("src/shared.ts", sharedModule(`; extra${i}: number`));
      while (said.length <= EDITS + i) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    await pause();
    memory = await memoryOf(await watcher(child.pid));
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await reading;
  }
  const leaves = said.slice(0, EDITS);
  print("from edit to answer", served);
  console.log(
    `  ${goal("median", part(served, 0.5), MEDIAN_GOAL, "ms")}; ${
      goal("p95", part(served, 0.95), P95_GOAL, "ms")
    }`,
  );
  print("  of it to build", leaves.map(({ all, swap }) => all - swap));
  print("  of it to serve the build", leaves.map(({ swap }) => swap));
  const own = typescriptAlone(join(app.root, "src"));
  const edits = Array.from({ length: EDITS }, (_, i) => own.leaf("part7.ts", edited(-i)).wall);
  print("floor: TypeScript alone", edits);
  print("floor: a file is whole", [SETTLE_MS]);
  print("beside it: start of an empty program", await emptyStarts(host));
  print("shared type, rebuilt and served", said.slice(EDITS).map(({ all }) => all));
  const types = Array.from(
    { length: SHARED_EDITS },
    (_, i) => own.shared("shared.ts", sharedModule(`; other${i}: number`)).wall,
  );
  print("floor: TypeScript alone", types);
  console.log(`memory: ${memory}; ${goal("the most", peak(memory), MEMORY_GOAL, "MB")}`);
  console.log(`load ${Deno.loadavg()[0]!.toFixed(1)}\n`);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

/** The process below the one that was started, which does the work: the largest. */
async function watcher(pid: number): Promise<number> {
  const threads = await Array.fromAsync(Deno.readDir(`/proc/${pid}/task`)).catch(() => []);
  const children = await Promise.all(
    threads.map(({ name }) =>
      Deno.readTextFile(`/proc/${pid}/task/${name}/children`).catch(() => "")
    ),
  );
  const pids = children.join(" ").split(" ").filter(Boolean).map(Number);
  const below = await Promise.all(pids.map(watcher));
  const sizes = await Promise.all(
    [pid, ...below].map(async (one) => [parseInt(await memoryOf(one)) || 0, one] as const),
  );
  return sizes.sort(([a], [b]) => b - a)[0]![1];
}

/** As Linux tells it. */
async function memoryOf(pid: number): Promise<string> {
  const text = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  const of = (name: string): string => {
    const kilobytes = new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(text)?.[1];
    return kilobytes === undefined ? "?" : `${(Number(kilobytes) * 1.024e-3).toFixed(0)} MB`;
  };
  return `${of("VmRSS")}, at most ${of("VmHWM")}`;
}

function edited(i: number): string {
  return leafModule(7, each, "").replaceAll("total: n,", `total: n + ${i},`);
}

/** Milliseconds of each edit. */
async function editsServed(app: TestApp): Promise<number[]> {
  const url = await address(app);
  const { access } = await (await fetch(`${url}/auth/anonymous`, { method: "POST" })).json();
  const total = async (): Promise<number | undefined> => {
    const response = await fetch(`${url}/rpc/get7_0`, {
      method: "POST",
      headers: { authorization: `Bearer ${access}`, "content-type": "application/json" },
      body: JSON.stringify(["1", 0]),
    });
    return (await response.json()).result?.total;
  };
  const times: number[] = [];
  for (let i = 1; i <= EDITS; i++) {
    await pause();
    const began = performance.now();
    await app.write("src/part7.ts", edited(i));
    while (await total() !== i) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    times.push(performance.now() - began);
  }
  return times;
}

function print(title: string, values: readonly number[]): void {
  const at = (share: number): string => `${part(values, share).toFixed(0).padStart(6)} ms`;
  console.log(`${title.padEnd(38)} median${at(0.5)}  p95${at(0.95)}  least${at(0)}`);
}

function part(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)]!;
}

/** Megabytes; NaN where the system does not tell. */
function peak(memory: string): number {
  return parseFloat(/at most (\d+)/.exec(memory)?.[1] ?? "");
}

/** What a host takes to start with nothing in it. */
async function emptyStarts(host: HostName): Promise<number[]> {
  const dist = await Deno.makeTempDir({ prefix: "kontract_empty_" });
  const classes = Object.values(DURABLE_OBJECTS).map((name) => `export class ${name} {}\n`).join(
    "",
  );
  for (const [folder, file] of [["worker", "worker.js"], ["deno", "server.js"]] as const) {
    await Deno.mkdir(join(dist, folder));
    await Deno.writeTextFile(
      join(dist, folder, file),
      `${classes}export default { fetch: () => new Response("1") };\n`,
    );
  }
  const took: number[] = [];
  for (let i = 0; i < 5; i++) {
    const empty = (host === "deno" ? denoHost : workersHost)({
      dist,
      state: join(dist, "state"),
      env: {},
      outputs: null,
      output: (stream) => void stream.pipeTo(new WritableStream()).catch(() => {}),
    });
    const began = performance.now();
    await (await fetch(await empty.load())).text();
    took.push(performance.now() - began);
    await empty.stop();
  }
  await Deno.remove(dist, { recursive: true });
  return took;
}

/** Where the dev server listens, once it does. */
async function address(app: TestApp): Promise<string> {
  for (;;) {
    const text = await Deno.readTextFile(join(app.root, ".kontract", "dev.json")).catch(() => "{}");
    const { url } = JSON.parse(text) as { readonly url?: string };
    if (url !== undefined) return url;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
