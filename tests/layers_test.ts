/**
 * Imports point one way, as CONTRIBUTING.md draws it; imports of types count too, but where the compiler
 * may look at the runtime's. The graph is Deno's own (`deno info --json`), so nothing is guessed from text.
 *
 * @module
 */
import assert from "node:assert/strict";
import { relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder → folders it may import from, itself aside. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  _internal: [],
  protocol: ["_internal"],
  storage: ["_internal"],
  events: ["_internal"],
  auth: ["_internal"],
  runtime: ["_internal", "protocol", "storage", "events", "auth"],
  compiler: ["_internal"],
  "mod.ts": ["_internal", "protocol", "storage", "events", "auth", "runtime"],
};

/** Folder → folders it may import types from, and nothing else. */
const MAY_IMPORT_TYPES: Readonly<Record<string, readonly string[]>> = { compiler: ["runtime"] };

interface Dependency {
  readonly specifier: string;
  readonly code?: { readonly specifier?: string };
  readonly type?: { readonly specifier?: string };
}

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly Dependency[];
}

const root = fileURLToPath(new URL("..", import.meta.url));

/** `protocol/noise/x.ts` → `protocol`; null outside the repository. */
function layerOf(specifier: string): string | null {
  if (!specifier.startsWith("file:")) return null;
  const path = relative(root, fileURLToPath(specifier));
  return path.startsWith("..") ? null : path.split(sep)[0]!;
}

async function sources(): Promise<string[]> {
  const found: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for await (const entry of Deno.readDir(folder)) {
      const path = `${folder}/${entry.name}`;
      const test = /(_test|_suite)\.ts$/.test(entry.name);
      if (entry.isDirectory && !["testdata", "testing", "dist"].includes(entry.name)) {
        await walk(path);
      } else if (entry.isFile && entry.name.endsWith(".ts") && !test) found.push(path);
    }
  };
  for (const layer of Object.keys(MAY_IMPORT)) {
    if (layer.endsWith(".ts")) found.push(`${root}${layer}`);
    else await walk(`${root}${layer}`);
  }
  return found;
}

async function graph(): Promise<readonly Module[]> {
  const folder = await Deno.makeTempDir({ prefix: "kontract_layers_" });
  try {
    const all = `${folder}/all.ts`;
    const imports = (await sources()).map((path) => `import ${JSON.stringify(`file://${path}`)};`);
    await Deno.writeTextFile(all, imports.join("\n"));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-lock", "--config", `${root}deno.json`, all],
      cwd: root,
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout)).modules;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function violations(modules: readonly Module[]): string[] {
  const found: string[] = [];
  for (const module of modules) {
    const from = layerOf(module.specifier);
    const allowed = from === null ? undefined : MAY_IMPORT[from];
    if (from === null || allowed === undefined) continue;
    for (const { code, type } of module.dependencies ?? []) {
      const target = code?.specifier ?? type?.specifier;
      const to = target === undefined ? null : layerOf(target);
      if (to === null || to === from || allowed.includes(to)) continue;
      const typeOnly = code === undefined;
      if (typeOnly && MAY_IMPORT_TYPES[from]?.includes(to)) continue;
      const how = typeOnly ? "imports types of" : "imports";
      found.push(`${relative(root, fileURLToPath(module.specifier))} ${how} ${to}`);
    }
  }
  return found;
}

Deno.test("imports point from the outside in, and the four in the middle are blind to each other", async () => {
  const modules = await graph();
  const layers = new Set(modules.map((module) => layerOf(module.specifier)));
  for (const layer of Object.keys(MAY_IMPORT)) {
    assert.ok(layers.has(layer), `${layer} was not seen`);
  }
  assert.deepEqual(violations(modules), []);
});

Deno.test("nothing but the command line reaches the compiler, so TypeScript enters no bundle", async () => {
  const reached = (await graph()).filter((module) => {
    const from = layerOf(module.specifier);
    return from !== null && from !== "compiler" && from in MAY_IMPORT &&
      (module.dependencies ?? []).some(({ code, type }) =>
        layerOf(code?.specifier ?? type?.specifier ?? "") === "compiler"
      );
  });
  assert.deepEqual(reached.map((module) => module.specifier), []);
});

Deno.test("a forbidden import would be found", () => {
  const module = (from: string, to: string, kind: "code" | "type"): Module => ({
    specifier: `file://${root}${from}`,
    dependencies: [{ specifier: to, [kind]: { specifier: `file://${root}${to}` } }],
  });
  assert.deepEqual(
    violations([
      module("auth/a.ts", "storage/b.ts", "type"),
      module("compiler/a.ts", "runtime/b.ts", "type"),
      module("compiler/a.ts", "runtime/b.ts", "code"),
      module("_internal/a.ts", "runtime/b.ts", "code"),
      module("runtime/a.ts", "auth/b.ts", "code"),
    ]),
    [
      "auth/a.ts imports types of storage",
      "compiler/a.ts imports runtime",
      "_internal/a.ts imports runtime",
    ],
  );
});
