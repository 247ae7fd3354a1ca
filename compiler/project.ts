/**
 * An app on disk: its folder, its configuration and its source files.
 *
 * `kontract.json` is optional: the name defaults to the folder's, sources to `src`, the front end to
 * `web`. Paths in the result are absolute; everything that leaves the compiler is made relative again.
 *
 * @module
 */
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { compareText, Diagnostics } from "./diagnostic.ts";
import { parseBudget, type SizeBudget } from "./size_budget.ts";

/** An app's configuration, defaults filled in. */
export interface Project {
  /** Absolute folder. */
  readonly root: string;
  /** App id: letters, digits and dashes. */
  readonly name: string;
  /** Absolute folder of backend sources. */
  readonly source: string;
  /** Absolute folder of the front end. */
  readonly web: string;
  /** Absolute folder of a front end that another bundler has made, or null. */
  readonly site: string | null;
  /** Sizes that fail the build, or null. */
  readonly budget: SizeBudget | null;
  /** Absolute files and folders that the app's `deno.json` excludes. */
  readonly excluded: readonly string[];
  /** JSX settings and the like of the app's `deno.json`. */
  readonly compilerOptions: Readonly<Record<string, unknown>>;
  /** False where one of its files is there and says nothing: what else is wrong would only follow from it. */
  readonly readable: boolean;
}

/** What `kontract.json` may hold; the first is for editors. */
const SETTINGS = ["$schema", "name", "source", "web", "site", "budget"];
const SOURCE_FILE = /\.(?:ts|tsx|mts)$/;
const CONFIG_FILE = /^(?:deno\.jsonc?|kontract\.json)$/;
const TEST_FILE = /(?:^|[._])test\.(?:ts|tsx|mts)$|\.bench\.ts$/;

/** Reads the configuration; problems are added to `diagnostics` and defaults used instead. */
export function readProject(root: string, diagnostics: Diagnostics): Project {
  const folder = resolve(root);
  const own = readJson(join(folder, "kontract.json"), "kontract.json", diagnostics);
  const deno = readDenoJson(folder, diagnostics);
  const text = (key: string, fallback: string): string => {
    const value = own?.[key];
    if (value === undefined) return fallback;
    if (typeof value === "string" && value !== "") return value;
    diagnostics.add({
      code: "KT1001",
      severity: "error",
      message: `'${key}' in kontract.json must be a text: current value is ${
        JSON.stringify(value)
      }.`,
    });
    return fallback;
  };
  for (const key of Object.keys(own ?? {}).filter((key) => !SETTINGS.includes(key))) {
    diagnostics.add({
      code: "KT1001",
      severity: "error",
      message: `kontract.json knows no '${key.slice(0, 40)}'.`,
      hint: `It has ${SETTINGS.map((one) => `"${one}"`).join(", ")}.`,
    });
  }
  const name = text("name", appName(basename(folder)));
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) {
    diagnostics.add({
      code: "KT1001",
      severity: "error",
      message: `The app's name must be lower-case letters, digits and dashes: it is '${name}'.`,
      hint: 'Set "name" in kontract.json.',
    });
  }
  const source = inside(folder, "source", text("source", "src"), diagnostics);
  const web = inside(folder, "web", text("web", "web"), diagnostics);
  const site = own?.site === undefined
    ? null
    : inside(folder, "site", text("site", "site"), diagnostics);
  const written = own?.web === undefined ? [source] : [source, web];
  if (site !== null && written.some((one) => isWithin(one, site))) {
    diagnostics.add({
      code: "KT1001",
      severity: "error",
      message: "'site' in kontract.json must hold neither sources nor front end: " +
        `current value is '${own?.site}'.`,
      hint: "Another bundler empties it and writes there: give it a folder of its own.",
    });
  }
  return {
    root: folder,
    name,
    source,
    web,
    site,
    budget: parseBudget(own?.budget, diagnostics),
    excluded: excludedBy(deno, folder),
    compilerOptions: { ...workspaceOptions(folder), ...optionsOf(deno) },
    readable: own !== null && deno !== null,
  };
}

function excludedBy(config: JsonFile, folder: string): readonly string[] {
  const paths = Array.isArray(config?.exclude) ? config.exclude : [];
  return paths.flatMap((path) => typeof path === "string" ? [resolve(folder, path)] : []);
}

function optionsOf(config: JsonFile): Record<string, unknown> {
  const options = config?.compilerOptions;
  return typeof options === "object" && options !== null ? options as Record<string, unknown> : {};
}

/** `compilerOptions` of the nearest workspace above that names `folder` as a member; Deno's own rule. */
function workspaceOptions(folder: string): Record<string, unknown> {
  const unreported = new Diagnostics();
  for (let at = dirname(folder); at !== dirname(at); at = dirname(at)) {
    const config = readDenoJson(at, unreported);
    if (config?.workspace === undefined) continue;
    const { workspace } = config;
    const members = Array.isArray(workspace)
      ? workspace
      : (workspace as { readonly members?: unknown } | null)?.members;
    const below = `./${relative(at, folder).split(sep).join("/")}`;
    const names = (member: unknown): boolean =>
      typeof member === "string" && isMember(member.replace(/^(?!\.\/)/, "./"), below);
    return Array.isArray(members) && members.some(names) ? optionsOf(config) : {};
  }
  return {};
}

