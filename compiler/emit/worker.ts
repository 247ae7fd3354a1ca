/**
 * The server side: one small eager module per host, one lazily imported module per source module.
 *
 * The texts are virtual modules of the bundler: `kontract:workers`, `kontract:deno`, `kontract:app` with the
 * build's hash, `kontract:declared` with all that an edit inside of a function does not change,
 * `kontract:ahead` and those of `route_modules.ts`.
 *
 * @module
 */
import type { Manifest, RouteDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import type { RouteEntry } from "../../runtime/app.ts";
import { appFile, packageFile } from "../bundle.ts";
import { httpBinding } from "../http_binding.ts";
import { appPath } from "../project.ts";
import { streamedParameters } from "./fbs.ts";
import { reachableTypes } from "./reachable.ts";
import {
  json,
  PACKAGE_FILES,
  type RouteModules,
  routeModules,
  type RouteModulesInput,
} from "./route_modules.ts";

/** What the server modules are made from. */
export interface ServerInput extends RouteModulesInput {
  /** Absolute file name of the module that defines the server, or null. */
  readonly server: string | null;
}

/** Names of the Durable Object classes that the Workers entry exports. */
export const DURABLE_OBJECTS: readonly string[] = ["SessionDO", "KvcDO", "ChangeHubDO", "DbPoolDO"];

/** The package's own files that generated code imports. */
const FILES = {
  workers: "runtime/workers/mod.ts",
  deno: "runtime/deno/mod.ts",
} as const;

/** What a process of `dev` may load before it gets its build: nothing of the author's, and nothing of one build. */
export const AHEAD = "kontract:ahead";

/** What the app declares, without the build's hash. */
export const DECLARED = "kontract:declared";

/** All virtual modules but {@link appModule}, by specifier; `routes` makes those of the routes. */
export function emitServer(input: ServerInput, routes: RouteModules): ReadonlyMap<string, string> {
  const modules = routeModules(input.manifest.routes);
  const out = new Map(routes.make(input));
  out.set("kontract:workers", workersEntry(input));
  out.set("kontract:deno", denoEntry(input));
  out.set(DECLARED, declaredModule(input, modules));
  out.set(AHEAD, aheadModule());
  return out;
}

/** The app as the entries take it. */
export function appModule({ build }: Pick<Manifest, "build">): string {
  return `import declared from "${DECLARED}";
export default { ...declared, build: ${JSON.stringify(build)} };
`;
}

function aheadModule(): string {
  const files = [...PACKAGE_FILES, "mod.ts"].map(packageFile);
  return [DECLARED, ...files].map((from) => `import ${JSON.stringify(from)};\n`).join("");
}

function workersEntry(input: ServerInput): string {
  const runtime = JSON.stringify(packageFile(FILES.workers));
  const server = serverOf(input);
  return `import { createWorker } from ${runtime};
import app from "kontract:app";
${server.statement}export { ${DURABLE_OBJECTS.join(", ")} } from ${runtime};
export default createWorker(app, { ${server.option}});
`;
}

function denoEntry(input: ServerInput): string {
  const server = serverOf(input);
  return `import { createServer } from ${JSON.stringify(packageFile(FILES.deno))};
import app from "kontract:app";
${server.statement}export default createServer(app, {
  ${server.option}public: new URL("../public/", import.meta.url),
});
`;
}

/** How an entry takes the app's own options: its import, and what it passes on. */
function serverOf(
  input: ServerInput,
): { readonly statement: string; readonly option: string } {
  if (input.server === null) return { statement: "", option: "" };
  const from = JSON.stringify(appFile(appPath(input, input.server)));
  return { statement: `import server from ${from};\n`, option: "server, " };
}

function declaredModule({ manifest }: ServerInput, modules: readonly string[]): string {
  const numbers = new Map(modules.map((module, i) => [module, i]));
  const routes = manifest.routes.map((route): RouteEntry => ({
    name: route.name,
    op: route.op,
    module: numbers.get(route.module)!,
    meta: route.meta,
    schemaHash: route.schemaHash,
    stream: route.result.kind === "stream",
    ...inputsOf(route),
    ...httpOf(route, manifest.types),
  }));
  const types = reachableTypes(
    manifest.tables.flatMap((table) => table.fields.map((field) => field.shape)),
    manifest.types,
  );
  const imports = modules.map((_, i) => `  () => import("kontract:module/${i}"),\n`).join("");
  return `export default {
  app: ${JSON.stringify(manifest.app)},
  routes: ${json(routes)},
  modules: [
${imports}  ],
  tables: ${json(manifest.tables)},
  types: ${json(types)},
  execs: ${json(manifest.execs)},
};
`;
}

function inputsOf(route: RouteDef): Pick<RouteEntry, "inputs"> {
  const inputs = streamedParameters(route).length;
  return inputs === 0 ? {} : { inputs };
}

function httpOf(route: RouteDef, types: ShapeTable): Pick<RouteEntry, "http"> {
  const http = httpBinding(route, types);
  return http === null ? {} : { http };
}
