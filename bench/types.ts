/**
 * TypeScript's time for an app of many routes: `deno run -A bench/types.ts [routes] [calls] [rounds]`.
 *
 * The front end calls some routes. It is checked against Kontract's flat client, against the same functions
 * imported as they are (what TypeScript takes without a framework), and against a tRPC router of the same
 * functions, whose client is inferred through the router. Then the server's sources, with `@backend` and
 * without. Processor time, median of rounds that take turns; a program is made anew each time, and types
 * and instantiations are TypeScript's own counts.
 *
 * @module
 */
import { join } from "node:path";
import process from "node:process";
import { AnalysisCache, analyze } from "../compiler/analysis.ts";
import { AppGraphs } from "../compiler/app_graph.ts";
import { Diagnostics, formatDiagnostics } from "../compiler/diagnostic.ts";
import { clientTypes } from "../compiler/emit/client.ts";
import { ProgramCache, type ProgramInput } from "../compiler/program.ts";
import { readProject } from "../compiler/project.ts";
import { makeApp, type TestApp } from "../compiler/testing/app.ts";
import { largeApp } from "../compiler/testing/large_app.ts";

const routes = Number(Deno.args[0] ?? 3000);
const calls = Number(Deno.args[1] ?? 100);
const rounds = Number(Deno.args[2] ?? 5);
const files = Math.ceil(routes / 5);
const each = Math.ceil(routes / files);

/** What is checked: a program, and which of its files. */
interface Subject {
  readonly input: ProgramInput;
  readonly files: readonly string[];
}

interface Cost {
  readonly program: number;
  readonly check: number;
  readonly types: number;
  readonly instantiations: number;
}

/** Number of each route that is called, spread over the files. */
const called = Array.from({ length: calls }, (_, i) => {
  const route = Math.floor(i * routes / calls);
  return { file: Math.floor(route / each), name: `get${Math.floor(route / each)}_${route % each}` };
});

function page(imports: readonly string[], call: (one: typeof called[number]) => string): string {
  const uses = called.map((one, i) =>
    `const r${i} = await ${
      call(one)
    };\nconsole.log(r${i}.items[0]?.owner.address.city, r${i}.total.toFixed());`
  );
  return [...imports, ...uses, ""].join("\n");
}

