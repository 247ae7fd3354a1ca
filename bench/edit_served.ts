/**
 * From saving a file to the first answer of the new code, through the dev server:
 * `deno run -A bench/edit_served.ts [routes] [files] [host]`. Each edit is inside one function; the same
 * session asks all the time.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
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
  stdout: "null",
  stderr: "inherit",
}).spawn();
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
  times.sort((a, b) => a - b);
  const at = (part: number): string => times[Math.floor(times.length * part)]!.toFixed(0);
  console.log(`${routes} routes in ${files} files on ${host}: from edit to answer, ${EDITS} edits`);
  console.log(`median ${at(0.5)} ms   p95 ${at(0.95)} ms   least ${times[0]!.toFixed(0)} ms`);
} finally {
  child.kill("SIGTERM");
  await child.status;
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