/** True where a member of a workspace, with `*` for one folder's name, is this path. */
function isMember(pattern: string, path: string): boolean {
  const steps = pattern.replace(/\/+$/, "").split("/"), own = path.split("/");
  return steps.length === own.length &&
    steps.every((step, i) =>
      step.includes("*")
        ? new RegExp(`^${step.split("*").map(RegExp.escape).join("[^/]*")}$`).test(own[i]!)
        : step === own[i]
    );
}

function appName(folder: string): string {
  const name = folder.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-+|-+$/g, "");
  return name === "" ? "app" : name.slice(0, 63);
}

function inside(root: string, key: string, path: string, diagnostics: Diagnostics): string {
  const full = resolve(root, path);
  const isOwn = /^(?:dist|\.kontract)$/.test(relative(root, full).split(sep)[0]!);
  if (full !== root && full.startsWith(root + sep) && !isOwn) return full;
  diagnostics.add({
    code: "KT1001",
    severity: "error",
    message:
      `'${key}' in kontract.json must be a folder inside the app: current value is '${path}'.`,
    ...(isOwn ? { hint: "Kontract itself writes there: give it a folder of its own." } : {}),
  });
  return join(root, key === "source" ? "src" : key);
}

/** True for `folder` and what lies in it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.replace(/[/\\]$/, "") + sep);
}

/** What a file holds; null where it cannot be read, undefined where there is none. */
type JsonFile = Record<string, unknown> | null | undefined;

function readDenoJson(folder: string, diagnostics: Diagnostics): JsonFile {
  const found = readJson(join(folder, "deno.json"), "deno.json", diagnostics);
  if (found !== undefined) return found;
  return readJson(join(folder, "deno.jsonc"), "deno.jsonc", diagnostics);
}

function readJson(path: string, name: string, diagnostics: Diagnostics): JsonFile {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    diagnostics.add({ code: "KT1001", severity: "error", message: `${name} cannot be read.` });
    return null;
  }
  try {
    const value: unknown = JSON.parse(stripComments(text));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
    diagnostics.add({ code: "KT1001", severity: "error", message: `${name} must be an object.` });
  } catch (error) {
    const why = error instanceof Error ? error.message : "";
    diagnostics.add({ code: "KT1001", severity: "error", message: `${name} is not JSON: ${why}.` });
  }
  return null;
}

/** Blanks comments and trailing commas outside of texts: enough for `deno.jsonc`. */
function stripComments(text: string): string {
  return text
    .replaceAll(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_, quoted) => quoted ?? " ")
    .replaceAll(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, quoted) => quoted ?? "");
}

/** Those of the files in the sources' folder that are backend sources; tests are none. */
export function sourceFiles(files: readonly string[]): readonly string[] {
  return files.filter((file) => SOURCE_FILE.test(file) && !TEST_FILE.test(basename(file)));
}

/**
 * Every TypeScript file that is the app's: not what was built or installed, what is hidden, a folder with a
 * configuration of its own, or what `exclude` of the app's `deno.json` names. Declarations count where they say
 * something of the front end's imports.
 */
export function checkedFiles({ root, web, site, excluded }: Project): readonly string[] {
  const left = new Set([join(root, "dist"), join(root, "node_modules"), site, ...excluded]);
  const found: string[] = [];
  const pending = [root];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const entries = [...Deno.readDirSync(at)];
    if (at !== root && entries.some(({ name }) => CONFIG_FILE.test(name))) continue;
    for (const { name, isFile, isDirectory } of entries) {
      const path = join(at, name);
      if (name.startsWith(".") || name === "node_modules" || left.has(path)) continue;
      if (isDirectory) pending.push(path);
      else if (
        isFile && SOURCE_FILE.test(name) && (!/\.d\.[cm]?ts$/.test(name) || isWithin(path, web))
      ) {
        found.push(path);
      }
    }
  }
  return found.sort(compareText);
}

/** All files under a folder, absolute, ordered by path; an absent folder is empty. */
export async function listFiles(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  const pending = [folder];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    try {
      for (const entry of Deno.readDirSync(at)) {
        const path = join(at, entry.name);
        if (entry.isFile) found.push(path);
        else if (entry.isDirectory && entry.name !== "node_modules") pending.push(path);
        else if (entry.isSymlink && (await Deno.stat(path).catch(() => null))?.isFile) {
          found.push(path);
        }
      }
    } catch (error) {
      if (
        !(error instanceof Deno.errors.NotFound) && !(error instanceof Deno.errors.NotADirectory)
      ) {
        throw error;
      }
    }
  }
  return found.sort(compareText);
}

/** Path relative to the app's folder, with `/`. */
export function appPath(project: Pick<Project, "root">, file: string): string {
  // Asked for thousands of times in a build, and nearly always of a plain path below.
  const { root } = project;
  if (sep === "/" && file.startsWith(root) && file[root.length] === "/") {
    const below = file.slice(root.length + 1);
    if (below !== "" && !NOT_PLAIN.test(below)) return below;
  }
  return relative(project.root, file).split(sep).join("/");
}

/** A path with empty parts, `.` or `..`. */
const NOT_PLAIN = /(?:^|\/)\.{0,2}(?:\/|$)/;
