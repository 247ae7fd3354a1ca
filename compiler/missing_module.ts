/**
 * What to write instead of an import that leads nowhere.
 *
 * @module
 */
import { basename, dirname, extname, join, relative, sep } from "node:path";
import { isFile } from "./file_texts.ts";
import { meant } from "./meant.ts";

/** Why an import leads nowhere, and what to do. */
export interface MissingModule {
  readonly message: string;
  readonly hint?: string;
}

const ENDINGS = [".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs", ".json"];
const NODE_MODULE =
  /^(?:assert|async_hooks|buffer|child_process|crypto|dns|events|fs|http|https|net|os|path|perf_hooks|process|querystring|readline|stream|string_decoder|timers|tls|url|util|v8|vm|worker_threads|zlib)(?:\/.*)?$/;

/** What is said of `specifier` in the module `importer`; `reason` is what Deno said of it, if anything. */
export function missingModule(
  root: string,
  importer: string,
  specifier: string,
  reason?: string,
): MissingModule {
  if (/^\.{0,2}\//.test(specifier)) return missingFile(root, importer, specifier);
  const shown = JSON.stringify(specifier).slice(1, -1);
  const write = (other: string): MissingModule => ({
    message: `There is no module '${shown}'.`,
    hint: `Write "${other}".`,
  });
  if (specifier === "@/client") {
    return {
      message: "'@/client' is for the front end, and this is server code.",
      hint: "Import the backend function from its own module: on the server it is just a function.",
    };
  }
  if (/^@?kontract(?:\/.*)?$/.test(specifier)) return write("@kontract/kontract");
  if (/^@\/client(?:\.|\/|$)/.test(specifier)) return write("@/client");
  if (NODE_MODULE.test(specifier)) return write(`node:${specifier}`);
  const scheme = /^(?:npm|jsr|https?|node|file|data|cloudflare):/.exec(specifier) !== null;
  if (scheme || /^[@~#]\//.test(specifier) || !/^@?[a-z0-9][\w./-]*$/i.test(specifier)) {
    return {
      message: reason === undefined
        ? `The module '${shown}' cannot be found.`
        : `The module '${shown}' cannot be loaded: ${reason}`,
      ...(scheme ? {} : { hint: `Only what "imports" in deno.json names can be imported so.` }),
    };
  }
  const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)![0];
  // A module beside the app has its packages from its own configuration.
  const isOwn = importer.startsWith(root + sep);
  const there = isOwn ? "" : `cd ${ownName(root, dirname(importer))} && `;
  return {
    message: isOwn
      ? `There is no package '${name}' in this app.`
      : `There is no package '${name}' for '${ownName(root, importer)}'.`,
    hint: `${there}deno add npm:${name}   (or jsr:@scope/name)`,
  };
}

function missingFile(root: string, importer: string, specifier: string): MissingModule {
  const folder = dirname(importer);
  const file = join(folder, specifier);
  const own = ownName(root, file);
  const specifierOf = (path: string): string => {
    const below = relative(folder, path).split(sep).join("/");
    return below.startsWith(".") ? below : `./${below}`;
  };
  const bare = /^\.[cm]?[jt]sx?$/.test(extname(file)) ? file.slice(0, -extname(file).length) : file;
  const found = [
    ...ENDINGS.map((ending) => bare + ending),
    ...["mod.ts", "index.ts", "index.tsx", "mod.js", "index.js"].map((name) => join(file, name)),
  ].find(isFile);
  if (found !== undefined) {
    return {
      message: `There is no file '${own}': an import names the whole file, with its ending.`,
      hint: `Write "${specifierOf(found)}".`,
    };
  }
  const ending = extname(file);
  if (!ENDINGS.includes(ending) && isFile(file)) {
    return {
      message: `TypeScript does not know what '${own}' gives to who imports it.`,
      hint:
        `Say it in a file 'files.d.ts' among the sources: declare module "*${ending}" { const file: string; export default file; }`,
    };
  }
  const names = namesIn(dirname(file));
  const close = meant(basename(file), names) ?? meant(basename(bare), names);
  return {
    message: `There is no file '${own}'.`,
    ...(close === null
      ? {}
      : { hint: `Did you mean "${specifierOf(join(dirname(file), close))}"?` }),
  };
}

/** The path as an author knows it: no path of the machine outside of the app. */
function ownName(root: string, file: string): string {
  return relative(root, file).split(sep).join("/");
}

function namesIn(folder: string): readonly string[] {
  try {
    return [...Deno.readDirSync(folder)].filter((one) => ENDINGS.includes(extname(one.name)))
      .map((one) => one.name).sort();
  } catch {
    return [];
  }
}