const kontract = largeApp(routes, files);
const plain = Object.fromEntries(
  Object.entries(kontract).map((
    [name, text],
  ) => [name, text.replaceAll(/^ *@backend\(.*\n/gm, "")]),
);
const byFile = Map.groupBy(called, (one) => one.file);

await using ours = await makeApp({
  ...kontract,
  "web/main.ts": page(
    [`import { ${called.map((one) => one.name).join(", ")} } from "@/client";`],
    (one) => `${one.name}("1", 2)`,
  ),
});
await using direct = await makeApp({
  ...plain,
  "web/main.ts": page(
    [...byFile.keys()].map((file) => `import { Part${file} } from "../src/part${file}.ts";`),
    (one) => `Part${one.file}.${one.name}("1", 2)`,
  ),
});
await using router = await makeApp({
  ...routerApp(),
  "web/main.ts": page([
    `import { createTRPCClient } from "@trpc/client";`,
    `import type { AppRouter } from "../src/router.ts";`,
    `const client = createTRPCClient<AppRouter>({ links: [] });`,
  ], (one) => `client.part${one.file}.${one.name}.query({ id: "1", n: 2 })`),
});

/** The same functions as procedures, a router for each file and one of all. */
function routerApp(): Readonly<Record<string, string>> {
  const out: Record<string, string> = {
    "src/shared.ts": kontract["src/shared.ts"]!,
    "src/trpc.ts":
      `import { initTRPC } from "@trpc/server";\nexport const t = initTRPC.create();\n`,
  };
  for (let f = 0; f < files; f++) {
    const lines = [
      `import type { Owner, Page, Status } from "./shared.ts";`,
      `import { t } from "./trpc.ts";`,
      `export interface Item${f} { id: string; count: number; owner: Owner; tags: string[]; when: Date }`,
      `export const part${f} = t.router({`,
    ];
    for (let i = 0; i < Math.min(each, routes - f * each); i++) {
      lines.push(
        `  get${f}_${i}: t.procedure`,
        `    .input((value: unknown) => value as { id: string; n: number; status?: Status })`,
        `    .query(async ({ input }): Promise<Page<Item${f}>> => await Promise.resolve({ items: [], total: input.n, next: null })),`,
      );
    }
    out[`src/part${f}.ts`] = [...lines, "});", ""].join("\n");
  }
  const parts = Array.from({ length: files }, (_, f) => `part${f}`);
  out["src/router.ts"] = [
    `import { t } from "./trpc.ts";`,
    ...parts.map((name) => `import { ${name} } from "./${name}.ts";`),
    `export const appRouter = t.router({ ${parts.join(", ")} });`,
    `export type AppRouter = typeof appRouter;`,
    "",
  ].join("\n");
  return out;
}

async function subjects(app: TestApp, client: string | null): Promise<readonly [Subject, Subject]> {
  const diagnostics = new Diagnostics();
  const project = readProject(app.root, diagnostics);
  const read = await new AppGraphs().read(project, { hosts: [], checkAll: false, diagnostics });
  if (read?.webEntry == null) throw new Error(formatDiagnostics(diagnostics.list()));
  const types = join(project.root, ".kontract", "types.d.ts");
  const clientFile = join(project.root, ".kontract", "client.d.ts");
  const input = {
    graph: read.graph,
    graphFile: read.graphFile,
    overlay: new Map([
      [types, await Deno.readTextFile(types).catch(() => "")],
      ...client === null ? [] : [[clientFile, client] as const],
    ]),
    aliases: new Map([["@kontract/kontract", read.entry], ["@/client", clientFile]]),
    compilerOptions: {},
  };
  return [
    { input: { ...input, roots: [read.webEntry] }, files: [read.webEntry] },
    { input: { ...input, roots: [...read.sources, types] }, files: read.sources },
  ];
}

async function cost({ input, files }: Subject): Promise<Cost> {
  const start = cpu();
  const program = await new ProgramCache().program(input);
  const made = cpu();
  const found = files.flatMap((file) =>
    program.getSemanticDiagnostics(program.getSourceFile(file))
  );
  if (found.length > 0) throw new Error(JSON.stringify(found[0]!.messageText));
  return {
    program: made - start,
    check: cpu() - made,
    types: program.getTypeCount(),
    instantiations: program.getInstantiationCount(),
  };
}

/** Milliseconds of processor time of this process. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const found = await analyze({
  root: ours.root,
  hosts: [],
  cache: new AnalysisCache(),
  diagnostics: new Diagnostics(),
  checkAll: false,
  time: (_stage, work) => work(),
});
if (found === null) throw new Error("The app cannot be analyzed.");
await Deno.mkdir(join(direct.root, ".kontract"), { recursive: true });
await Deno.copyFile(
  join(ours.root, ".kontract", "types.d.ts"),
  join(direct.root, ".kontract", "types.d.ts"),
);
const [ourPage, ourServer] = await subjects(ours, clientTypes(found.manifest));
const [directPage, directServer] = await subjects(direct, null);
const [routerPage, routerServer] = await subjects(router, null);

console.log(`${routes} routes in ${files} files, ${calls} of them called by the front end`);
await table("the front end", {
  "Kontract's client": ourPage,
  "plain functions": directPage,
  "tRPC's router": routerPage,
});
await table("the server", {
  "with @backend": ourServer,
  "plain functions": directServer,
  "tRPC's procedures": routerServer,
});

async function table(title: string, all: Readonly<Record<string, Subject>>): Promise<void> {
  const costs = new Map<string, Cost[]>(Object.keys(all).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, subject] of Object.entries(all)) {
      const one = await cost(subject);
      // The first round is the compiler's own warm-up.
      if (round > 0) costs.get(name)!.push(one);
    }
  }
  const median = (name: string, of: (one: Cost) => number): number =>
    costs.get(name)!.map(of).sort((a, b) => a - b)[Math.floor(rounds / 2)]!;
  const [first = ""] = costs.keys();
  console.log(`\n${title.padEnd(20)} parsed, bound    checked    ratio      types  instantiations`);
  for (const name of costs.keys()) {
    const check = median(name, (one) => one.check);
    console.log(
      `${name.padEnd(20)} ${median(name, (one) => one.program).toFixed(0).padStart(10)} ms ${
        check.toFixed(0).padStart(8)
      } ms ${(check / median(first, (one) => one.check)).toFixed(2).padStart(8)} ${
        String(median(name, (one) => one.types)).padStart(10)
      } ${String(median(name, (one) => one.instantiations)).padStart(15)}`,
    );
  }
}
