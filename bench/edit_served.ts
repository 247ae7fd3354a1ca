/**
 * From saving a file to the first answer of the new code, through the dev server:
 * `deno task bench edit_served [routes] [files] [host]`. Each edit is inside one function; the same
 * session asks all the time. Beside it what of that is the swap, as `dev` itself says, and as a floor the start of
 * a host with an empty program.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { denoHost } from "../cli/dev/deno_host.ts";
import { DURABLE_OBJECTS } from "../cli/dev/worker_config.ts";
import { workersHost } from "../cli/dev/workers_host.ts";
import { makeApp } from "../compiler/testing/app.ts";
import { largeApp, leafModule } from "../compiler/testing/large_app.ts";

const routes = Number(Deno.args[0] ?? 1000), files = Number(Deno.args[1] ?? 200);
const host = Deno.args[2] ?? "workers";
const EDITS = 15, POLL_MS = 5;

const cli = fileURLToPath(new URL("../cli.ts", import.meta.url));
await using app = await makeApp(largeApp(routes, files));
const child = new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", cli, "dev", "--port", "0", "--host", host],
  cwd: app.root,
  stdin: "null",
  stdout: "piped",
  stderr: "inherit",
}).spawn();
const swaps: number[] = [];
const reading = child.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
  new WritableStream({
    write(text): void {
      for (const [, ms] of text.matchAll(/\((\d+) ms of it to serve it\)/g)) swaps.push(Number(ms));
    },
  }),
);
try {
  const url = await address();
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
    const text = leafModule(7, Math.ceil(routes / files), "").replaceAll(
      "total: n,",
      `total: n + ${i},`,
    );
    const began = performance.now();
    await app.write("src/part7.ts", text);
    while (await total() !== i) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    times.push(performance.now() - began);
  }
  const at = (part: number, values = times): string =>
    values.toSorted((a, b) => a - b)[Math.floor(values.length * part)]!.toFixed(0);
  console.log(`${routes} routes in ${files} files on ${host}: from edit to answer, ${EDITS} edits`);
  console.log(`median ${at(0.5)} ms   p95 ${at(0.95)} ms   least ${at(0)} ms`);
  console.log(`of it to serve the build: median ${at(0.5, swaps)} ms`);
  console.log(`start of an empty program: median ${at(0.5, await emptyStarts())} ms`);
} finally {
  child.kill("SIGTERM");
  await child.status;
  await reading;
}

/** What a host takes to start with nothing in it. */
async function emptyStarts(): Promise<number[]> {
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
      again: false,
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
async function address(): Promise<string> {
  for (;;) {
    const text = await Deno.readTextFile(join(app.root, ".kontract", "dev.json")).catch(() => "{}");
    const { url } = JSON.parse(text) as { readonly url?: string };
    if (url !== undefined) return url;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
