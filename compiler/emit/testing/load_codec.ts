/**
 * Emits codecs and loads them, for tests and benches: the generated text runs as it would in a bundle.
 *
 * @module
 */
import type { Shape, ShapeTable } from "../../../_internal/shape.ts";
import { emitCodecModule } from "../codec.ts";

/** A loaded codec of one entry. */
export interface LoadedCodec {
  encode(value: unknown): Uint8Array<ArrayBuffer>;
  decode(bytes: Uint8Array): unknown;
}

/** The runtime's address, as generated code imports it. */
export const CODEC_RUNTIME: string =
  new URL("../../../protocol/codec/mod.ts", import.meta.url).href;

/** Codecs of several entries, by name. */
export async function loadCodecs(
  types: ShapeTable,
  entries: readonly { readonly name: string; readonly shape: Shape }[],
): Promise<Record<string, LoadedCodec>> {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/codec.mjs`;
    await Deno.writeTextFile(file, emitCodecModule({ types, entries, runtime: CODEC_RUNTIME }));
    const module = await import(`file://${file}`) as Record<string, (input: never) => never>;
    return Object.fromEntries(
      entries.map(({ name }) => [name, {
        encode: module[`encode_${name}`] as LoadedCodec["encode"],
        decode: module[`decode_${name}`] as LoadedCodec["decode"],
      }]),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The codec of one shape. */
export async function loadCodec(shape: Shape, types: ShapeTable = {}): Promise<LoadedCodec> {
  return (await loadCodecs(types, [{ name: "it", shape }])).it!;
}
