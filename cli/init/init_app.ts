/**
 * Makes a new app, or completes a folder that has only Kontract's import yet.
 *
 * Which of the two is decided by the folder alone: one that is absent or empty gets a new app; one whose
 * `deno.json` imports Kontract is completed, without a change to anything that stands there; any other is
 * refused, since nobody can know whose files these are.
 *
 * @module
 */
import { basename, join, relative, resolve, sep } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { nameOfFolder, nameOfNewApp } from "./app_name.ts";
import { completeConfig, importsKontract, newConfig } from "./deno_config.ts";
import { baseFiles, firstTypes, sampleFiles } from "./files.ts";
import { FolderWriter } from "./folder_writer.ts";
import { IGNORED } from "./template/texts.ts";

/** What was done. */
export interface InitResult {
  readonly name: string;
  /** Absolute. */
  readonly folder: string;
  /** Files that were made. */
  readonly created: readonly string[];
  /** Members and lines that were added to files which were there. */
  readonly added: readonly string[];
  /** What was there and differs from a new app's. */
  readonly kept: readonly string[];
}

/** What a fresh clone or an editor leaves in a folder that is empty for all others. */
const HARMLESS = new Set([
  ".DS_Store",
  ".editorconfig",
  ".git",
  ".gitattributes",
  ".gitignore",
  ".idea",
  ".vscode",
  "LICENSE",
  "LICENSE.md",
  "README.md",
]);

const CONFIGS = ["deno.json", "deno.jsonc"];

/**
 * Makes or completes the app in `path`, relative to the current folder. It uses the package in `checkout`,
 * where there is one.
 *
 * @throws {KontractError} `CONFIG` for a name that cannot be an app's, a folder that holds something
 *   else, or a disk that refuses; nothing is changed then.
 */
export async function initApp(path: string, checkout: string | null = null): Promise<InitResult> {
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(path)) {
    throw new KontractError("CONFIG", "A path cannot have control characters.");
  }
  const folder = resolve(path);
  const entries = await entriesOf(folder, path);
  const config = CONFIGS.find((name) => entries?.has(name));
  const link = checkout === null ? null : relative(folder, checkout).split(sep).join("/");
  if (config !== undefined) return await complete(folder, path, config, entries!, link);
  const foreign = [...entries ?? []].filter((name) => !HARMLESS.has(name)).sort();
  if (foreign.length > 0) throw occupied(path, foreign);
  const name = entries === null ? nameOfNewApp(folder) : nameOfFolder(folder);
  const files = new Map([["deno.json", newConfig(link)], ...appFiles(name, true)]);
  return await write(folder, name, files, entries ?? new Set(), null);
}

/** Names in a folder, or null where it does not exist. */
async function entriesOf(folder: string, path: string): Promise<ReadonlySet<string> | null> {
  // No disk holds such a name; asking would give an error of the system's instead of the rule.
  if (basename(folder).length > 255) return null;
  try {
    const names = new Set<string>();
    for await (const { name } of Deno.readDir(folder)) names.add(name);
    return names;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    const why = cause instanceof Deno.errors.NotADirectory
      ? "it is a file"
      : cause instanceof Error
      ? cause.message
      : "unknown reason";
    throw new KontractError("CONFIG", `'${path}' cannot be the app's folder: ${why}.`, { cause });
  }
}

function occupied(path: string, names: readonly string[]): KontractError {
  const shown = names.slice(0, 10).join(", ");
  const more = names.length > 10 ? ` and ${names.length - 10} more` : "";
  return new KontractError(
    "CONFIG",
    `'${path}' is not empty: it has ${shown}${more}. Choose another folder; or, to make this one a ` +
      "Kontract app, run 'deno add jsr:@kontract/kontract' in it and then this command again: it " +
      "adds what is missing and overwrites nothing.",
  );
}

async function complete(
  folder: string,
  path: string,
  config: string,
  entries: ReadonlySet<string>,
  link: string | null,
): Promise<InitResult> {
  const text = await Deno.readTextFile(join(folder, config)).catch((cause: unknown) => {
    throw new KontractError("CONFIG", `'${join(path, config)}' cannot be read.`, { cause });
  });
  if (!importsKontract(text, config)) throw occupied(path, [...entries].sort());
  const name = nameOfFolder(folder);
  // With a source of its own the folder is an app already, and ours would not fit to it.
  const sample = !["src", "web", "kontract.json"].some((one) => entries.has(one));
  return await write(folder, name, appFiles(name, sample), entries, { file: config, text, link });
}

function appFiles(name: string, sample: boolean): ReadonlyMap<string, string> {
  return new Map([
    ...baseFiles(name),
    ...(sample ? sampleFiles(name) : []),
    ...firstTypes(sample),
  ]);
}

async function write(
  folder: string,
  name: string,
  files: ReadonlyMap<string, string>,
  entries: ReadonlySet<string>,
  config: { readonly file: string; readonly text: string; readonly link: string | null } | null,
): Promise<InitResult> {
  const created: string[] = [];
  const added: string[] = [];
  const kept: string[] = [];
  await FolderWriter.transaction(folder, async (writer) => {
    for (const [path, text] of files) {
      const exists = entries.size > 0 && await isThere(join(folder, path));
      if (!exists) await writer.create(path, text);
      if (!path.startsWith(".")) (exists ? kept : created).push(path);
    }
    await ignore(folder, entries, writer, created, added);
    if (config === null) return;
    const completed = completeConfig(config.text, config.file, config.link);
    kept.push(...completed.kept.map((member) => `${member} in ${config.file}`));
    added.push(...completed.added.map((member) => `${member} in ${config.file}`));
    if (completed.text !== config.text) await writer.replace(config.file, completed.text);
  });
  return { name, folder, created, added, kept };
}

/** `.kontract` holds keys and passwords: it must never be committed. */
async function ignore(
  folder: string,
  entries: ReadonlySet<string>,
  writer: FolderWriter,
  created: string[],
  added: string[],
): Promise<void> {
  if (!entries.has(".gitignore")) {
    await writer.create(".gitignore", `${IGNORED.join("\n")}\n`);
    created.push(".gitignore");
    return;
  }
  const text = await Deno.readTextFile(join(folder, ".gitignore"));
  const plain = (line: string): string => line.trim().replaceAll(/^\/|\/$/g, "");
  const there = new Set(text.split("\n").map(plain));
  const missing = IGNORED.filter((line) => !there.has(plain(line)));
  if (missing.length === 0) return;
  const gap = text === "" || text.endsWith("\n") ? "" : "\n";
  await writer.replace(".gitignore", `${text}${gap}${missing.join("\n")}\n`);
  added.push(...missing.map((line) => `${line} in .gitignore`));
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
