/** A stack trace through built code leads to the author's line, also where the code was moved. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build, formatDiagnostics } from "./mod.ts";
import { listFiles } from "./project.ts";
import { makeApp } from "./testing/app.ts";

Deno.test("under Deno a stack leads through a spliced middleware and a function to their lines", async () => {
  await using app = await makeApp({
    "src/around.ts": `import { defineMiddleware } from "@kontract/kontract";
const label = "around";
export const outer = defineMiddleware({ prefix: "inner" }, async (next) => {
  const result = await next();
  if (result === 1) {
    throw new Error(label);
  }
  return result;
});
`,
    "src/routes.ts": `import { backend } from "@kontract/kontract";

export class Routes {
  @backend({})
  static async innerOne(): Promise<number> {
    return await Promise.resolve(1);
  }
  @backend({})
  static async innerTwo(): Promise<number> {
    await Promise.resolve();
    throw new Error("two");
  }
}
`,
  });
  const result = await build({ root: app.root, hosts: ["deno"] });
  assert.equal(formatDiagnostics(result.diagnostics), "");
  const maps = (await listFiles(join(app.root, "dist"))).filter((file) => file.endsWith(".map"));
  const texts = await Promise.all(maps.map((file) => Deno.readTextFile(file)));
  const sources = texts.flatMap((text) => JSON.parse(text).sources as string[]);
  const named = sources.filter((one) => one.includes("kontract:"));
  assert.ok(named.includes("kontract:codec/0"));
  assert.deepEqual(named.filter((one) => one.includes("kontract:kontract:")), []);
  const chunk = join("dist", result.report.routes[0]!.file);
  assert.doesNotMatch(await app.read(chunk), /\.handler\(/, "the middleware is spliced");
  await app.write(
    "probe.mjs",
    `import { routes } from ${JSON.stringify(`./${chunk}`)};
for (const name of ["innerOne", "innerTwo"]) {
  await routes[name].invoke([]).catch((error) => console.log(error.stack));
}
`,
  );
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", "probe.mjs"],
    cwd: app.root,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  const message = `${text}\n${new TextDecoder().decode(stderr)}`;
  assert.match(text, /Error: around\n\s+at .*\/src\/around\.ts:6:11/, message);
  assert.match(text, /Error: two\n\s+at .*\/src\/routes\.ts:11:11/, message);
});
