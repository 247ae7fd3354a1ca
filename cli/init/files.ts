/**
 * The files of a new app, by path below its folder; `deno.json` and `.gitignore`, which may be there
 * already, aside.
 *
 * @module
 */
import { emitStorageTypes } from "../../compiler/emit/storage_types.ts";
import { FUNCTIONS, SCHEMA, TEST } from "./template/backend.ts";
import { page, SCRIPT, STYLE } from "./template/page.ts";
import { readme, settings } from "./template/texts.ts";

/** Files that every app has. */
export function baseFiles(name: string): ReadonlyMap<string, string> {
  return new Map([["kontract.json", settings(name)]]);
}

/** The small app to begin with. */
export function sampleFiles(name: string): ReadonlyMap<string, string> {
  return new Map([
    ["src/schema.ts", SCHEMA],
    ["src/notes.ts", FUNCTIONS],
    ["web/index.html", page(name)],
    ["web/main.ts", SCRIPT],
    ["web/style.css", STYLE],
    ["tests/notes_test.ts", TEST],
    ["README.md", readme(name)],
  ]);
}

/** What types `env.storage` until the first build, so that an editor is content at once. */
export function firstTypes(sample: boolean): ReadonlyMap<string, string> {
  const notes = {
    name: "notes",
    className: "Note",
    module: "src/schema.ts",
    primkey: "id",
    defaults: [],
  };
  return new Map([[".kontract/types.d.ts", emitStorageTypes(sample ? [notes] : [])]]);
}
