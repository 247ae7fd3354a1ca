/**
 * What is written from the manifest alone: the client module, the manifest, the cookbook, the REST document
 * and the wire's schema. Made again only where the manifest says something else.
 *
 * @module
 */
import type { Manifest } from "../_internal/manifest.ts";
import type { Analysis } from "./analysis.ts";
import { emitCookbook } from "./cookbook/mod.ts";
import { digest } from "./digest.ts";
import { emitClient } from "./emit/client.ts";
import { emitFbs } from "./emit/fbs.ts";
import { emitOpenApi } from "./emit/openapi.ts";
import type { Layout } from "./host_output.ts";

/** Stands for the build's hash in texts that outlive their build; as long as a hash is. */
export const BUILD_MARK = "%kontract-build%";

/** Files by name. */
export type ClientFiles = Readonly<Record<string, string>>;

interface Kept {
  readonly key: string;
  /** With {@link BUILD_MARK}. */
  readonly client: ClientFiles;
  readonly files: ReadonlyMap<string, string>;
}

/** The outputs of one app's manifest. */
export class ManifestOutput {
  #kept: Kept | null = null;

  /** All files below the output folder, and the client module with {@link BUILD_MARK} for the hash. */
  files(
    { manifest, meaning }: Pick<Analysis, "manifest" | "meaning">,
    pins: readonly string[],
    layout: Layout,
  ): { readonly client: ClientFiles; readonly files: ReadonlyMap<string, string> } {
    const key = digest([meaning, ...pins], 32);
    const kept = this.#kept?.key === key ? this.#kept : this.#kept = made(key, manifest, pins);
    const files = new Map([...kept.files].map(([name, text]) => [name, marked(text, manifest)]));
    if (layout === "bundle") {
      for (const { path, text } of emitCookbook(manifest)) files.set(`cookbook/${path}`, text);
    }
    for (const [name, text] of Object.entries(kept.client)) {
      files.set(`client/${name}`, marked(text, manifest));
    }
    files.set("manifest.json", manifestText(manifest));
    return { client: kept.client, files };
  }
}

function made(key: string, manifest: Manifest, pins: readonly string[]): Kept {
  const unbuilt = { ...manifest, build: BUILD_MARK };
  const files = new Map<string, string>();
  const openApi = emitOpenApi(unbuilt);
  if (openApi !== null) files.set("openapi.json", openApi);
  files.set("schema.fbs", emitFbs(unbuilt));
  return { key, client: emitClient(unbuilt, pins), files };
}

/** The text with the build's hash put in. */
export function marked(text: string, { build }: Pick<Manifest, "build">): string {
  return text.includes(BUILD_MARK) ? text.replaceAll(BUILD_MARK, build) : text;
}

/** Texts of a manifest's parts, which never change: of one that an edit has left as it was, most are known. */
const texts: WeakMap<object, string> = new WeakMap();

/** The manifest as JSON, indented by two. */
export function manifestText(manifest: Manifest): string {
  const entries = Object.entries(manifest).map(([key, value]: [string, unknown]) => {
    const text = Array.isArray(value) && value.length > 0
      ? `[\n    ${value.map((one: unknown) => partText(one, true)).join(",\n    ")}\n  ]`
      : partText(value, false);
    return `  ${JSON.stringify(key)}: ${text}`;
  });
  return `{\n${entries.join(",\n")}\n}\n`;
}

/** A part stands at one depth always: as a value of the manifest, or as an element of one. */
function partText(part: unknown, isElement: boolean): string {
  const known = typeof part === "object" && part !== null ? texts.get(part) : undefined;
  if (known !== undefined) return known;
  // Written where it stands, so that its lines have their indent.
  const text = isElement
    ? JSON.stringify({ "": [part] }, null, 2).slice(ELEMENT.length, -"\n  ]\n}".length)
    : JSON.stringify({ "": part }, null, 2).slice(VALUE.length, -"\n}".length);
  if (typeof part === "object" && part !== null) texts.set(part, text);
  return text;
}

const VALUE = '{\n  "": ';
const ELEMENT = `${VALUE}[\n    `;
