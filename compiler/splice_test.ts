/** Middleware that is spliced does what the plain nested form does. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, formatDiagnostics } from "./mod.ts";
import { makeApp, type TestApp } from "./testing/app.ts";
import { randomFrom } from "./testing/random.ts";
import { MIDDLEWARE_PRELUDE, randomHandler, TRACE_MODULE } from "./testing/random_middleware.ts";

const MODULES = ["a_around", "b_around", "c_around"] as const;
const RUNS = 8;

interface Chain {
  readonly route: string;
  /** Module and constant of each middleware, outermost first. */
  readonly links: readonly (readonly [module: string, name: string])[];
}

/** An app with `count` routes, each with a chain of its own. */
function randomApp(
  seed: number,
  count: number,
): { readonly files: Readonly<Record<string, string>>; readonly chains: readonly Chain[] } {
  const random = randomFrom(seed);
  const texts = new Map<string, string[]>(MODULES.map((name) => [name, [MIDDLEWARE_PRELUDE]]));
  const routes = [
    `import { backend } from "@kontract/kontract";`,
    `import { flip, later, trace } from "./trace.ts";`,
  ];
  const chains: Chain[] = [];
  for (let n = 0; n < count; n++) {
    const route = `route${n}`;
    const names = Array.from({ length: 1 + random.below(5) }, () => random.pick(MODULES)).sort();
    chains.push({
      route,
      links: names.map((module, i) => {
        const name = `around${n}_${i}`;
        const handler = randomHandler(seed * 100_000 + n * 10 + i);
        texts.get(module)!.push(
          `export const ${name} = defineMiddleware({ endpoints: ["${route}"] }, ${handler});\n`,
        );
        return [module, name] as const;
      }),
    });
    routes.push(
      `export const ${route} = backend({}, async (n: number): Promise<unknown> => {
  trace("body " + n);
  if (flip(${n})) throw new Error("body failed");
  if (flip(${n} + 7)) return await later("slow body", flip(${n} + 9));
  return "done " + n;
});`,
    );
  }
  const files = Object.fromEntries([...texts].map(([name, text]) => [
    `src/${name}.ts`,
    // Unused helpers are no matter here.
    `${text.join("\n")}\nvoid [state, counter, x, flip, later, trace];\n`,
  ]));
  return {
    files: { ...files, "src/trace.ts": TRACE_MODULE, "src/routes.ts": routes.join("\n") },
    chains,
  };
}

interface Probe {
  lines: string[];
  seed: number;
}

type Call = () => Promise<unknown>;

async function observe(probe: Probe, seed: number, call: Call): Promise<readonly string[]> {
  probe.lines = [];
  probe.seed = seed;
  try {
    probe.lines.push(`gave ${JSON.stringify(await call())}`);
  } catch (error) {
    const { message, code } = error as Error & { readonly code?: string };
    probe.lines.push(`threw ${code ?? ""} ${message}`);
  }
  return probe.lines;
}

async function modulesOf(app: TestApp): Promise<Readonly<Record<string, Record<string, unknown>>>> {
  const load = async (name: string) =>
    [name, await import(pathToFileURL(join(app.root, "src", `${name}.ts`)).href)] as const;
  return Object.fromEntries(await Promise.all([...MODULES, "routes", "trace"].map(load)));
}

Deno.test("spliced middleware does in every chain what nested calls do", async () => {
  const seed = Number(Deno.env.get("SEED") ?? 1);
  const { files, chains } = randomApp(seed, Deno.env.has("KONTRACT_LONG") ? 2000 : 120);
  await using app = await makeApp(files);
  // The probe lives outside of both programs: each has its own copy of the modules.
  const probe: Probe = { lines: [], seed: 0 };
  (globalThis as { kontractProbe?: Probe }).kontractProbe = probe;
  await app.write(
    "src/trace.ts",
    TRACE_MODULE.replace(
      /^export const probe.*$/m,
      `const probe = (globalThis as unknown as {
  kontractProbe: { lines: string[]; seed: number } }).kontractProbe;`,
    ),
  );
  const result = await build({ root: app.root, hosts: ["deno"] });
  assert.equal(formatDiagnostics(result.diagnostics), "");
  const file = result.report.routes[0]!.file;
  const code = await app.read(join("dist", file));
  const called = code.match(/\.handler\(/g)?.length ?? 0;
  const all = chains.reduce((sum, { links }) => sum + links.length, 0);
  assert.ok(called < all * 0.7, `${called} of ${all} handlers are still called`);
  const built = await import(pathToFileURL(join(app.root, "dist", file)).href) as {
    readonly routes: Readonly<Record<string, { invoke(args: unknown[]): Promise<unknown> }>>;
  };
  const source = await modulesOf(app);
  for (const { route, links } of chains) {
    const target = source.routes![route] as (n: number) => Promise<unknown>;
    const nested = links.reduceRight<Call>(
      (rest, [module, name]) => {
        const { handler } = source[module]![name] as {
          readonly handler: (next: Call) => Promise<unknown>;
        };
        return async () => await handler(async () => await rest());
      },
      () => target(5),
    );
    for (let run = 0; run < RUNS; run++) {
      const expected = await observe(probe, run, nested);
      const actual = await observe(probe, run, async () => await built.routes[route]!.invoke([5]));
      assert.deepEqual(actual, expected, `seed ${seed}, ${route}, run ${run}`);
    }
  }
});
